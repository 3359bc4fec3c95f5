import { Buffer } from 'node:buffer';
import { Failure } from '../../base/failure.ts';
import { suggestion } from '../../engine/suggest.ts';
import { type FileProblem, formatProblem, isError, wholeFile } from '../file-problem.ts';
import { mergeRules } from '../merge.ts';
import { MAX_FILE_BYTES, readYaml } from '../yaml-source.ts';
import { type ImportedFile, POLICY_FILE, policyFile, ruleFileOf, settingsFile } from './files.ts';
import { type Plugin, type PluginOptions, readPlugins, type Version } from './plugin.ts';
import { Reading, type Section, type Value } from './reading.ts';
import type { Remark } from './remark.ts';
import { rulesOf } from './rules.ts';
import { daemonPartOf } from './settings.ts';
import { readFlowsV1 } from './v1.ts';
import { readFlowsV2 } from './v2.ts';

/** What became of a Hollowtrees configuration. */
export type Import =
  | {
      readonly kind: 'imported';
      readonly version: Version;
      /** Rule files that pass the check, and a settings file. */
      readonly files: readonly ImportedFile[];
      /** In the order of the file: what became of each of its keys. */
      readonly remarks: readonly Remark[];
      readonly flows: { readonly all: number; readonly carried: number };
    }
  /** It cannot be read, or is none; one line for each reason. */
  | { readonly kind: 'unreadable'; readonly problems: readonly string[] };

type Unreadable = Extract<Import, { kind: 'unreadable' }>;

/** Keys of the top by which a version is told, and those that both have or that say nothing about it. */
const TOP_KEYS: Readonly<
  Record<Version, { readonly own: readonly string[]; readonly more: readonly string[] }>
> = {
  v1: { own: ['action_flows', 'action_plugins', 'global'], more: ['log', 'rules'] },
  v2: { own: ['flows', 'plugins', 'promalert', 'healthcheck'], more: ['log', 'environment', 'debug'] },
};

/**
 * Turns a Hollowtrees configuration of either version into rule files and a settings file, and says of each of its keys
 * what became of it. A flow that cannot be carried over as it was is left out, never half made.
 */
export function importHollowtrees(file: string, text: string, options: PluginOptions): Import {
  const read = readText(file, text);
  if (read.kind === 'unreadable') return read;
  const { reading, top } = read;
  const version = versionOf(reading, top);
  if (version.kind === 'unreadable') return version;
  return importVersion(reading, top, { ...options, version: version.version });
}

function importVersion(
  reading: Reading,
  top: Value,
  options: PluginOptions & { readonly version: Version },
): Import {
  const { version } = options;
  const { own, more } = TOP_KEYS[version];
  const sections = reading.section(top, [...own, ...more]) ?? new Map<string, Value>();
  const plugins = readPlugins(reading, sections.get(PLUGINS[version]), options);
  const objections = [
    ...options.asgPlugins
      .filter((name) => !plugins.has(name))
      .map((name) => noSuchPlugin(name, [...plugins.keys()])),
    ...objectionsTo(reading, sections, version),
  ];
  if (objections.length > 0) return unreadable(...objections);
  const { settings, defaultSlots } = daemonPartOf(reading, sections, version);
  const list = sections.get(FLOWS[version]);
  const flows =
    version === 'v1'
      ? readFlowsV1(reading, list, { plugins, defaultSlots })
      : readFlowsV2(reading, list, plugins);
  if (flows.length === 0) reading.say(list, 'not needed', 'there is no flow in it');
  else reading.say(list, 'changed', FIRING_ONLY);
  const carried = rulesOf(reading, flows, [POLICY_FILE]);
  const called = [...plugins.values()].filter(({ kind }) => kind === 'grpc');
  const ruleFiles = [...carried.map((one) => ruleFileOf(reading, one, version)), policyFile()];
  assertSound(ruleFiles, called);
  return {
    kind: 'imported',
    version,
    files: [...ruleFiles, settingsFile(reading, settings, called)],
    remarks: reading.remarks,
    flows: { all: flows.length, carried: carried.length },
  };
}

const PLUGINS: Readonly<Record<Version, string>> = { v1: 'action_plugins', v2: 'plugins' };
const FLOWS: Readonly<Record<Version, string>> = { v1: 'action_flows', v2: 'flows' };

const FIRING_ONLY =
  'Hollowtrees could not tell an alert that has resolved from one that fires, and ran flows for both; rules run for what fires';

/** Why the flows cannot be read at all. */
function objectionsTo(reading: Reading, sections: Section, version: Version): readonly string[] {
  const objections: string[] = [];
  const early = version === 'v1' ? sections.get('rules') : undefined;
  if (early !== undefined) objections.push(problemAt(reading, early, ['wrong-value', EARLY_RULES]));
  const list = sections.get(FLOWS[version]);
  const flows = list === undefined || typeof list.data !== 'object' ? 0 : Object.keys(list.data ?? {}).length;
  if (list !== undefined && flows > MOST_FLOWS)
    objections.push(
      problemAt(reading, list, ['too-large', `there are more than ${MOST_FLOWS} flows; split the file`]),
    );
  return objections;
}

/** Each becomes a file. */
const MOST_FLOWS = 1000;
const EARLY_RULES =
  'the first versions of Hollowtrees had `rules`, and ran every one that matched; rename them to action_flows, of which only the first runs, and look at those that overlap';

function problemAt(
  reading: Reading,
  { path }: Value,
  [code, message]: readonly [FileProblem['code'], string],
): string {
  return formatProblem({ ...wholeFile(reading.file, code, message), ...reading.placeOf(path) });
}

function readText(
  file: string,
  text: string,
): Unreadable | { readonly kind: 'read'; readonly reading: Reading; readonly top: Value } {
  if (Buffer.byteLength(text) > MAX_FILE_BYTES) return tooLarge(file);
  const { source, problems } = readYaml(file, text);
  if (source === null || problems.some(isError)) {
    const hint = isToml(file, text) ? [formatProblem(wholeFile(file, 'yaml-syntax', TOML))] : [];
    return unreadable(...hint, ...problems.map(formatProblem));
  }
  if (textIn(source.data) > MOST_TEXT) return tooLarge(file);
  return { kind: 'read', reading: new Reading(source, text), top: { path: [], data: source.data } };
}

/** Characters in all texts once aliases are expanded, of which each may stand for the same long one. */
const MOST_TEXT = MAX_FILE_BYTES;

function textIn(data: unknown): number {
  if (typeof data === 'string') return data.length;
  if (typeof data !== 'object' || data === null) return 0;
  return Object.entries(data).reduce((sum, [key, value]) => sum + key.length + textIn(value), 0);
}

function tooLarge(file: string): Unreadable {
  const message = `it stands for more than ${MAX_FILE_BYTES / 1024} KiB, as no configuration of Hollowtrees does`;
  return unreadable(formatProblem(wholeFile(file, 'too-large', message)));
}

const TOML = 'TOML is not read; turn it into YAML or JSON, which say the same, and import that';

/** Whether the file is the other notation that users of viper like: by its name, or by a table in its first lines. */
function isToml(file: string, text: string): boolean {
  return /\.toml$/i.test(file) || /^[ \t]*\[{1,2}[\w.]+\]{1,2}[ \t]*$/m.test(text.slice(0, 10_000));
}

function versionOf(
  reading: Reading,
  top: Value,
): Unreadable | { readonly kind: 'told'; readonly version: Version } {
  const keys = (reading.entries(top) ?? []).map(([key]) => key.toLowerCase());
  const found = (['v1', 'v2'] as const).map((version) => ({
    version,
    keys: TOP_KEYS[version].own.filter((key) => keys.includes(key)),
  }));
  const [first, second] = found.filter((one) => one.keys.length > 0);
  if (first !== undefined && second === undefined) return { kind: 'told', version: first.version };
  const said = found.map(
    ({ version, keys: own }) =>
      `${(first === undefined ? TOP_KEYS[version].own : own).join(', ')} (${version})`,
  );
  const problem =
    first === undefined
      ? wholeFile(
          reading.file,
          'missing-key',
          `it is no configuration of Hollowtrees: at its top is neither one of ${said.join(' nor one of ')}`,
        )
      : wholeFile(
          reading.file,
          'mixed-keys',
          `it has keys of both versions of Hollowtrees, ${said.join(' and ')}; take out those of one`,
        );
  return unreadable(formatProblem(problem));
}

function unreadable(...problems: readonly string[]): Unreadable {
  return { kind: 'unreadable', problems };
}

function noSuchPlugin(name: string, known: readonly string[]): string {
  return `--asg-plugin ${name}: the configuration has no such plugin; ${suggestion(name, known)}`;
}

/** What is written must pass `coppice check`, whatever was read. */
function assertSound(files: readonly ImportedFile[], plugins: readonly Plugin[]): void {
  const { problems } = mergeRules(
    files.map(({ path, text }) => ({ file: path, text })),
    plugins.map(({ name }) => name),
  );
  const [first] = problems.filter(isError);
  if (first !== undefined) throw new Failure('internal', 'reject', `importing: ${formatProblem(first)}`);
}
