import type { Clock } from '../base/clock.ts';
import { formatDuration } from '../base/duration.ts';
import { Failure } from '../base/failure.ts';
import { groupKey } from '../base/group-name.ts';
import type { Decision } from '../engine/decision.ts';
import type { Event } from '../engine/event.ts';
import type { Memory } from '../engine/memory.ts';
import { type EventEnd, endOfEvent } from './event-end.ts';
import { isOver, type Run } from './run.ts';
import type { QueryStore } from './store.ts';
import { createWaker } from './waker.ts';

/** How many may wait at a time; each costs a few hundred bytes, and looks at the store now and then. */
const MOST_WAITING = 1000;
/** A chain of slow swaps takes less; whoever waits longer can ask again. */
const PATIENCE_MS = 3_600_000;
/** The store is looked at so often even when nobody rings, should something have ended unheard. */
const LOOK_MS = 30_000;
/** Decisions read at a time. */
const PAGE = 1000;

/** What comes of events, for those who wait until their runs are over. */
export interface EventEnds {
  /**
   * Resolves when all runs of an admitted event are over; of a duplicate, those of the event that it is a duplicate of, also
   * when they have ended already. A run goes on whoever waits for it. Throws the signal's reason when it aborts; fails with
   * `unavailable`, disposition retry, when too many wait or after an hour, and with `store_unavailable`.
   */
  endOf(event: Event, admission: 'accepted' | 'duplicate', signal: AbortSignal): Promise<EventEnd>;
  /** To be told of every decision that was recorded. */
  decided(decision: Decision): void;
  /** To be told of every run that was recorded as over. */
  progressed(run: Run): void;
}

export interface EventEndsDeps {
  readonly store: Pick<QueryStore, 'decisions' | 'run'> & {
    /** Id of the event by which an incident was last admitted. */
    admittedAs(key: string): string | null;
  };
  readonly memory: Pick<Memory, 'liveRun'>;
  readonly clock: Clock;
}

/** The store is the truth, at every look; what is told in process only says when to look. */
export function createEventEnds(deps: EventEndsDeps): EventEnds {
  const bells = createBells();
  let waiting = 0;
  return {
    async endOf(event, admission, signal) {
      if (waiting >= MOST_WAITING) throw tooMany();
      waiting++;
      try {
        return await waitForEnd({ event, admission, signal }, deps, bells);
      } finally {
        waiting--;
      }
    },
    decided: (decision) => bells.ring(decision.event.id),
    progressed(run) {
      if (isOver(run.state)) bells.ring(run.id);
    },
  };
}

interface Wait {
  readonly event: Event;
  readonly admission: 'accepted' | 'duplicate';
  readonly signal: AbortSignal;
}

async function waitForEnd(wait: Wait, deps: EventEndsDeps, bells: Bells): Promise<EventEnd> {
  const { event, admission, signal } = wait;
  signal.throwIfAborted();
  const eventId = admission === 'accepted' ? event.id : deps.store.admittedAs(event.identity.key);
  if (eventId === null) return FORGOTTEN;
  const until = deps.clock.now() + PATIENCE_MS;
  const waker = createWaker(deps.clock, signal);
  const rope = bells.rope(waker.wake);
  const joined = new Map<string, string>();
  try {
    while (deps.clock.now() < until) {
      const end = await look({ eventId, joined, listenTo: rope.listenTo }, deps);
      signal.throwIfAborted();
      if (end !== null) return end;
      await waker.rest(LOOK_MS);
      signal.throwIfAborted();
    }
    throw tooLong();
  } finally {
    rope.cut();
  }
}

interface Look {
  readonly eventId: string;
  /** Runs of other events that decisions of this one were held back by, by decision id; kept from look to look. */
  readonly joined: Map<string, string>;
  listenTo(id: string): void;
}

/** Listens before it reads, so that nothing falls between. Null while something is under way. */
async function look({ eventId, joined, listenTo }: Look, deps: EventEndsDeps): Promise<EventEnd | null> {
  listenTo(eventId);
  const decisions = await decisionsOn(eventId, deps.store);
  // All decisions on an event are recorded at once, and there is at least one.
  if (decisions.length === 0) return null;
  for (const decision of decisions) join(decision, joined, deps.memory);
  const runIds = new Set(decisions.flatMap(({ id, runId }) => runId ?? joined.get(id) ?? []));
  const runs: Run[] = [];
  for (const id of runIds) {
    listenTo(id);
    const run = await deps.store.run(id);
    if (run === null) return FORGOTTEN;
    if (!isOver(run.state)) return null;
    runs.push(run);
  }
  return endOfEvent(decisions, runs);
}

/** A decision that was held back by a run for the same instance is answered by that run, where it still goes on. */
function join(
  { id, reason, subject }: Decision,
  joined: Map<string, string>,
  memory: Pick<Memory, 'liveRun'>,
): void {
  const { group, instance } = subject;
  if (reason !== 'duplicate' || group === null || instance === null || joined.has(id)) return;
  const runId = memory.liveRun(groupKey(group), instance);
  if (runId !== null) joined.set(id, runId);
}

async function decisionsOn(
  event: string,
  store: Pick<QueryStore, 'decisions'>,
): Promise<readonly Decision[]> {
  const decisions: Decision[] = [];
  let cursor: string | null = null;
  do {
    const { items, next } = await store.decisions({ event, limit: PAGE, ...(cursor !== null && { cursor }) });
    decisions.push(...items);
    cursor = next;
  } while (cursor !== null);
  return decisions;
}

/** Who is to be told of which id; an id is forgotten with its last listener. */
interface Bells {
  ring(id: string): void;
  rope(wake: () => void): { listenTo(id: string): void; cut(): void };
}

function createBells(): Bells {
  const listeners = new Map<string, Set<() => void>>();
  return {
    ring(id) {
      for (const wake of listeners.get(id) ?? []) wake();
    },
    rope(wake) {
      const ids = new Set<string>();
      return {
        listenTo(id) {
          ids.add(id);
          const others = listeners.get(id) ?? new Set();
          listeners.set(id, others.add(wake));
        },
        cut() {
          for (const id of ids) {
            const others = listeners.get(id);
            others?.delete(wake);
            if (others?.size === 0) listeners.delete(id);
          }
        },
      };
    },
  };
}

/** What was kept for less long than it is remembered as known (`state.retention`): nobody can say how it ended. */
const FORGOTTEN: EventEnd = {
  kind: 'failed',
  trouble: 'refused',
  message: 'the event is known already, but what came of it is not on record any more',
};

function tooMany(): Failure {
  const message = `the event is kept, but ${MOST_WAITING} calls wait for an end already; ask again`;
  return new Failure('unavailable', 'retry', message);
}

function tooLong(): Failure {
  const message = `not over after ${formatDuration(PATIENCE_MS)}; it goes on, ask again`;
  return new Failure('unavailable', 'retry', message);
}
