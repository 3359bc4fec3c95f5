import type { Clock } from '../../src/base/clock.ts';
import { Failure } from '../../src/base/failure.ts';
import type { Cloud } from '../../src/cloud/cloud.ts';

/**
 * The life of a process on a clock and a cloud that outlive it. From the moment of its death no timer of it rings, none of
 * its requests reaches the cloud, and no answer reaches it: what is left of it is what it had written down.
 */
export class ProcessLife {
  #state: 'alive' | 'dead' | 'buried' = 'alive';
  /** What the dead would have learnt. */
  readonly #withheld: (() => void)[] = [];

  die(): void {
    this.#state = 'dead';
  }

  /** Lets the remains end, with no cloud to reach, so that its sockets can be closed. */
  bury(): void {
    this.#state = 'buried';
    for (const tell of this.#withheld.splice(0)) tell();
  }

  clock(clock: Clock): Clock {
    return {
      now: () => clock.now(),
      after: (ms, wake) => clock.after(ms, () => this.#unlessDead(wake)),
    };
  }

  cloud(cloud: Cloud): Cloud {
    return new Proxy(cloud, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) =>
          this.#call(() => Promise.resolve<unknown>(Reflect.apply(member, target, args)));
      },
    });
  }

  async #call(call: () => Promise<unknown>): Promise<unknown> {
    const answer = this.#state === 'alive' ? await call() : null;
    if (this.#state === 'alive') return answer;
    await new Promise<void>((resolve) => this.#unlessDead(resolve));
    throw new Failure('unavailable', 'retry', 'the process that asked has ended');
  }

  #unlessDead(tell: () => void): void {
    if (this.#state === 'dead') this.#withheld.push(tell);
    else tell();
  }
}
