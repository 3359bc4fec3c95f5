import type { Cloud } from '../../src/cloud/cloud.ts';
import type { CloudOperation } from '../../src/cloud/simulated/call-book.ts';
import type { SimulatedCloud } from '../../src/cloud/simulated/simulated-cloud.ts';
import type { Mishap } from './error-classes.ts';

/** What goes wrong: the calls of the operation from number `from` (from 1) on, so many times. */
export interface Trouble {
  readonly operation: CloudOperation;
  readonly from: number;
  /** Infinity: until it is healed. */
  readonly times: number;
  readonly mishap: Mishap;
}

/** A cloud that writes down what a run calls, and in which one thing goes wrong. */
export class FaultyCloud {
  /** The calls of the run so far, refused ones included. */
  readonly calls: CloudOperation[] = [];
  /** How many calls went wrong. */
  met = 0;
  readonly #cloud: SimulatedCloud;
  readonly #trouble: Trouble | null;
  readonly #called: () => void;
  #healed = false;

  /** `called` is told of each call, also of those of others, once it is over. */
  constructor(cloud: SimulatedCloud, trouble: Trouble | null, called: () => void) {
    this.#cloud = cloud;
    this.#trouble = trouble;
    this.#called = called;
  }

  /** What the run speaks to. */
  ofRun(): Cloud {
    return this.#wrap((operation) => {
      this.calls.push(operation);
      if (operation !== this.#trouble?.operation) return false;
      const { from, times } = this.#trouble;
      const count = this.calls.filter((call) => call === operation).length;
      return count >= from && this.met < times;
    });
  }

  /** What others speak to, who meet only what goes wrong for ever, once it does. */
  beside(): Cloud {
    return this.#wrap(
      (operation) =>
        operation === this.#trouble?.operation && !Number.isFinite(this.#trouble.times) && this.met > 0,
    );
  }

  heal(): void {
    this.#healed = true;
  }

  #wrap(goesWrong: (operation: CloudOperation) => boolean): Cloud {
    return new Proxy<Cloud>(this.#cloud, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]): unknown => {
          const make = (): Promise<unknown> => Reflect.apply(member, target, args) as Promise<unknown>;
          const wrong = goesWrong(key as CloudOperation) && !this.#healed;
          const { mishap } = this.#trouble ?? {};
          if (!wrong || mishap === undefined) return make().finally(this.#called);
          this.met += 1;
          return mishap.meet({ cloud: this.#cloud, args, make }).finally(this.#called);
        };
      },
    });
  }
}
