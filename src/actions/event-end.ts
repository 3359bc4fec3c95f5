import type { FailureCode } from '../base/failure.ts';
import { FAILURE_CODES } from '../base/failure.ts';
import { groupKey } from '../base/group-name.ts';
import type { Decision } from '../engine/decision.ts';
import { OTHER_REASONS, REFUSAL_REASONS, type Reason } from '../engine/reason.ts';
import type { Run } from './run.ts';

/**
 * What came of an event.
 * - `ok`: every run succeeded, or there was nothing to do
 * - `delayed`: as far as it went, but a rule looks again later (its `delay`), which nobody waits for
 * - `shadowed`: a rule, or the daemon, only watches, so nothing was done
 * - `failed`: a rule was held back, or a run did not succeed
 */
export type EventEnd =
  | { readonly kind: 'ok' | 'delayed' | 'shadowed' }
  | { readonly kind: 'failed'; readonly trouble: Trouble; readonly message: string };

/**
 * What can be done about it: `refused` until something else has changed, repeating is useless; `unavailable` the same may
 * succeed later; `internal` is a defect.
 */
export type Trouble = 'refused' | 'unavailable' | 'internal';

/** The first that occurs counts for the whole: repeating is of use only where it is for every part. */
const WORST_FIRST: readonly Trouble[] = ['internal', 'refused', 'unavailable'];

const TROUBLE: Readonly<Record<FailureCode, Trouble>> = {
  ambiguous: 'unavailable',
  already_member: 'refused',
  cancelled: 'refused',
  denied: 'refused',
  group_changed: 'unavailable',
  inbox_full: 'unavailable',
  instance_lost: 'unavailable',
  internal: 'internal',
  invalid_request: 'refused',
  lease_lost: 'unavailable',
  market_unavailable: 'unavailable',
  no_longer_member: 'refused',
  not_found: 'refused',
  own_instance: 'refused',
  quota_exceeded: 'refused',
  refused_elsewhere: 'refused',
  size_refused: 'refused',
  state_refused: 'refused',
  store_unavailable: 'unavailable',
  throttled: 'unavailable',
  timeout: 'unavailable',
  unavailable: 'unavailable',
};

/** A message goes into a trailer of HTTP/2, of which clients take a few kilobytes. */
const FAULTS_NAMED = 3;

interface Fault {
  readonly trouble: Trouble;
  readonly message: string;
}

/**
 * What came of an event with these decisions, all of them, once `runs`, those that they started or joined, are over. Where
 * there is a run, the runs tell; what other rules were held back by counts only where there is none. Messages consist of
 * names, ids and words of the closed sets: what a cloud or another system said stays in the run.
 */
export function endOfEvent(decisions: readonly Decision[], runs: readonly Run[]): EventEnd {
  const newest = decisions.filter((decision) => !isSuperseded(decision, decisions));
  const faults = [
    ...runs.flatMap(faultOfRun),
    ...newest.filter((decision) => isFault(decision, runs.length > 0)).map(faultOfDecision),
  ];
  if (faults.length > 0) return failed(faults);
  if (newest.some(({ reason }) => reason === 'rule_delay')) return { kind: 'delayed' };
  return { kind: newest.some(({ outcome }) => outcome === 'shadowed') ? 'shadowed' : 'ok' };
}

/** What a second look concluded takes the place of having put it off. */
function isSuperseded({ reason, rule, subject }: Decision, decisions: readonly Decision[]): boolean {
  const group = subject.group === null ? null : groupKey(subject.group);
  const isSecondLook = (other: Decision): boolean =>
    other.reason !== 'rule_delay' &&
    other.rule === rule &&
    (other.subject.group === null || groupKey(other.subject.group) === group);
  return reason === 'rule_delay' && decisions.some(isSecondLook);
}

/** A rule that is switched off is as good as none, and one that waits has not been held back. */
function isFault({ outcome, reason }: Decision, hasRuns: boolean): boolean {
  if (outcome === 'failed') return true;
  return outcome === 'suppressed' && !hasRuns && reason !== 'rule_disabled' && reason !== 'rule_delay';
}

function faultOfDecision({ id, rule, outcome, reason }: Decision): Fault {
  return { trouble: 'refused', message: `rule ${rule}: ${outcome}: ${meaning(reason)}; decision ${id}` };
}

function faultOfRun({ id, rule, state, error }: Run): readonly Fault[] {
  if (state === 'succeeded') return [];
  const reason = error?.reason ?? 'internal';
  const trouble = isFailureCode(reason) ? TROUBLE[reason] : 'refused';
  return [{ trouble, message: `rule ${rule}: ${state}: ${meaning(reason)}; run ${id}` }];
}

function isFailureCode(reason: string): reason is FailureCode {
  return Object.hasOwn(FAILURE_CODES, reason);
}

function meaning(reason: Reason | FailureCode): string {
  const meanings: Readonly<Record<string, string>> = {
    ...OTHER_REASONS,
    ...REFUSAL_REASONS,
    ...FAILURE_CODES,
  };
  return `${reason} (${meanings[reason] ?? 'see the decision'})`;
}

function failed(faults: readonly Fault[]): EventEnd {
  const worst = WORST_FIRST.flatMap((trouble) => faults.filter((fault) => fault.trouble === trouble));
  const more = worst.length - FAULTS_NAMED;
  const named = worst.slice(0, FAULTS_NAMED).map(({ message }) => message);
  const message = [...named, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
  return { kind: 'failed', trouble: worst[0]?.trouble ?? 'internal', message };
}
