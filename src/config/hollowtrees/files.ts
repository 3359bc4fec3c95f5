import { Document, isCollection, isMap, isScalar, visit, type YAMLMap, type YAMLSeq } from 'yaml';
import { shorten } from '../../engine/shorten.ts';
import { type Plugin, settingOf, type Version } from './plugin.ts';
import type { Reading } from './reading.ts';
import type { FlowRules } from './rules.ts';
import type { SettingData } from './settings.ts';

/** A file to be written; the path is relative to the directory that was asked for. */
export interface ImportedFile {
  readonly path: string;
  readonly text: string;
}

/** Name of the file of policies, which no flow's file may have. */
export const POLICY_FILE = 'hollowtrees-policies';

/** Nothing is folded: a matcher or a sentence on two lines is harder to find. */
const STYLE = { lineWidth: 0, singleQuote: true, flowCollectionPadding: true } as const;
/** Small maps and lists on one line, as the starter rules have them; by the key that they stand under. */
const ON_ONE_LINE: ReadonlySet<string> = new Set(['cooldown', 'limits', 'swap', 'plugin', 'per', 'tags']);

/** The rule file of one flow. */
export function ruleFileOf(
  reading: Reading,
  { flow, name, rules }: FlowRules,
  version: Version,
): ImportedFile {
  const document = new Document({ rules });
  const called = [...new Set(flow.plugins.map(({ plugin }) => said(plugin.name)))].join(', ');
  document.commentBefore = comment(
    `From the flow ${said(flow.title)} of Hollowtrees ${version}, ${reading.file}:${reading.placeOf(flow.path).line}, which called ${called}.`,
    'A swap brings the new instance into service before the old one leaves, where the plugin detached first; a swap with',
    '`order: detach-first` does as the plugin did.',
  );
  style(document);
  return { path: `rules/${name}.yaml`, text: document.toString(STYLE) };
}

/** The policy without which no rule may touch a group. */
export function policyFile(): ImportedFile {
  const document = new Document({
    policies: [
      {
        name: 'hollowtrees-groups',
        description:
          'The groups that opted in by tag; all limits are the safeties that hold without being written.',
        groups: { tags: { 'coppice-enabled': 'true' } },
      },
    ],
  });
  document.commentBefore = comment(
    'Hollowtrees touched whichever group an alert named. Coppice touches none that no policy selects: tag the groups with',
    'coppice-enabled=true, or say here which ones are meant. `coppice check` prints the limits in force.',
  );
  style(document);
  return { path: `rules/${POLICY_FILE}.yaml`, text: document.toString(STYLE) };
}

/** The settings, with the plugins that are called as before. */
export function settingsFile(
  reading: Reading,
  settings: SettingData,
  plugins: readonly Plugin[],
): ImportedFile {
  const entries = plugins.map(settingOf);
  const document = new Document(entries.length === 0 ? settings : { ...settings, plugins: entries });
  document.commentBefore = comment(`From ${reading.file}. Merge it into your coppice.yaml.`);
  for (const index of entries.keys()) putOnOneLine(document.getIn(['plugins', index]));
  return { path: 'coppice.yaml', text: document.toString(STYLE) };
}

/** A name of the original as a comment quotes it: on one line. */
function said(name: string): string {
  return shorten(JSON.stringify(name), 120);
}

/** Text for a comment of a document: each line gets its `#` from the library, and the blank after it here. */
function comment(...lines: readonly string[]): string {
  return lines.map((line) => ` ${line}`).join('\n');
}

/** Small maps on one line, and matchers in quotes, as people write them. */
function style(document: Document): void {
  visit(document, {
    Pair(_, { key, value }) {
      if (isScalar(key) && isCollection(value)) styleValue(String(key.value), value);
    },
  });
}

function styleValue(key: string, value: YAMLMap | YAMLSeq): void {
  if (ON_ONE_LINE.has(key)) value.flow = true;
  if (key === 'on') for (const trigger of isMap(value) ? [value] : value.items) putOnOneLine(trigger);
  if (key === 'matchers') for (const matcher of value.items) quote(matcher);
}

function putOnOneLine(node: unknown): void {
  if (isMap(node) && node.items.every(({ value }) => isScalar(value))) node.flow = true;
}

function quote(node: unknown): void {
  if (isScalar(node)) node.type = 'QUOTE_SINGLE';
}
