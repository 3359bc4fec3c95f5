import { RUN_TAG } from '../../src/actions/asg/tags.ts';
import type { Failure } from '../../src/base/failure.ts';
import type { Instance } from '../../src/cloud/cloud.ts';
import { type CloudOperation, refused } from '../../src/cloud/simulated/call-book.ts';
import type { Refusal } from '../../src/cloud/simulated/refusal.ts';
import type { SimulatedCloud } from '../../src/cloud/simulated/simulated-cloud.ts';
import { WRITES } from './swap-site.ts';

/** What becomes of a call: it may or may not be made, and gets another answer than it would have. */
export interface Mishap {
  readonly what: string;
  /** The failure that the caller sees; null when it is an answer. */
  readonly failure: Failure | null;
  meet(call: Call): Promise<unknown>;
}

/** A call of the port that has not been made yet. */
export interface Call {
  readonly cloud: SimulatedCloud;
  readonly args: readonly unknown[];
  make(): Promise<unknown>;
}

interface Row {
  /** In the words of the AWS reference, section 6. */
  readonly name: string;
  readonly operations: readonly CloudOperation[];
  readonly refusal: Refusal;
  /** The refusal is true only of what is the case already, so the effect comes first, as if by a request before this one. */
  readonly already?: true;
}

const EC2_READS = ['instances', 'launchSource', 'marketData'] as const;
const LAUNCHES = ['launch', 'launchFleet'] as const;
const EC2 = [...EC2_READS, ...LAUNCHES, 'terminate', 'tagInstance'] as const;
const GROUP_READS = ['groupsNamed', 'groupInDetail', 'targetHealth'] as const;
const GROUP_WRITES = [
  ...(['attach', 'detach', 'terminateInGroup', 'suspend', 'resume'] as const),
  ...(['resize', 'protect', 'tagGroup'] as const),
] as const;
const AUTO_SCALING = [...GROUP_READS, ...GROUP_WRITES] as const;
const ALL = [...EC2, ...AUTO_SCALING] as const;

const SIZES =
  'AutoScalingGroup web has min-size=4, max-size=4, and desired-size=4. To change 1 instance, please update the AutoScalingGroup sizes appropriately.';
const PENDING_DELETE = 'The AutoScaling group may not be modified while it is pending delete';

/** The classes of the AWS reference, section 6, and the operations that can meet them. */
const ROWS: readonly Row[] = [
  row('next candidate', LAUNCHES, 'InsufficientInstanceCapacity', { status: 500 }),
  row('next candidate', LAUNCHES, 'UnfulfillableCapacity'),
  row('next candidate', LAUNCHES, 'InsufficientFreeAddressesInSubnet'),
  row('next candidate', LAUNCHES, 'InvalidParameterValue', { message: 'instance type is not supported' }),
  row('quota', LAUNCHES, 'MaxSpotInstanceCountExceeded'),
  row('quota', LAUNCHES, 'VcpuLimitExceeded'),
  row('quota', ['tagGroup'], 'LimitExceeded'),
  row('retry same', EC2, 'RequestLimitExceeded', { status: 503 }),
  row('retry same', AUTO_SCALING, 'Throttling'),
  row('retry same', AUTO_SCALING, 'ValidationError', { message: 'Rate exceeded' }),
  row('retry same', ALL, 'InternalError', { status: 500 }),
  row('retry same', ALL, 'ServiceUnavailable', { status: 503 }),
  row('retry same', ALL, 'TimeoutError', { status: null }),
  row('retry same', GROUP_WRITES, 'ResourceContention', { status: 500 }),
  row('retry same', ['detach', 'terminateInGroup', 'resize'], 'ScalingActivityInProgress'),
  row('retry same', ['tagInstance'], 'ConcurrentTagAccess'),
  row('retry same', LAUNCHES, 'IdempotentCallInProgress'),
  row('not found yet', ['tagInstance'], 'InvalidInstanceID.NotFound'),
  row('not found yet', ['attach'], 'ValidationError', { message: 'Invalid Instance ID(s) specified' }),
  row('fatal', EC2, 'UnauthorizedOperation', { status: 403 }),
  row('fatal', AUTO_SCALING, 'AccessDenied', { status: 403 }),
  row('fatal', LAUNCHES, 'InvalidAMIID.NotFound'),
  row('fatal', LAUNCHES, 'InvalidParameterCombination'),
  row('fatal', LAUNCHES, 'IdempotentParameterMismatch'),
  row('fatal', [...LAUNCHES, 'launchSource'], 'InvalidLaunchTemplateId.NotFound'),
  row('fatal', ['tagInstance', 'tagGroup'], 'TagPolicyViolation'),
  row('fatal', ALL, 'ValidationError', { message: '1 validation error detected' }),
  row('already done', LAUNCHES, 'IdempotentInstanceTerminated'),
  already('attach', 'ValidationError', 'The instance is already part of AutoScalingGroup: web'),
  already('detach', 'ValidationError', 'The instance is not part of Auto Scaling group web.'),
  already('terminateInGroup', 'ValidationError', 'Instance Id not found - No managed instance found'),
  already('terminate', 'InvalidInstanceID.NotFound', 'The instance ID does not exist'),
  row('size refusal', ['attach', 'detach'], 'ValidationError', { message: SIZES }),
  row('size refusal', ['terminateInGroup'], 'ValidationError', {
    message:
      "Currently, desiredSize equals minSize (4). Terminating instance without replacement will violate group's min size constraint.",
  }),
  row('state refusal', ['attach'], 'ValidationError', { message: 'is not in the running state.' }),
  row('state refusal', ['attach'], 'ValidationError', { message: 'The Launch process is suspended.' }),
  row('state refusal', ['detach'], 'ValidationError', { message: 'is not in InService or Standby.' }),
  row('state refusal', ['protect'], 'ValidationError', { message: 'is not in InService.' }),
  row('state refusal', GROUP_WRITES, 'ValidationError', { message: PENDING_DELETE }),
  row('state refusal', ['suspend', 'resume', 'tagGroup'], 'ResourceInUse'),
  row('state refusal', ['terminate'], 'OperationNotPermitted'),
];

function row(
  name: string,
  operations: readonly CloudOperation[],
  code: string,
  { message = code, status = 400 }: Partial<Omit<Refusal, 'code'>> = {},
): Row {
  return { name, operations, refusal: { code, message, status } };
}

function already(operation: CloudOperation, code: string, message: string): Row {
  return { ...row('already done', [operation], code, { message }), already: true };
}

/**
 * Every class of errors that the operation can meet. What the adapter makes the same failure of, by code and disposition, no
 * caller can tell apart, so of such there is only the first.
 */
export function mishapsOf(operation: CloudOperation): readonly Mishap[] {
  const byVerdict = new Map<string, Mishap>();
  for (const { operations, name, refusal, already: done = false } of ROWS) {
    if (!operations.includes(operation)) continue;
    const failure = refused(operation, refusal);
    const verdict = `${failure.code} ${failure.disposition}`;
    const what = `${name} (${refusal.code}: ${verdict})`;
    if (byVerdict.has(verdict)) continue;
    byVerdict.set(verdict, done ? doneFirst(what, failure) : refusing(what, failure));
  }
  return [...byVerdict.values(), ...(UNSEEN[operation] ?? [])];
}

/** The call takes effect, and its answer never comes; empty for what only reads. */
export function lostAnswersOf(operation: CloudOperation): readonly Mishap[] {
  if (!WRITES.includes(operation)) return [];
  const failure = refused(operation, { code: 'TimeoutError', message: 'socket hang up', status: null });
  const lost = (): Promise<never> => Promise.reject(failure);
  return [{ what: 'lost answer', failure, meet: ({ make }) => make().then(lost, lost) }];
}

function refusing(what: string, failure: Failure): Mishap {
  return { what, failure, meet: () => Promise.reject(failure) };
}

/** What AWS refuses for another reason is refused for that one. */
function doneFirst(what: string, failure: Failure): Mishap {
  return { what, failure, meet: ({ make }) => make().then(() => Promise.reject(failure)) };
}

const UNKNOWN = refused('terminate', {
  ...{ code: 'InvalidInstanceID.NotFound', message: 'The instance ID does not exist', status: 400 },
});

/** Eventual consistency: what Coppice has launched cannot be seen everywhere yet. What was there before always can. */
const UNSEEN: Partial<Record<CloudOperation, readonly Mishap[]>> = {
  instances: [
    {
      what: 'not found yet (left out)',
      failure: null,
      async meet({ make }) {
        const seen = (await make()) as readonly Instance[];
        return seen.filter(({ tags }) => !(RUN_TAG in tags));
      },
    },
  ],
  terminate: [
    {
      what: 'not found yet',
      failure: UNKNOWN,
      meet({ cloud, args: [, id], make }) {
        const isOurs = cloud.snapshot().instances.some((one) => one.id === id && RUN_TAG in one.tags);
        return isOurs ? Promise.reject(UNKNOWN) : make();
      },
    },
  ],
};
