import fc from 'fast-check';
import type { CloudOperation } from '../../src/cloud/simulated/call-book.ts';
import { type GroupSpec, instances, template } from '../../src/cloud/simulated/world.ts';
import type { PolicySpec } from '../../src/engine/policy.ts';
import type { RuleSpec, SwapSpec } from '../../src/engine/rule.ts';
import type { Ruleset } from '../../src/engine/ruleset.ts';
import type { Loss } from '../acceptance/swap-fuse.ts';
import { WRITES } from '../acceptance/swap-site.ts';
import { doing, lax, rule, ruleset, swap, trigger } from '../unit/engine/build.ts';

/** What happens at a time of a story; `group` and `member` are positions, taken modulo what there is. */
export type Happening =
  | { readonly kind: 'alert'; readonly group: number; readonly member: number; readonly name: AlertName }
  | { readonly kind: 'interrupt' | 'kill'; readonly group: number; readonly member: number }
  | { readonly kind: 'scale'; readonly group: number; readonly by: number }
  | { readonly kind: 'bound'; readonly group: number; readonly bound: 'min' | 'max'; readonly value: number }
  | { readonly kind: 'process'; readonly group: number; readonly name: string; readonly on: boolean }
  | {
      readonly kind: 'fault';
      readonly operation: CloudOperation;
      readonly fault: Fault;
      readonly times: number;
    }
  | { readonly kind: 'lost-answer'; readonly operation: CloudOperation }
  | { readonly kind: 'shortage'; readonly seconds: number };

export type AlertName = 'Interrupted' | 'Replace' | 'TakeOut';

export interface Fault {
  readonly code: string;
  readonly status: number;
}

export interface Story {
  readonly groups: readonly Partial<GroupSpec>[];
  readonly policy: Pick<PolicySpec, 'onDemand' | 'diversity' | 'cooldownMs' | 'swap'>;
  readonly swap: Partial<SwapSpec>;
  readonly readLagMs: number;
  readonly launchVia: 'auto' | 'run-instances';
  readonly happenings: readonly { readonly second: number; readonly what: Happening }[];
  /** Each process but the last is lost at one of its writes, if it gets so far; then nobody is there for a while. */
  readonly losses: readonly { readonly loss: Loss; readonly downSeconds: number }[];
}

/** The last happening comes within so many seconds. */
export const LAST_SECOND = 300;

/** Faults of every class that passes, takes the next candidate, or makes a swap give up. */
const FAULTS: readonly Fault[] = [
  { code: 'InternalError', status: 500 },
  { code: 'Throttling', status: 400 },
  { code: 'RequestLimitExceeded', status: 503 },
  { code: 'ResourceContention', status: 500 },
  { code: 'ScalingActivityInProgress', status: 400 },
  { code: 'UnauthorizedOperation', status: 403 },
];

/** What only a launch can meet. */
const LAUNCH_FAULTS: readonly Fault[] = [
  { code: 'InsufficientInstanceCapacity', status: 500 },
  { code: 'MaxSpotInstanceCountExceeded', status: 400 },
  { code: 'VcpuLimitExceeded', status: 400 },
];

const READS: readonly CloudOperation[] = ['groupsNamed', 'groupInDetail', 'instances', 'groups'];
const PROCESSES = ['AZRebalance', 'AlarmNotification', 'Launch', 'Terminate'] as const;

const group = fc.nat(2);
const member = fc.nat(5);
/** Far from every bound that a swap can make of these groups, so that a person's bound is told from Coppice's. */
const bound = fc.oneof(
  fc.record({ bound: fc.constant('max' as const), value: fc.constantFrom(20, 21, 22) }),
  fc.record({ bound: fc.constant('min' as const), value: fc.constantFrom(0, 1) }),
);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      ...{ kind: fc.constant('alert' as const), group, member },
      name: fc.constantFrom<AlertName>('Interrupted', 'Replace', 'Replace', 'TakeOut'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('interrupt' as const, 'kill' as const), group, member }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('scale' as const), group, by: fc.constantFrom(1, -1, 2) }),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(group, bound)
      .map(([which, rest]) => ({ kind: 'bound' as const, group: which, ...rest })),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      ...{ kind: fc.constant('process' as const), group, on: fc.boolean() },
      name: fc.constantFrom(...PROCESSES),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('fault' as const),
      operation: fc.constantFrom<CloudOperation>(...WRITES, ...READS),
      fault: fc.constantFrom(...FAULTS),
      times: fc.constantFrom(1, 1, 3),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('fault' as const),
      operation: fc.constantFrom<CloudOperation>('launch', 'launchFleet'),
      fault: fc.constantFrom(...LAUNCH_FAULTS),
      times: fc.constantFrom(1, 3),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('lost-answer' as const),
      operation: fc.constantFrom<CloudOperation>(...WRITES),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('shortage' as const), seconds: fc.constantFrom(30, 200) }),
  },
);

const spec: fc.Arbitrary<Partial<GroupSpec>> = fc
  .record({
    size: fc.constantFrom(2, 3, 4),
    onDemand: fc.constantFrom(0, 1),
    room: fc.constantFrom(0, 1, 4),
    tight: fc.boolean(),
    targetGroups: fc.constantFrom([], ['arn:a']),
    terminating: fc.boolean(),
    zones: fc.constantFrom(1, 2),
    rebalances: fc.boolean(),
  })
  .map(({ size, onDemand, room, tight, terminating, zones, ...rest }) => ({
    ...rest,
    min: tight ? size : 1,
    max: size + room,
    zones: ['eu-west-1a', 'eu-west-1b'].slice(0, zones),
    hooks: { launching: false, terminating },
    launch: template('m5.large', { spot: true }),
    instances: [
      instances('m5.large', 'eu-west-1a', size - onDemand, { purchaseOption: 'spot' }),
      instances('m5.large', zones === 2 ? 'eu-west-1b' : 'eu-west-1a', onDemand),
    ].filter(({ count }) => count > 0),
  }));

const policy: fc.Arbitrary<Story['policy']> = fc.record(
  {
    onDemand: fc.constantFrom({ base: 1, shareAboveBase: 0 }, { base: 0, shareAboveBase: 0.5 }),
    diversity: fc.constantFrom({ maxMarketShare: 0.5 }, { maxMarketShare: 0.34 }),
    cooldownMs: fc.constantFrom(0, 60_000),
    swap: fc.record({
      order: fc.constantFrom('launch-first' as const, 'launch-first' as const, 'detach-first' as const),
      headroom: fc.constantFrom('raise-max' as const, 'detach-first' as const),
      fallbackToOnDemand: fc.boolean(),
    }),
  },
  { requiredKeys: ['swap'] },
);

export const story: fc.Arbitrary<Story> = fc.record({
  groups: fc.array(spec, { minLength: 2, maxLength: 3 }),
  policy,
  swap: fc.record({
    to: fc.constantFrom('auto' as const, 'spot' as const, 'same' as const),
    terminate: fc.boolean(),
  }),
  readLagMs: fc.constantFrom(0, 0, 3000),
  launchVia: fc.constantFrom('auto' as const, 'run-instances' as const),
  happenings: fc.array(fc.record({ second: fc.nat(LAST_SECOND), what: happening }), { maxLength: 14 }),
  losses: fc.array(
    fc.record({
      loss: fc.record({
        at: fc.integer({ min: 1, max: 90 }),
        when: fc.constantFrom('before' as const, 'after' as const),
      }),
      downSeconds: fc.constantFrom(0, 5, 61, 300),
    }),
    { maxLength: 3 },
  ),
});

/** The rules that a story is lived under: what alerts ask for, and what Coppice does by itself every minute. */
export function rulesetOf(one: Pick<Story, 'policy' | 'swap'>): Ruleset {
  const policies = [lax({ name: 'storm', cooldownMs: 0, ...one.policy })];
  return ruleset([...alertRules(one), ...timeRules()], policies);
}

/** The same policies with no rule: nothing new is begun. */
export function quietRuleset(one: Pick<Story, 'policy'>): Ruleset {
  return ruleset([], [lax({ name: 'storm', cooldownMs: 0, ...one.policy })]);
}

function alertRules({ swap: wanted }: Pick<Story, 'swap'>): readonly RuleSpec[] {
  const on = (name: AlertName): Pick<RuleSpec, 'on'> => ({
    on: [trigger({ type: `prometheus.server.alert.${name}` })],
  });
  return [
    rule('interrupted', { ...on('Interrupted'), ...doing(swap({ urgent: true, terminate: false })) }),
    rule('replace', { ...on('Replace'), ...doing(swap(wanted)) }),
    rule('take-out', {
      ...on('TakeOut'),
      ...doing({ kind: 'terminate', terminate: { replace: true, urgent: false } }),
    }),
  ];
}

function timeRules(): readonly RuleSpec[] {
  const every = { on: [{ kind: 'every', everyMs: 60_000 } as const] };
  return [
    rule('diversify', {
      ...every,
      when: { fact: 'group.diversityRatio', operator: 'lessThan', value: 0.6 },
      target: { pick: 'most-crowded-market', limit: 1 },
      cooldown: { forMs: 180_000, per: ['group'], after: 'dispatch' },
      ...doing(swap({ to: 'spot' })),
    }),
    rule('restore-floor', {
      ...every,
      when: { fact: 'group.onDemandShortfall', operator: 'greaterThan', value: 0 },
      target: { pick: 'costliest-spot', limit: 1 },
      ...doing(swap({ to: 'on-demand' })),
    }),
  ];
}
