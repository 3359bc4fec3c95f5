import { isUrgentType } from './asg-plugin.ts';
import { leftTo, type Share } from './first-match.ts';
import { type Flow, LOST_BY_KEYS, readFlowPlugins, readLabels, readTexts, type WantedLabel } from './flow.ts';
import type { Plugin } from './plugin.ts';
import { readCount, readTime } from './quantity.ts';
import type { Reading, Section, Value } from './reading.ts';
import { BUILT_IN_SLOTS, paceOf, type Timing } from './v1-pace.ts';

const KEYS = [
  'name',
  'description',
  'event_type',
  'match',
  'action_plugins',
  'concurrent_flows',
  'flow_cooldown',
  'group_by',
  'repeat_cooldown',
  'retries',
];

/** A flow as it is read, before it is known what the others leave to it. */
interface Draft {
  readonly value: Value;
  readonly section: Section;
  readonly title: string;
  readonly description: string;
  readonly type: string;
  readonly labels: readonly WantedLabel[] | null;
  readonly plugins: Flow['plugins'] | null;
  readonly timing: Timing | null;
}

/** The flows of v1, in order: a list, of which the first that matches an event runs. */
export function readFlowsV1(
  reading: Reading,
  list: Value | undefined,
  context: { readonly plugins: ReadonlyMap<string, Plugin>; readonly defaultSlots: number | null },
): readonly Flow[] {
  const items = list === undefined ? [] : reading.items(list);
  const drafts = items.map((value) => readDraft(reading, value, context.plugins));
  return drafts.map((draft, index) => flowOf(reading, draft, { drafts, index, ...context }));
}

function readDraft(reading: Reading, value: Value, plugins: ReadonlyMap<string, Plugin>): Draft {
  const section: Section = reading.section(value, KEYS) ?? new Map();
  return {
    value,
    section,
    title: reading.textOf(section, 'name'),
    description: reading.textOf(section, 'description'),
    type: reading.textOf(section, 'event_type'),
    labels: readLabels(reading, section.get('match')),
    plugins: readFlowPlugins(reading, section.get('action_plugins'), plugins),
    timing: readTiming(reading, section),
  };
}

function readTiming(reading: Reading, section: Section): Timing | null {
  const slots = readCount(reading, section.get('concurrent_flows'));
  const flowMs = readTime(reading, section.get('flow_cooldown'));
  const repeatMs = readTime(reading, section.get('repeat_cooldown'));
  const retries = readCount(reading, section.get('retries'));
  const groupBy = readTexts(reading, section.get('group_by'))?.map(({ text }) => text);
  if (slots === null || flowMs === null || repeatMs === null || retries === null || groupBy === undefined)
    return null;
  return { slots, flowMs, repeatMs, retries, groupBy };
}

function flowOf(
  reading: Reading,
  draft: Draft,
  context: {
    readonly drafts: readonly Draft[];
    readonly index: number;
    readonly defaultSlots: number | null;
  },
): Flow {
  const { value, section, title, description, type, plugins, timing } = draft;
  const share = leftTo(draft, context.drafts.slice(0, context.index));
  sayBasics(reading, section, { type, plugins });
  sayMatch(reading, draft, share);
  const slots = slotsOf(draft, context);
  const pace = paceOf(reading, { section, timing, slots, isUrgent: isUrgentType(type) });
  return {
    path: value.path,
    title,
    description,
    types: [type],
    alternatives: share.kind === 'some' ? share.alternatives : [],
    plugins: plugins ?? [],
    pace,
    lost: lossOf(draft, share),
  };
}

function lossOf({ type, labels, plugins, timing }: Draft, share: Share): string | null {
  if (type === '') return 'it has no event_type, so that it never ran';
  if (labels === null || plugins === null || timing === null) return LOST_BY_KEYS;
  if (share.kind === 'none') return `it never ran: flow "${share.by}" before it takes all of its events`;
  return share.kind === 'some'
    ? null
    : 'only the first flow that matched ran, and too many before it take a part of its events; write the rule by hand';
}

/** The semaphore belonged to the event type, and the last flow of the type made it. Null where nobody chose its size. */
function slotsOf(
  { type }: Draft,
  { drafts, defaultSlots }: { readonly drafts: readonly Draft[]; readonly defaultSlots: number | null },
): { readonly size: number; readonly isChosen: boolean; readonly isShared: boolean } {
  const ofType = drafts.filter((one) => one.type === type);
  const written = ofType.at(-1)?.timing?.slots ?? 0;
  const chosen = written > 0 ? written : defaultSlots;
  return { size: chosen ?? BUILT_IN_SLOTS, isChosen: chosen !== null, isShared: ofType.length > 1 };
}

function sayBasics(
  reading: Reading,
  section: Section,
  { type, plugins }: { readonly type: string; readonly plugins: Flow['plugins'] | null },
): void {
  const say = (key: string, message: string): void => reading.say(section.get(key), 'carried', message);
  say('name', 'the rule and its file are named after it');
  say('description', 'it is the description of the rule');
  if (type !== '')
    say('event_type', 'it is the trigger of the rule, for what fires and not for what has resolved');
  if (plugins !== null)
    say('action_plugins', 'what they did is the list of actions, in this order; the first failure ends it');
}

function sayMatch(reading: Reading, { value, section, labels }: Draft, share: Share): void {
  for (const label of labels ?? [])
    reading.say(label, 'carried', `it is a matcher for the label ${JSON.stringify(label.name)}`);
  if (labels?.length === 0) reading.say(section.get('match'), 'not needed', 'it is empty');
  if (share.kind !== 'some' || share.after.length === 0) return;
  const before = share.after.map((title) => JSON.stringify(title)).join(', ');
  const message = `only the first flow that matched ran: the rule has matchers that leave their events to ${before}`;
  reading.say(value, 'carried', message);
}
