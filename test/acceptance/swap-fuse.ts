import type { Cloud } from '../../src/cloud/cloud.ts';
import type { SqliteStore } from '../../src/state/sqlite-store.ts';
import { type Site, WRITES } from './swap-site.ts';

/** When a process is lost: at its write number `at` (from 1), before the write takes effect or right after it. */
export interface Loss {
  readonly at: number;
  readonly when: 'before' | 'after';
}

/** Writes of the store that end a stage; leases are renewed at any time and decide nothing. */
const STORE_WRITES: ReadonlySet<string> = new Set(['claim', 'record', 'recordSwap']);

/**
 * A process that can be lost: from that moment none of its calls comes back and none takes effect, as if the machine had
 * been switched off.
 */
export class Fuse {
  /** Writes so far, e.g. `store.record`, `cloud.launch`. */
  readonly writes: string[] = [];
  readonly #loss: Loss | null;
  #lost = false;

  constructor(loss: Loss | null = null) {
    this.#loss = loss;
  }

  get lost(): boolean {
    return this.#lost;
  }

  store(site: Site): SqliteStore {
    return this.#wrap('store', site.store, STORE_WRITES);
  }

  cloud(site: Site): Cloud {
    return this.#wrap('cloud', site.cloud, new Set<string>(WRITES));
  }

  #wrap<T extends object>(name: string, port: T, writes: ReadonlySet<string>): T {
    return new Proxy(port, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== 'function' || typeof key !== 'string') return member;
        const call = (...args: unknown[]): Promise<unknown> =>
          Promise.resolve(Reflect.apply(member, target, args));
        return (...args: unknown[]) =>
          this.#pass(writes.has(key) ? `${name}.${key}` : null, () => call(...args));
      },
    });
  }

  async #pass(write: string | null, call: () => Promise<unknown>): Promise<unknown> {
    if (this.#lost) return await never();
    if (write === null) return await call();
    this.writes.push(write);
    const here = this.#loss?.at === this.writes.length ? this.#loss.when : null;
    if (here !== null) this.#lost = true;
    if (here !== 'before') {
      const answer = await call();
      if (here === null) return answer;
    }
    return await never();
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}
