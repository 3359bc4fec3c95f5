import {
  type Flow,
  LOST_BY_KEYS,
  matcherText,
  NO_PACE,
  type Pace,
  readFlowPlugins,
  readLabels,
  readTexts,
} from './flow.ts';
import type { Plugin } from './plugin.ts';
import { readTime } from './quantity.ts';
import type { Reading, Section, Value } from './reading.ts';

const KEYS = ['name', 'description', 'allowedEvents', 'plugins', 'filters', 'groupBy', 'cooldown'];

/**
 * What filters and groupBy found under these names were attributes of the event, before any label: those of CloudEvents
 * 0.2, and those that v2 sets itself.
 */
const ATTRIBUTES: ReadonlySet<string> = new Set([
  ...['specversion', 'type', 'source', 'id', 'time', 'schemaurl', 'contenttype', 'data', 'extension'],
  ...['correlationid', 'labels', 'eventtype'],
]);

/** The flows of v2: a map by id, of which every one that matches an event runs. */
export function readFlowsV2(
  reading: Reading,
  map: Value | undefined,
  plugins: ReadonlyMap<string, Plugin>,
): readonly Flow[] {
  const entries = map === undefined ? [] : (reading.entries(map) ?? []);
  return entries.map(([id, value]) => readFlow(reading, { id, value }, plugins));
}

function readFlow(
  reading: Reading,
  { id, value }: { readonly id: string; readonly value: Value },
  known: ReadonlyMap<string, Plugin>,
): Flow {
  const section: Section = reading.section(value, KEYS) ?? new Map();
  const [name, description] = [reading.textOf(section, 'name'), reading.textOf(section, 'description')];
  const types = readTexts(reading, section.get('allowedevents'));
  const matchers = readFilters(reading, section.get('filters'));
  const plugins = readFlowPlugins(reading, section.get('plugins'), known);
  const pace = readPace(reading, section, types?.length !== 1);
  sayBasics(reading, section, description === '');
  const isLost = [types, matchers, plugins, pace].includes(null);
  return {
    path: value.path,
    title: id,
    description: description === '' ? name : description,
    types: [...new Set(types?.map(({ text }) => text))],
    alternatives: [matchers ?? []],
    plugins: plugins ?? [],
    pace: pace ?? NO_PACE,
    lost: isLost ? LOST_BY_KEYS : null,
  };
}

function sayBasics(reading: Reading, section: Section, isDescribedByName: boolean): void {
  const say = (key: string, message: string): void => reading.say(section.get(key), 'carried', message);
  const name = isDescribedByName
    ? 'it is the description of the rule'
    : 'the rule has the longer description';
  say('name', `${name}; its name is made of the id of the flow`);
  say('description', 'it is the description of the rule');
  say('allowedevents', 'they are the triggers of the rule, for what fires and not for what has resolved');
  sayPlugins(reading, section.get('plugins'));
}

/** With one plugin there is no order, and nothing that could go on after a failure. */
function sayPlugins(reading: Reading, value: Value | undefined): void {
  const isChain = Array.isArray(value?.data) && value.data.length > 1;
  if (isChain)
    reading.say(value, 'changed', `what they did is the list of actions, in this order; ${ANY_ORDER}`);
  else reading.say(value, 'carried', 'what it did is the action of the rule');
}

const ANY_ORDER =
  'v2 called them in any order, and all although one failed, for which an action says onFailure: continue';

/** The matchers of `filters`; null when one of them cannot be said. */
function readFilters(reading: Reading, value: Value | undefined): readonly string[] | null {
  const labels = readLabels(reading, value);
  if (labels?.length === 0) reading.say(value, 'not needed', 'it is empty');
  for (const label of labels ?? []) {
    const { name } = label;
    if (isAttribute(name)) reading.say(label, 'not carried', `${OF_THE_EVENT}, and matchers ask for labels`);
    else
      reading.say(
        label,
        'carried',
        `it is a matcher for the label ${JSON.stringify(name)}, in this case of its letters, which v2 ignored`,
      );
  }
  if (labels?.some(({ name }) => isAttribute(name)) !== false) return null;
  return labels.map((label) => matcherText(label.name, '=', label.value));
}

function isAttribute(name: string): boolean {
  return ATTRIBUTES.has(name.toLowerCase());
}

const OF_THE_EVENT = 'to v2 it is an attribute of the event and no label';

/** v2 slept after the plugins had run, well or badly, and dropped events with the same key meanwhile. */
function readPace(reading: Reading, section: Section, severalTypes: boolean): Pace | null {
  const value = section.get('cooldown');
  const forMs = readTime(reading, value);
  const groupBy = readTexts(reading, section.get('groupby'));
  if (forMs === null || groupBy === null) return null;
  const labels = groupBy.filter((label) => isKeyLabel(reading, label)).map(({ text }) => text);
  sayKey(reading, section.get('groupby'), { labels, forMs });
  if (forMs === 0) {
    reading.say(value, 'not needed', 'it is no time');
    return NO_PACE;
  }
  reading.say(value, 'changed', labels.length === 0 ? NO_KEY : AFTER_SUCCESS);
  // The key of v2 had the event type in it, of which an alert's name is the part that differs.
  const per = ['alertname', ...labels].slice(severalTypes ? 0 : 1).map((label) => `labels.${label}`);
  return { ...NO_PACE, cooldown: { forMs, per: labels.length === 0 ? ['instance'] : per, after: 'success' } };
}

const NO_KEY =
  'without labels in groupBy the cooldown of v2 was off in silence, since each event had a key of its own; the rule has it for each instance, after success';
const AFTER_SUCCESS = 'it is the cooldown after success; in v2 it began after a failure, too';

function isKeyLabel(reading: Reading, item: Value & { readonly text: string }): boolean {
  if (item.text === '') reading.say(item, 'changed', 'it is no label and is left out');
  else if (isAttribute(item.text))
    reading.say(item, 'changed', `${OF_THE_EVENT}; the cooldown does not count by it`);
  else return true;
  return false;
}

function sayKey(
  reading: Reading,
  value: Value | undefined,
  { labels, forMs }: { readonly labels: readonly string[]; readonly forMs: number },
): void {
  if (labels.length === 0) reading.say(value, 'not needed', 'there is no label in it');
  else if (forMs > 0) reading.say(value, 'carried', 'these labels are what the cooldown counts by');
  else reading.say(value, 'not needed', ONLY_WHILE_RUNNING);
}

const ONLY_WHILE_RUNNING =
  'without a cooldown v2 only dropped what came while the plugins ran; no rule touches an instance with a run under way';
