import type { CloudOperation } from './call-book.ts';
import type { Refusal } from './refusal.ts';
import { type AwsRequest, type PlaceSize, requestsOf } from './request-cost.ts';
import type { SimulatedGroup } from './simulation.ts';
import { Throttle } from './throttle.ts';
import type { SimulatedWorld } from './world.ts';

/** How many requests AWS would have got, refused ones included. */
export interface RequestCounts {
  readonly describes: number;
  readonly mutations: number;
  /** Those among them that were refused for their rate. */
  readonly throttled: number;
  /** The last hour of seconds in which anything was sent, oldest first; `at` is when the second began, ms since the epoch. */
  readonly seconds: readonly {
    readonly at: number;
    readonly describes: number;
    readonly mutations: number;
  }[];
}

/** The longest record of seconds that is kept: a daemon may run on the simulator for days. */
const MOST_SECONDS = 3600;

/** The requests to AWS that the calls of the port stand for: counts them, and throttles them where the world does. */
export class Traffic {
  readonly #places: readonly PlaceSize[];
  readonly #throttle: Throttle | null;
  readonly #totals = { describes: 0, mutations: 0, throttled: 0 };
  readonly #seconds: { at: number; describes: number; mutations: number }[] = [];

  constructor(world: SimulatedWorld, groups: Iterable<SimulatedGroup>) {
    this.#places = placesOf(groups);
    this.#throttle = world.throttling ? new Throttle(world.autoScalingRate) : null;
  }

  get counts(): RequestCounts {
    return { ...this.#totals, seconds: this.#seconds.map((second) => ({ ...second })) };
  }

  /** Sends what the call stands for, at `now` (ms): null, or why AWS refused one of the requests; no more follow then. */
  send(now: number, operation: CloudOperation, args: readonly unknown[]): Refusal | null {
    for (const request of requestsOf(operation, args, this.#places)) {
      this.#count(now, request);
      const refused = this.#throttle?.refuse(now, request) ?? null;
      if (refused !== null) {
        this.#totals.throttled += 1;
        return refused;
      }
    }
    return null;
  }

  #count(now: number, { reads }: AwsRequest): void {
    const kind = reads ? 'describes' : 'mutations';
    this.#totals[kind] += 1;
    this.#second(now)[kind] += 1;
  }

  #second(now: number): { describes: number; mutations: number } {
    const at = now - (now % 1000);
    const last = this.#seconds.at(-1);
    if (last?.at === at) return last;
    const second = { at, describes: 0, mutations: 0 };
    this.#seconds.push(second);
    if (this.#seconds.length > MOST_SECONDS) this.#seconds.shift();
    return second;
  }
}

function placesOf(groups: Iterable<SimulatedGroup>): readonly PlaceSize[] {
  const places = new Map<string, PlaceSize>();
  for (const { name } of groups) {
    const { account, region } = name;
    const key = `${account}/${region}`;
    places.set(key, { account, region, groups: (places.get(key)?.groups ?? 0) + 1 });
  }
  return [...places.values()];
}
