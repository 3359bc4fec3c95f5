import type { Cloud } from '../../src/cloud/cloud.ts';
import type { SqliteStore } from '../../src/state/sqlite-store.ts';
import { type Site, WRITES } from './swap-site.ts';

/** When a process is lost: at its write number `at` (from 1), before the write takes effect or right after it. */
export interface Loss {
  readonly at: number;
  readonly when: 'before' | 'after';
}

/** Writes of the store that take a run further. A claim is one only when it finds a run; leases decide nothing. */
const STORE_WRITES: ReadonlySet<string> = new Set(['record', 'recordSwap', 'claim', 'settle']);

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

  store(site: Pick<Site, 'store'>): SqliteStore {
    return this.#wrap('store', site.store, STORE_WRITES);
  }

  cloud(site: { readonly cloud: Cloud }): Cloud {
    return this.#wrap('cloud', site.cloud, new Set<string>(WRITES));
  }

  #wrap<T extends object>(name: string, port: T, writes: ReadonlySet<string>): T {
    return new Proxy(port, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== 'function' || typeof key !== 'string') return member;
        return (...args: unknown[]) =>
          this.#pass(writes.has(key) ? `${name}.${key}` : null, () =>
            Promise.resolve(Reflect.apply(member, target, args)),
          );
      },
    });
  }

  async #pass(write: string | null, call: () => Promise<unknown>): Promise<unknown> {
    if (this.#lost) return never();
    if (write === null) return call();
    if (write !== 'store.claim' && this.#isHere(this.writes.length + 1, 'before')) return this.#lose();
    const answer = await call();
    if (answer === null) return answer;
    this.writes.push(write);
    return this.#isHere(this.writes.length, 'after') ? this.#lose() : answer;
  }

  #isHere(at: number, when: Loss['when']): boolean {
    return this.#loss?.at === at && this.#loss.when === when;
  }

  #lose(): Promise<never> {
    this.#lost = true;
    return never();
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}
