import type { Cooldown } from '../actions/store.ts';
import { groupKey } from '../base/group-name.ts';
import { tupleParts } from '../engine/event.ts';
import type { GroupView } from '../engine/fleet.ts';
import type { Memory } from '../engine/memory.ts';
import type { EffectivePolicy } from '../engine/policy.ts';
import { type Recheck, waitsFor } from '../engine/recheck.ts';
import { comingTime } from './present.ts';

export interface CooldownInput {
  readonly view: GroupView;
  readonly memory: Memory;
  /** Of rules, of any group. */
  readonly cooldowns: readonly Cooldown[];
  /** Second looks of rules that wait, of this group. */
  readonly rechecks: readonly Recheck[];
  readonly now: number;
}

/**
 * What still holds swaps of the group back: its policies' cooldown after the last voluntary swap, the cooldowns of
 * rules that are counted by the group, by one of its instances, or by something that all groups share, and the delays of
 * rules that will look again.
 */
export function presentCooldowns(input: CooldownInput, policy: EffectivePolicy | null): object[] {
  const { view, memory, now } = input;
  const key = groupKey(view.group);
  const last = memory.swaps(key).findLast(({ urgent }) => !urgent);
  const policyUntil = policy === null || last === undefined ? null : last.at + policy.cooldownMs;
  const ofPolicy = { kind: 'policy', rule: null, per: { group: key }, until: comingTime(policyUntil, now) };
  const ofRules = input.cooldowns
    .map(({ rule, key: counted, until }) => ({ rule, per: scopesOf(counted), until: comingTime(until, now) }))
    .filter(({ per }) => concerns(per, view))
    .map(({ rule, per, until }) => ({ kind: 'rule', rule, per: Object.fromEntries(per), until }));
  const delays = input.rechecks.map((recheck) => presentDelay(recheck, now));
  return [ofPolicy, ...ofRules, ...delays].filter(({ until }) => until !== null);
}

interface Delay {
  readonly kind: 'delay';
  readonly rule: string;
  readonly per: object;
  readonly until: string | null;
}

function presentDelay(recheck: Recheck, now: number): Delay {
  const { group, instance } = waitsFor(recheck);
  const per = instance === null ? { group } : { group, instance };
  return { kind: 'delay', rule: recheck.rule, per, until: comingTime(recheck.dueAt, now) };
}

type Scopes = readonly (readonly [scope: string, value: string])[];

/** What a cooldown is counted by: its key is a tuple of scopes, each followed by its value (engine, guards.ts). */
function scopesOf(key: string): Scopes {
  const parts = tupleParts(key);
  return parts.flatMap((scope, index) => (index % 2 === 0 ? [[scope, parts[index + 1] ?? ''] as const] : []));
}

function concerns(scopes: Scopes, { group, instances }: GroupView): boolean {
  return scopes.every(([scope, value]) => {
    if (scope === 'group') return value === groupKey(group);
    return scope !== 'instance' || instances.some(({ id }) => id === value);
  });
}
