import { groupKey } from '../../../src/base/group-name.ts';
import type { Event } from '../../../src/engine/event.ts';
import type { FleetView, GroupView, InstanceView } from '../../../src/engine/fleet.ts';
import type { NamedConditions } from '../../../src/engine/inline.ts';
import { type Memory, NOTHING_REMEMBERED } from '../../../src/engine/memory.ts';
import { limitsOf } from '../../../src/engine/policies.ts';
import type { EffectivePolicy, PolicySpec } from '../../../src/engine/policy.ts';
import {
  type ActionSpec,
  PLAIN_SWAP,
  type RuleSpec,
  type SwapSpec,
  type TriggerSpec,
} from '../../../src/engine/rule.ts';
import { compileRuleset, type Ruleset } from '../../../src/engine/ruleset.ts';

export const NOW = Date.UTC(2026, 0, 15, 12);
export const MINUTE = 60_000;
export const HOUR = 3_600_000;

/** A healthy spot instance in service, launched two hours ago. */
export function instance(id: string, but: Partial<InstanceView> = {}): InstanceView {
  return {
    id,
    type: 'm5.large',
    zone: 'eu-west-1a',
    purchaseOption: 'spot',
    lifecycleState: 'InService',
    healthStatus: 'Healthy',
    protectedFromScaleIn: false,
    launchedAt: NOW - 2 * HOUR,
    privateDnsName: null,
    privateAddress: null,
    tags: {},
    hourlyPrice: 0.04,
    onDemandHourlyPrice: 0.1,
    ...but,
  };
}

export function onDemand(id: string, but: Partial<InstanceView> = {}): InstanceView {
  return instance(id, { purchaseOption: 'on-demand', hourlyPrice: 0.1, ...but });
}

/** A group with as many instances as desired. */
export function group(instances: readonly InstanceView[], but: Partial<GroupView> = {}): GroupView {
  return {
    group: { account: '111111111111', region: 'eu-west-1', name: 'web' },
    desired: instances.length,
    min: 0,
    max: 20,
    tags: { env: 'prod' },
    instances,
    ...but,
  };
}

export function fleet(...groups: readonly GroupView[]): FleetView {
  const instances = new Map<string, { group: string; instance: InstanceView }>();
  const addresses = new Map<string, string>();
  for (const one of groups) {
    for (const member of one.instances) {
      instances.set(member.id, { group: groupKey(one.group), instance: member });
      const { privateDnsName, privateAddress } = member;
      if (privateAddress !== null) addresses.set(privateAddress, member.id);
      if (privateDnsName !== null) addresses.set(privateDnsName, member.id);
    }
  }
  return {
    readAt: NOW,
    groups: new Map(groups.map((one) => [groupKey(one.group), one])),
    instances,
    addresses,
  };
}

export function event(labels: Event['labels'] = {}, but: Partial<Event> = {}): Event {
  return {
    id: 'evt_1',
    type: 'prometheus.server.alert.Test',
    source: 'http://prometheus',
    subject: null,
    time: NOW - MINUTE,
    endsAt: null,
    status: 'firing',
    labels,
    annotations: {},
    fingerprint: '0000000000000000',
    identity: { kind: 'incident', key: 'k' },
    receivedAt: NOW,
    repeat: false,
    ...but,
  };
}

/** A memory of nothing, but for what is given. */
export function memory(but: Partial<Memory> = {}): Memory {
  return { ...NOTHING_REMEMBERED, ...but };
}

export function swap(but: Partial<SwapSpec> = {}): ActionSpec {
  return { kind: 'swap', swap: { ...PLAIN_SWAP, ...but } };
}

export function trigger(but: Partial<Extract<TriggerSpec, { kind: 'type' }>> = {}): TriggerSpec {
  return {
    kind: 'type',
    type: 'prometheus.server.alert.Test',
    matchers: [],
    status: 'firing',
    repeats: true,
    ...but,
  };
}

/** The actions of a rule. */
export function doing(...then: readonly ActionSpec[]): Pick<RuleSpec, 'then'> {
  return { then };
}

/** A rule that swaps on the alert `Test`. */
export function rule(name: string, but: Partial<RuleSpec> = {}): RuleSpec {
  return {
    name,
    description: null,
    on: [trigger()],
    subject: null,
    when: null,
    target: null,
    delayMs: 0,
    cooldown: null,
    limits: null,
    ...doing(swap()),
    mode: 'enforce',
    enabled: true,
    ...but,
  };
}

/** A policy that selects every group and limits nothing but what is given. */
export function lax(but: Partial<PolicySpec> = {}): PolicySpec {
  return {
    name: 'lax',
    description: null,
    groups: { names: ['*'] },
    cooldownMs: 0,
    budgets: 'unlimited',
    minHealthy: 0,
    minInstanceAgeMs: 0,
    ...but,
  };
}

/** A policy with nothing but safeties. */
export function silent(but: Partial<PolicySpec> = {}): PolicySpec {
  return { name: 'silent', description: null, groups: { names: ['*'] }, ...but };
}

export function limits(but: Partial<PolicySpec> = {}): EffectivePolicy {
  return limitsOf(lax(but));
}

export function ruleset(
  rules: readonly RuleSpec[],
  policies: readonly PolicySpec[] = [lax()],
  conditions: NamedConditions = {},
): Ruleset {
  return compileRuleset({ rules, policies, conditions, hash: 'h', generation: 7, loadedAt: NOW });
}

/** Ids that count up, so that the same input gives the same decisions. */
export function countingIds(): (kind: 'dec' | 'run') => string {
  let count = 0;
  return (kind) => {
    count++;
    return `${kind}_${count}`;
  };
}
