import { MOST_RETRIES } from '../action-schema.ts';
import { NO_PACE, type Pace } from './flow.ts';
import { ruleDuration } from './quantity.ts';
import type { Reading, Section } from './reading.ts';
import type { Fate } from './remark.ts';

/** What v1 takes for `global.defaultActionFlowConcurrency` when it is not written. */
export const BUILT_IN_SLOTS = 10;
/** For what v1 remembered until it was restarted, which a daemon in use hardly is less often than monthly. */
const UNTIL_RESTART_MS = 30 * 86_400_000;

/** The keys of a v1 flow that say how often it may act; 0 and empty where they are not written. */
export interface Timing {
  readonly slots: number;
  readonly flowMs: number;
  readonly repeatMs: number;
  readonly retries: number;
  readonly groupBy: readonly string[];
}

interface Given {
  readonly section: Section;
  /** Null when it could not be read; then nothing more is said. */
  readonly timing: Timing | null;
  readonly slots: { readonly size: number; readonly isChosen: boolean; readonly isShared: boolean };
  readonly isUrgent: boolean;
}

type Say = (key: string, fate: Fate, message: string) => void;

/** The cooldown, the limits and the retries that come nearest to a v1 flow, with a remark for each of its keys. */
export function paceOf(reading: Reading, { section, timing, slots, isUrgent }: Given): Pace {
  if (timing === null) return NO_PACE;
  const say: Say = (key, fate, message) => reading.say(section.get(key), fate, message);
  const isGrouped = timing.groupBy.length > 0;
  const perKey = isGrouped ? keyedCooldown(say, timing, section.has('repeat_cooldown')) : ungrouped(say);
  const concurrent = concurrency(say, slots, isUrgent);
  const pause = flowCooldown(say, timing, { size: slots.size, isUrgent, isGrouped });
  return {
    cooldown: perKey ?? pause.cooldown,
    limits: { ...concurrent, ...pause.limits },
    retries: retriesOf(say, timing),
  };
}

/** With `group_by` v1 handled a key once, and then dropped it for `repeat_cooldown`, whether or not it had succeeded. */
function keyedCooldown(say: Say, { groupBy, repeatMs }: Timing, isWritten: boolean): Pace['cooldown'] {
  say('group_by', 'carried', 'these labels are what the cooldown counts by');
  const forever = `v1 remembered a key until its next restart, and cooldowns of Coppice outlast restarts: the rule has ${ruleDuration(UNTIL_RESTART_MS)}; shorten it to what suits`;
  if (repeatMs > 0) say('repeat_cooldown', 'carried', 'it is the cooldown, from the decision on');
  else if (isWritten) say('repeat_cooldown', 'changed', forever);
  else say('group_by', 'changed', `repeat_cooldown is missing: ${forever}`);
  const per = groupBy.map((label) => `labels.${label}`);
  return { forMs: repeatMs > 0 ? repeatMs : UNTIL_RESTART_MS, per, after: 'dispatch' };
}

function ungrouped(say: Say): null {
  say('group_by', 'not needed', 'it is empty');
  say('repeat_cooldown', 'not needed', 'without group_by v1 remembered nothing, so that it had no effect');
  return null;
}

/** A slot made events wait; a limit refuses them. So nobody gets one who did not ask for it, and nothing urgent. */
function concurrency(
  say: Say,
  { size, isChosen, isShared }: Given['slots'],
  isUrgent: boolean,
): Pace['limits'] {
  if (!isChosen || isUrgent) {
    say(
      'concurrent_flows',
      'changed',
      `v1 let events wait for a slot, and a limit would refuse them, too late for a swap that is urgent: no limit is written, and runs wait for one of worker.concurrency`,
    );
    return {};
  }
  const shared = isShared
    ? `; v1 shared the slots of the last flow with this event type, ${size}, among all of them, and each rule has so many of its own`
    : '';
  say(
    'concurrent_flows',
    'changed',
    `it is limits.concurrent, which refuses what is above it, where v1 let it wait${shared}`,
  );
  return { concurrent: size };
}

interface Pause {
  readonly cooldown: Pace['cooldown'];
  readonly limits: Pace['limits'];
}
const NO_PAUSE: Pause = { cooldown: null, limits: {} };

/** v1 waited after a success and kept the slot meanwhile: with one slot that is a cooldown, with several a rate. */
function flowCooldown(
  say: Say,
  { flowMs }: Timing,
  {
    size,
    isUrgent,
    isGrouped,
  }: { readonly size: number; readonly isUrgent: boolean; readonly isGrouped: boolean },
): Pause {
  if (flowMs === 0) {
    say('flow_cooldown', 'not needed', 'it is no time');
    return NO_PAUSE;
  }
  if (isUrgent) {
    say(
      'flow_cooldown',
      'changed',
      'v1 let events wait meanwhile, and Coppice would refuse them, too late for a swap that is urgent: nothing is written for it',
    );
    return NO_PAUSE;
  }
  if (size === 1 && !isGrouped) {
    say(
      'flow_cooldown',
      'changed',
      'it is a cooldown of the whole rule after success, which refuses what v1 let wait',
    );
    return { cooldown: { forMs: flowMs, per: ['rule'], after: 'success' }, limits: {} };
  }
  say(
    'flow_cooldown',
    'changed',
    `with ${size === 1 ? 'one slot' : `${size} slots`} it is a limit of ${size} in that time, counted from the beginning of a run, which refuses what v1 let wait`,
  );
  return { cooldown: null, limits: { starts: { max: size, perMs: flowMs } } };
}

function retriesOf(say: Say, { retries, groupBy }: Timing): number {
  if (retries === 0 || groupBy.length === 0) {
    say('retries', 'not needed', retries === 0 ? 'there are none' : 'without group_by v1 never tried again');
    return 0;
  }
  const most = retries > MOST_RETRIES ? `, at most ${MOST_RETRIES} times` : '';
  say(
    'retries',
    'changed',
    `v1 tried again when another event came; Coppice tries the action again by itself${most}`,
  );
  return Math.min(retries, MOST_RETRIES);
}
