import { type Refusal, refusal } from './refusal.ts';
import type { AwsRequest } from './request-cost.ts';

/** A token bucket: how many requests it takes at once, and how many a second come back. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** EC2's published buckets of single actions; each is one of an account, a region and the action. */
const RATES: ReadonlyMap<string, Rate> = new Map([
  ['RunInstances', { burst: 5, perSecond: 2 }],
  ['TerminateInstances', { burst: 100, perSecond: 5 }],
  ['CreateTags', { burst: 100, perSecond: 10 }],
]);
/** EC2's bucket of a Describe action that filters or goes by pages, as all of ours do. */
const DESCRIBING: Rate = { burst: 100, perSecond: 20 };
/** EC2's bucket of every other action that changes something, CreateFleet among them. */
const CHANGING: Rate = { burst: 50, perSecond: 5 };

/** The token buckets of AWS. EC2 has one for each action, Auto Scaling one for all of its actions together. */
export class Throttle {
  readonly #autoScaling: Rate;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(autoScaling: Rate) {
    this.#autoScaling = autoScaling;
  }

  /** Takes a token for the request, sent at `now` (ms): null, or how AWS refuses it when none is left. */
  refuse(now: number, request: AwsRequest): Refusal | null {
    const rate = this.#rateOf(request);
    const key = bucketOf(request);
    const { tokens, at } = this.#buckets.get(key) ?? { tokens: rate.burst, at: now };
    const filled = Math.min(rate.burst, tokens + ((now - at) / 1000) * rate.perSecond);
    const taken = filled >= 1;
    this.#buckets.set(key, { tokens: taken ? filled - 1 : filled, at: now });
    return taken ? null : rateExceeded(request);
  }

  #rateOf({ service, action, reads }: AwsRequest): Rate {
    if (service === 'autoscaling') return this.#autoScaling;
    return RATES.get(action) ?? (reads ? DESCRIBING : CHANGING);
  }
}

function bucketOf({ service, action, place }: AwsRequest): string {
  const shared = service === 'autoscaling' ? '' : action;
  return [place.account, place.region, service, shared].join('/');
}

function rateExceeded({ service }: AwsRequest): Refusal {
  return service === 'ec2'
    ? refusal('RequestLimitExceeded', 'Request limit exceeded.', 503)
    : refusal('Throttling', 'Rate exceeded');
}
