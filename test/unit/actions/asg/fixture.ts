import type { PlanInput } from '../../../../src/actions/asg/swap-plan.ts';
import { groupView, pricesIn } from '../../../../src/actions/fleet.ts';
import type { GroupName } from '../../../../src/base/group-name.ts';
import type { Market } from '../../../../src/base/market.ts';
import type {
  GroupDetail,
  Instance,
  InstanceType,
  LaunchSource,
  MarketData,
  MarketOffer,
  Member,
} from '../../../../src/cloud/cloud.ts';
import { NOTHING_REMEMBERED } from '../../../../src/engine/memory.ts';
import { limitsOf } from '../../../../src/engine/policies.ts';
import type { EffectivePolicy, PolicySpec } from '../../../../src/engine/policy.ts';
import { PLAIN_SWAP, type SwapSpec } from '../../../../src/engine/rule.ts';

export const WEB: GroupName = { account: '123456789012', region: 'eu-west-1', name: 'web' };
export const ZONE = 'eu-west-1a';
const NOW = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

/** A plain type: two vCPUs, 8 GiB, x86, sold both ways. */
export function type(name: string, rest: Partial<InstanceType> = {}): InstanceType {
  return {
    ...{ name, vcpus: 2, memoryMib: 8192, architectures: ['x86_64'], gpus: 0, localDiskGb: 0 },
    ...{ gpuModels: [], bootModes: [], networkInterfaces: null },
    ...{ burstable: false, bareMetal: false, currentGeneration: true, ena: 'supported' },
    ...{ virtualization: ['hvm'], usageClasses: ['spot', 'on-demand'] },
    ...rest,
  };
}

export function offer(name: string, rest: Partial<MarketOffer> = {}): MarketOffer {
  return {
    ...{ type: name, zone: ZONE, spotPrice: 0.04, onDemandPrice: 0.1 },
    ...{ spotAverage: 0.04, spotVolatility: 0.1, interruptionBand: null },
    ...rest,
  };
}

export function dataOf(types: readonly InstanceType[], offers: readonly MarketOffer[]): MarketData {
  return { types: new Map(types.map((one) => [one.name, one])), offers };
}

export function spot(name: string, zone = ZONE): Market {
  return { type: name, zone, purchaseOption: 'spot' };
}

/** The limits of one policy that sets these, safeties filled in. */
export function limits(rest: Partial<PolicySpec> = {}): EffectivePolicy {
  return limitsOf({ name: 'p', description: null, groups: { names: ['*'] }, ...rest });
}

export const SPEC: SwapSpec = { ...PLAIN_SWAP, to: 'spot' };

/** A member and its machine. */
export interface Pair {
  readonly member: Member;
  readonly machine: Instance;
}

export function pair(
  id: string,
  market: Market,
  rest: { member?: Partial<Member>; machine?: Partial<Instance> } = {},
): Pair {
  return {
    member: {
      ...{ instanceId: id, type: market.type, zone: market.zone, lifecycleState: 'InService' },
      ...{ healthStatus: 'Healthy', protectedFromScaleIn: false },
      ...rest.member,
    },
    machine: {
      ...{
        id,
        ...market,
        platform: 'Linux/UNIX',
        subnet: 'subnet-a',
        state: 'running',
        stateReason: null,
        launchedAt: NOW - DAY_MS,
      },
      ...{ privateDnsName: null, privateAddress: null, tags: {} },
      ...rest.machine,
    },
  };
}

export const TEMPLATE: LaunchSource = {
  kind: 'template',
  ...{ templateId: 'lt-1', version: '3', asksForSpot: true, networkInterfaces: [] },
  defaults: {
    instanceType: 'm5.large',
    imageId: 'ami-1',
    image: {
      architecture: 'x86_64',
      virtualization: 'hvm',
      ena: true,
      bootMode: null,
      platform: 'Linux/UNIX',
    },
  },
};

export interface PlanParts {
  readonly pairs?: readonly Pair[];
  readonly group?: Partial<GroupDetail>;
  readonly spec?: Partial<SwapSpec>;
  readonly policy?: Partial<PolicySpec>;
  readonly rest?: Partial<Omit<PlanInput, 'group' | 'spec' | 'policy'>>;
}

/** Four spot m5.large of a day, of which `i-1` is to be swapped; m6i.large and m5a.large may come. */
export function planInput(parts: PlanParts = {}): PlanInput {
  const pairs = parts.pairs ?? ['i-1', 'i-2', 'i-3', 'i-4'].map((id) => pair(id, spot('m5.large')));
  const machines = new Map(pairs.map(({ machine }) => [machine.id, machine]));
  const group: GroupDetail = {
    ...{ group: WEB, desired: pairs.length, min: 2, max: 8, tags: [] },
    members: pairs.map(({ member }) => member),
    ...{ zones: [ZONE], subnets: ['subnet-a'], suspendedProcesses: [], healthCheckGraceSeconds: 60 },
    launch: { kind: 'template', template: { id: 'lt-1', version: '3' } },
    ...{ targetGroups: [], loadBalancers: [], deleting: false, operator: null, weighted: false },
    hooks: { launching: false, terminating: false },
    ...{ instanceRefreshActive: false, warmPool: false, newInstancesProtected: false, placementGroup: null },
    ...parts.group,
  };
  const data =
    parts.rest?.data ??
    dataOf(
      ['m5.large', 'm6i.large', 'm5a.large'].map((name) => type(name)),
      ['m5.large', 'm6i.large', 'm5a.large'].map((name) => offer(name)),
    );
  return {
    ...{ spec: { ...SPEC, ...parts.spec }, instanceId: 'i-1', group, machines, source: TEMPLATE, data },
    run: 'run_1',
    advice: { kind: 'none' },
    view: groupView(group, machines, pricesIn(data)),
    policy: limits(parts.policy),
    ...{ memory: NOTHING_REMEMBERED, ownInstance: null, launchVia: 'auto', now: NOW },
    ...parts.rest,
  };
}
