import type { Clock, Timer } from '../../base/clock.ts';
import { formatDuration } from '../../base/duration.ts';
import { Failure } from '../../base/failure.ts';

/** A service of AWS as far as its limits go; those of the two generations of load balancers are apart. */
export type Service = 'autoscaling' | 'ec2' | 'elasticloadbalancing' | 'elasticloadbalancingv2';

/** One request that waits for its turn. */
export interface Asking {
  readonly service: Service;
  /** In the SDK's words, e.g. `DescribeInstances`. */
  readonly operation: string;
}

/** Keeps the requests to one region within a share of what AWS allows the whole account there (pitfall 21). */
export interface Pace {
  /**
   * Resolves when the request may be sent: at once while there is room, else in the order of asking, what changes something
   * before what reads. Fails with `throttled` (retry) when that takes longer than MAX_WAIT_MS.
   */
  turn(request: Asking): Promise<void>;
}

/** A token bucket as AWS has it: so many requests at once, and so many a second. */
interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** What Coppice takes for itself; the rest is for the groups themselves, for autoscalers, deployments and people. */
const SHARE = 0.5;
/** Well below the margin that a lease keeps before its end, since a request that waits here is not fenced any more; ms. */
const MAX_WAIT_MS = 10_000;

/**
 * Auto Scaling has one bucket for all of its actions, and AWS does not publish its size (AWS re:Post,
 * "autoscaling-api-calls-throttled"). Taken at half of what EC2 allows a single action that reads: a guess on the safe
 * side, since whoever exceeds the real one stops the scaling of every group in the account.
 */
const AUTO_SCALING: Rate = { burst: 50, perSecond: 20 };
/** EC2's buckets, one an action (EC2 developer guide, "Request throttling"); for reads that filter or go by pages. */
const EC2_READING: Rate = { burst: 100, perSecond: 20 };
const EC2_WRITING: Rate = { burst: 50, perSecond: 5 };
const EC2_ACTIONS: ReadonlyMap<string, Rate> = new Map([
  ['RunInstances', { burst: 5, perSecond: 2 }],
  ['TerminateInstances', { burst: 100, perSecond: 5 }],
  ['CreateTags', { burst: 100, perSecond: 10 }],
]);
/** One bucket for all that reads, in each of the two APIs (ELB user guide, "Request throttling"). Nothing else is asked of them. */
const BALANCING: Rate = { burst: 40, perSecond: 10 };

/** The pace of one region, with full buckets. */
export function createPace(clock: Clock): Pace {
  const buckets = new Map<string, Bucket>();
  return {
    turn(request) {
      const key = bucketOf(request);
      const bucket = buckets.get(key) ?? new Bucket(clock, shareOf(rateOf(request)));
      buckets.set(key, bucket);
      return bucket.turn(request.operation);
    },
  };
}

function bucketOf({ service, operation }: Asking): string {
  return service === 'ec2' ? `${service}/${operation}` : service;
}

function rateOf({ service, operation }: Asking): Rate {
  switch (service) {
    case 'autoscaling':
      return AUTO_SCALING;
    case 'ec2':
      return EC2_ACTIONS.get(operation) ?? (isRead(operation) ? EC2_READING : EC2_WRITING);
    case 'elasticloadbalancing':
    case 'elasticloadbalancingv2':
      return BALANCING;
  }
}

function shareOf({ burst, perSecond }: Rate): Rate {
  return { burst: burst * SHARE, perSecond: perSecond * SHARE };
}

function isRead(operation: string): boolean {
  return operation.startsWith('Describe');
}

/** One who waits for a token. */
interface Waiter {
  readonly go: () => void;
  readonly timer: Timer;
}

/** A bucket that fills with time, and those who wait for it. */
class Bucket {
  readonly #clock: Clock;
  readonly #rate: Rate;
  #tokens: number;
  #filledAt: number;
  readonly #writes = new Set<Waiter>();
  readonly #reads = new Set<Waiter>();
  #refill: Timer | null = null;

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock;
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#filledAt = clock.now();
  }

  turn(operation: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const line = isRead(operation) ? this.#reads : this.#writes;
      const waiter: Waiter = {
        go: resolve,
        timer: this.#clock.after(MAX_WAIT_MS, () => {
          line.delete(waiter);
          reject(tooLate(operation));
        }),
      };
      line.add(waiter);
      this.#serve();
    });
  }

  /** Lets go as many as there are tokens; comes back when there is another one. */
  #serve(): void {
    this.#fill();
    for (let next = this.#next(); next !== undefined && this.#tokens >= 1; next = this.#next()) {
      this.#tokens -= 1;
      this.#writes.delete(next);
      this.#reads.delete(next);
      next.timer.cancel();
      next.go();
    }
    if (this.#next() === undefined || this.#refill !== null) return;
    const ms = Math.ceil(((1 - this.#tokens) / this.#rate.perSecond) * 1000);
    this.#refill = this.#clock.after(ms, () => {
      this.#refill = null;
      this.#serve();
    });
  }

  /** The one whose turn it is. Sets keep the order in which they were filled. */
  #next(): Waiter | undefined {
    const [write] = this.#writes;
    const [read] = this.#reads;
    return write ?? read;
  }

  #fill(): void {
    const now = this.#clock.now();
    // A wall clock may be set back.
    const seconds = Math.max(0, now - this.#filledAt) / 1000;
    this.#filledAt = now;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + seconds * this.#rate.perSecond);
  }
}

function tooLate(operation: string): Failure {
  const message = `${operation}: no turn within ${formatDuration(MAX_WAIT_MS)} at the pace that is kept`;
  return new Failure('throttled', 'retry', message);
}
