import { formatDuration } from '../base/duration.ts';
import { groupKey } from '../base/group-name.ts';
import { marketName, type PurchaseOption } from '../base/market.ts';
import { marketCounts, servingCount } from './composition.ts';
import type { GroupView, InstanceView } from './fleet.ts';
import { type PastSwap, type Rest, SWAPS_REMEMBERED_MS } from './memory.ts';
import { marketCap, onDemandFloor, onDemandWithout, roundDown, roundUp } from './policies.ts';
import type { BudgetSpec, EffectivePolicy } from './policy.ts';
import type { RefusalReason } from './reason.ts';
import { freezeAt, type OpenWindow, windowAt } from './windows.ts';

/** Why something may not be done now. */
export interface Refusal {
  readonly reason: RefusalReason;
  /** One sentence with the values that mattered. */
  readonly detail: string;
}

/** A swap, or another way of taking an instance out of its group, that is to be judged. */
export interface SwapProposal {
  readonly policy: EffectivePolicy;
  readonly group: GroupView;
  readonly instance: InstanceView;
  /** How the replacement would be bought; null when none comes that Coppice has chosen. */
  readonly to: PurchaseOption | null;
  /** Desired as it would be afterwards, where the instance is taken out without a replacement. */
  readonly desiredAfter?: number;
  readonly urgent: boolean;
  /** Swaps of the group that were begun, those of the longest window at least. */
  readonly swaps: readonly PastSwap[];
  /** Why a person paused the group; null when nobody did. */
  readonly pausedBecause: string | null;
  /** What failed swaps of the group came to; null when there were none. */
  readonly rest: Rest | null;
  /** ms since the epoch. */
  readonly now: number;
}

interface Check {
  readonly reason: RefusalReason;
  /** Whether an urgent swap is bound, too: its instance goes away whatever Coppice decides. */
  readonly bindsUrgent: boolean;
  /** What is wrong, in a sentence; null when nothing is. */
  readonly objection: (proposal: SwapProposal) => string | null;
}

/** In order: what a person said, what must never be violated, then what limits voluntary swaps, cheapest first. */
const CHECKS: readonly Check[] = [
  { reason: 'policy_paused', bindsUrgent: true, objection: paused },
  { reason: 'policy_floor', bindsUrgent: true, objection: belowFloor },
  { reason: 'policy_market_share', bindsUrgent: false, objection: tooConcentrated },
  { reason: 'policy_freeze', bindsUrgent: false, objection: frozen },
  { reason: 'group_on_hold', bindsUrgent: false, objection: resting },
  { reason: 'policy_cooldown', bindsUrgent: false, objection: coolingDown },
  { reason: 'policy_budget', bindsUrgent: false, objection: overBudget },
  { reason: 'policy_min_healthy', bindsUrgent: false, objection: tooFewServing },
  { reason: 'policy_min_age', bindsUrgent: false, objection: tooYoung },
];

/**
 * What the group's limits say against a swap; null when nothing. Types and market share are not judged here but when
 * candidates are chosen. Cooldown and budgets bind and count voluntary swaps only: urgent ones follow from
 * interruptions, and counting them would stop all improvement of a group in a storm and for an hour after it.
 */
export function judge(proposal: SwapProposal): Refusal | null {
  for (const { reason, bindsUrgent, objection } of CHECKS) {
    if (proposal.urgent && !bindsUrgent) continue;
    const detail = objection(proposal);
    if (detail !== null) return { reason, detail };
  }
  return null;
}

function paused({ policy, pausedBecause }: SwapProposal): string | null {
  if (pausedBecause !== null) return `the group is paused: ${pausedBecause}`;
  return policy.paused ? `a policy pauses the group (${policy.names.join(', ')})` : null;
}

/** A swap that does not lower the count is fine even below the floor: refusing it would keep the group there. */
function belowFloor({ policy, group, instance, to, desiredAfter }: SwapProposal): string | null {
  if (instance.purchaseOption !== 'on-demand' || to === 'on-demand') return null;
  const after = onDemandWithout(group, instance);
  const floor = onDemandFloor(policy, desiredAfter ?? group.desired);
  return after >= floor ? null : `${after} on-demand instances would stay, but the floor is ${floor}`;
}

/** Where nothing comes for what leaves, the other markets hold more of what stays. */
function tooConcentrated({ policy, group, instance, desiredAfter }: SwapProposal): string | null {
  if (desiredAfter === undefined) return null;
  const leaving = marketName(instance);
  const counts = new Map(marketCounts(group));
  const left = (counts.get(leaving) ?? 1) - 1;
  counts.delete(leaving);
  const cap = marketCap(policy, desiredAfter) ?? Number.POSITIVE_INFINITY;
  for (const [market, count] of counts) {
    if (count > cap) return `${count} of ${desiredAfter} instances would be in ${market}, ${cap} allowed`;
  }
  const wanted = Math.min(policy.minMarkets, desiredAfter);
  return left > 0 || counts.size >= wanted
    ? null
    : `${counts.size} markets would stay, and there must be ${wanted}`;
}

/** Where somebody must act, the sentence says how: nothing is wrong with the instance, and nothing else would tell. */
function resting({ group, rest, now }: SwapProposal): string | null {
  if (rest === null || rest.until <= now) return null;
  const failed = rest.failures === 1 ? 'the last swap failed' : `${rest.failures} swaps failed in a row`;
  const until = `${new Date(rest.until).toISOString()} (${formatDuration(rest.until - now)})`;
  return `${failed}; the group rests until ${until}, or until a person lifts that: coppice resume ${groupKey(group.group)} --reason TEXT`;
}

function coolingDown({ policy, swaps, now }: SwapProposal): string | null {
  const last = Math.max(...voluntary(swaps).map(({ at }) => at));
  const until = last + policy.cooldownMs;
  if (until <= now) return null;
  return `the last voluntary swap began ${formatDuration(Math.max(0, now - last))} ago, and the cooldown is ${formatDuration(policy.cooldownMs)}`;
}

function frozen({ policy, now }: SwapProposal): string | null {
  return freezeAt(policy, now)?.detail ?? null;
}

function overBudget({ policy, group, swaps, now }: SwapProposal): string | null {
  for (const budget of policy.budgets) {
    const span = spanOf(budget, now);
    if (span === null) continue;
    const used = voluntary(swaps).filter(({ at }) => !(at <= span.after)).length;
    const allowed = span.countable ? allowance(budget, group.desired) : 0;
    if (used >= allowed) {
      return `voluntary swaps begun ${span.words}: ${used}; the budget allows ${allowed}${span.end}`;
    }
  }
  return null;
}

/** What a budget counts over. */
interface Span {
  /** Swaps at that time, or before it, do not count. */
  readonly after: number;
  /** Whether all swaps of the span are remembered. */
  readonly countable: boolean;
  readonly words: string;
  /** Up to when the budget holds, in words. */
  readonly end: string;
}

/** Null while the budget does not hold. */
function spanOf({ perMs = Number.NaN, window }: BudgetSpec, now: number): Span | null {
  if (window === undefined) return sliding(perMs, now, '');
  const state = windowAt(window, now);
  if (state.kind === 'closed') return null;
  // It has refused the swap before, as a freeze.
  if (state.kind === 'unreadable') return sliding(Number.NaN, now, '');
  if (!Number.isNaN(perMs)) return sliding(perMs, now, endOf(state));
  return {
    after: state.since - 1,
    countable: window.durationMs <= SWAPS_REMEMBERED_MS,
    words: `since the window opened at ${state.local(state.since)}`,
    end: ` until ${state.local(state.until)}`,
  };
}

function sliding(perMs: number, now: number, end: string): Span {
  const countable = perMs > 0 && perMs <= SWAPS_REMEMBERED_MS;
  return { after: now - perMs, countable, words: `within ${formatDuration(perMs)}`, end };
}

function endOf({ closes, local }: OpenWindow): string {
  return closes === null ? '' : ` until ${local(closes)}`;
}

/**
 * Swaps that the budget allows at that desired capacity. A share is rounded down, but a share above 0 allows one, or
 * small groups could never be swapped. What makes no sense allows nothing.
 */
function allowance({ swaps }: BudgetSpec, desired: number): number {
  if (!(swaps.value > 0)) return 0;
  if (swaps.kind === 'count') return Math.floor(swaps.value);
  return swaps.value <= 1 ? Math.max(1, roundDown(swaps.value * desired)) : 0;
}

function tooFewServing({ policy, group }: SwapProposal): string | null {
  const serving = servingCount(group);
  const wanted = roundUp(policy.minHealthy * group.desired);
  if (serving >= wanted) return null;
  return `${serving} of ${group.desired} instances are in service, and ${wanted} must be`;
}

function tooYoung({ policy, instance, now }: SwapProposal): string | null {
  const age = now - instance.launchedAt;
  if (age >= policy.minInstanceAgeMs) return null;
  return `the instance is ${formatDuration(Math.max(0, age))} old, and must be ${formatDuration(policy.minInstanceAgeMs)} old`;
}

function voluntary(swaps: readonly PastSwap[]): readonly PastSwap[] {
  return swaps.filter(({ urgent }) => !urgent);
}
