import type { Event } from '../../../src/engine/event.ts';
import type { Admission, Inbox } from '../../../src/ingest/admission.ts';
import type { NewId } from '../../../src/ingest/reading.ts';

/** An inbox in memory: an identity that it has seen with the same status is a duplicate. Fails on request. */
export class FakeInbox implements Inbox {
  readonly events: Event[] = [];
  /** What calls fail with; null when they succeed. */
  failure: Error | null = null;
  /** Settles before `append` answers, so that a test can look at what happens meanwhile. */
  gate: Promise<void> = Promise.resolve();
  readonly #seen = new Set<string>();

  async append(events: readonly Event[]): Promise<readonly Admission[]> {
    await this.gate;
    if (this.failure !== null) throw this.failure;
    return events.map((event) => {
      const key = `${event.status} ${event.identity.key}`;
      if (this.#seen.has(key)) return 'duplicate';
      this.#seen.add(key);
      this.events.push(event);
      return 'accepted';
    });
  }
}

/** Ids `evt_1`, `evt_2`, … */
export function countingIds(): NewId {
  let made = 0;
  return (kind) => `${kind}_${++made}`;
}
