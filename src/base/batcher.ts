import type { Clock, Timer } from './clock.ts';
import { asFailure } from './failure.ts';

/** Asks for the values of some keys, together with whoever else asks within `withinMs` milliseconds. */
export type Batched<V> = (keys: readonly string[], withinMs: number) => Promise<readonly V[]>;

export interface BatcherOptions<V> {
  /** Measures the windows. */
  readonly clock: Clock;
  /** The values of all the keys in one request, or in as few as it takes; keys without a value are left out. */
  readonly fetch: (keys: readonly string[]) => Promise<readonly V[]>;
  /** The key that a value belongs to. */
  readonly keyOf: (value: V) => string;
  /** How much longer a batch is held while an earlier request is under way; ms. */
  readonly holdMs: number;
}

/** One who asked, and waits. */
interface Asker<V> {
  readonly keys: readonly string[];
  readonly resolve: (values: readonly V[]) => void;
  readonly reject: (thrown: unknown) => void;
}

/** What has been asked and not been sent yet. */
interface Batch<V> {
  readonly askers: Asker<V>[];
  /** Ms since the epoch, of the earliest deadline among the askers. */
  dueAt: number;
  timer: Timer;
  /** The deadline has passed, and an earlier request is under way. */
  held: boolean;
}

/**
 * Merges what is asked within a window into one request and hands each asker its share. Whoever asks joins the batch that is
 * open, which is sent at the earliest deadline of those in it; but while an earlier request is under way it is held until
 * that is answered, or for `holdMs`: alone everyone is served at once, and the more there are, the more share a request.
 * Nobody is served with an answer to a request that had been sent before it asked.
 *
 * A failure is that of everybody in the batch. Only where the request as a whole can never be served (`reject`), each asker
 * is asked for alone: a key that spoils it spoils it for its own asker only. A request for no key is not sent.
 */
export function createBatcher<V>({ clock, fetch, keyOf, holdMs }: BatcherOptions<V>): Batched<V> {
  let open: Batch<V> | null = null;
  let underWay = 0;

  const send = ({ askers, timer }: Batch<V>): void => {
    timer.cancel();
    open = null;
    underWay += 1;
    void serve(askers, { fetch, keyOf }).finally(() => {
      underWay -= 1;
      if (open?.held === true) send(open);
    });
  };
  const due = (): void => {
    if (open === null) return;
    open.held = underWay > 0 && holdMs > 0 && !open.held;
    if (open.held) open.timer = clock.after(holdMs, due);
    else send(open);
  };
  const join = (asker: Asker<V>, withinMs: number): void => {
    const dueAt = clock.now() + withinMs;
    if (open === null) {
      open = { askers: [asker], dueAt, held: false, timer: clock.after(withinMs, due) };
      return;
    }
    open.askers.push(asker);
    if (open.held || dueAt >= open.dueAt) return;
    open.timer.cancel();
    open.dueAt = dueAt;
    open.timer = clock.after(withinMs, due);
  };
  return (keys, withinMs) => {
    if (keys.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => join({ keys, resolve, reject }, withinMs));
  };
}

type Source<V> = Pick<BatcherOptions<V>, 'fetch' | 'keyOf'>;

async function serve<V>(askers: readonly Asker<V>[], source: Source<V>): Promise<void> {
  try {
    const keys = new Set(askers.flatMap((asker) => asker.keys));
    const values = await source.fetch([...keys]);
    for (const asker of askers) asker.resolve(shareOf(asker, values, source));
  } catch (thrown) {
    if (askers.length > 1 && asFailure(thrown).disposition === 'reject') {
      await Promise.all(askers.map((asker) => serve([asker], source)));
    } else {
      for (const asker of askers) asker.reject(thrown);
    }
  }
}

function shareOf<V>({ keys }: Asker<V>, values: readonly V[], { keyOf }: Source<V>): readonly V[] {
  const asked = new Set(keys);
  return values.filter((value) => asked.has(keyOf(value)));
}
