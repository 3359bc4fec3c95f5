import { asFailure, type Failure, type FailureCode } from '../../base/failure.ts';
import type { Cloud } from '../cloud.ts';
import { classify } from '../fault.ts';
import type { Refusal } from './refusal.ts';

/** A method of the port. */
export type CloudOperation = keyof Cloud;

/** What each method is at AWS; part of the error messages, and what `classify` tells reads and launches by. */
const SDK_OPERATIONS: Readonly<Record<CloudOperation, string>> = {
  groups: 'DescribeAutoScalingGroups',
  groupsNamed: 'DescribeAutoScalingGroups',
  groupInDetail: 'DescribeAutoScalingGroups',
  instances: 'DescribeInstances',
  instancesTagged: 'DescribeInstances',
  launchSource: 'DescribeLaunchTemplateVersions',
  marketData: 'DescribeSpotPriceHistory',
  targetHealth: 'DescribeTargetHealth',
  launch: 'RunInstances',
  launchFleet: 'CreateFleet',
  terminate: 'TerminateInstances',
  attach: 'AttachInstances',
  detach: 'DetachInstances',
  terminateInGroup: 'TerminateInstanceInAutoScalingGroup',
  suspend: 'SuspendProcesses',
  resume: 'ResumeProcesses',
  resize: 'UpdateAutoScalingGroup',
  protect: 'SetInstanceProtection',
  tagGroup: 'CreateOrUpdateTags',
  tagInstance: 'CreateTags',
};

/** One call of the port. */
export interface CallRecord {
  /** ms since the epoch. */
  readonly at: number;
  readonly operation: CloudOperation;
  readonly args: readonly unknown[];
  /** `ok`, or the code it failed with. */
  readonly outcome: 'ok' | FailureCode;
}

/** A fault to be injected; what is left out is an internal error of the server, once. */
export interface PlannedFault {
  readonly code?: string;
  readonly message?: string;
  /** HTTP status; null when there is no answer at all, and the request never arrived. */
  readonly status?: number | null;
  readonly times?: number;
}

/** The longest history that is kept: a daemon may run on the simulator for days. */
const LONGEST_HISTORY = 10_000;

const LOST: Refusal = { code: 'TimeoutError', message: 'socket hang up', status: null };

/** Counts and remembers the calls, and fails those that a test wants to fail. */
export class CallBook {
  readonly #counts: Record<CloudOperation, number>;
  readonly #history: CallRecord[] = [];
  readonly #faults = new Map<CloudOperation, Refusal[]>();
  readonly #lost = new Map<CloudOperation, number>();

  constructor() {
    this.#counts = { ...ZERO };
  }

  get counts(): Readonly<Record<CloudOperation, number>> {
    return { ...this.#counts };
  }

  get history(): readonly CallRecord[] {
    return [...this.#history];
  }

  /** Fails the next calls of the operation before they take effect. Plans add up, first planned, first met. */
  failNext(operation: CloudOperation, fault: PlannedFault): void {
    const {
      code = 'InternalError',
      message = 'An internal error has occurred',
      status = 500,
      times = 1,
    } = fault;
    const planned = Array.from({ length: times }, () => ({ code, message, status }));
    this.#faults.set(operation, [...(this.#faults.get(operation) ?? []), ...planned]);
  }

  /** Lets the next calls of the operation take effect and then loses their answers. */
  loseAnswer(operation: CloudOperation, times: number): void {
    this.#lost.set(operation, (this.#lost.get(operation) ?? 0) + times);
  }

  /** Forgets every fault and lost answer that is still planned. */
  calm(): void {
    this.#faults.clear();
    this.#lost.clear();
  }

  /** Performs one call with what is planned for it, and writes it down. */
  perform<T>(at: number, operation: CloudOperation, args: readonly unknown[], act: () => T): T {
    this.#counts[operation] += 1;
    try {
      const planned = this.#faults.get(operation)?.shift();
      if (planned !== undefined) throw refused(operation, planned);
      const answer = act();
      if (this.#isLost(operation)) throw refused(operation, LOST);
      this.#record({ at, operation, args, outcome: 'ok' });
      return answer;
    } catch (thrown) {
      this.#record({ at, operation, args, outcome: asFailure(thrown).code });
      throw thrown;
    }
  }

  #isLost(operation: CloudOperation): boolean {
    const left = this.#lost.get(operation) ?? 0;
    if (left > 0) this.#lost.set(operation, left - 1);
    return left > 0;
  }

  #record(call: CallRecord): void {
    this.#history.push(call);
    if (this.#history.length > LONGEST_HISTORY) this.#history.shift();
  }
}

/** A refusal as the Failure that the AWS adapter would make of it. */
export function refused(operation: CloudOperation, refusal: Refusal): Failure {
  return classify({ operation: SDK_OPERATIONS[operation], ...refusal });
}

const ZERO: Readonly<Record<CloudOperation, number>> = {
  groups: 0,
  groupsNamed: 0,
  groupInDetail: 0,
  instances: 0,
  instancesTagged: 0,
  launchSource: 0,
  marketData: 0,
  targetHealth: 0,
  launch: 0,
  launchFleet: 0,
  terminate: 0,
  attach: 0,
  detach: 0,
  terminateInGroup: 0,
  suspend: 0,
  resume: 0,
  resize: 0,
  protect: 0,
  tagGroup: 0,
  tagInstance: 0,
};
