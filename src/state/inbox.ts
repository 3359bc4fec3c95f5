import type { Selectable } from 'kysely';
import { Failure } from '../base/failure.ts';
import type { Event } from '../engine/event.ts';
import { type Arrival, admit, type Incident } from '../engine/incident.ts';
import type { Database } from './database.ts';
import { pick, prepare, query, type Slots, type Statement } from './statement.ts';
import type { EventTable, IncidentTable } from './tables.ts';

/** What became of an event at the door. */
export type Admission = 'accepted' | 'duplicate';

/** The durable queue between ingest and the dispatcher. */
export interface Inbox {
  /**
   * Admits the events in order; resolves once they are on disk. Rejects as a whole, with nothing written, with
   * Failure `inbox_full` (disposition retry) when there would be more undecided events than the limit, and
   * `store_unavailable` (retry) when they cannot be written.
   */
  append(events: readonly Event[]): Promise<readonly Admission[]>;
  /** What an event would be taken for if it were appended now; writes nothing. Throws Failure `store_unavailable`. */
  foresee(event: Event): Arrival;
  /**
   * Id of the event by which the incident with that identity key was last admitted: what a duplicate is a duplicate of. Null
   * when none is on record. Throws Failure `store_unavailable`.
   */
  admittedAs(key: string): string | null;
}

/** How many events are undecided. Counted on open, then kept up to date by whoever commits a change. */
export interface Backlog {
  depth: number;
}

export interface InboxOptions {
  readonly dedupWindowMs: number;
  readonly inboxLimit: number;
}

/** A caller of `append` who waits for the next commit. */
interface Waiting {
  readonly events: readonly Event[];
  readonly resolve: (admissions: readonly Admission[]) => void;
  readonly reject: (failure: unknown) => void;
}

type Answer = readonly Admission[] | Failure;

/** Events a transaction takes at most, unless a single caller brings more; about 15 ms of writing. */
const EVENTS_PER_COMMIT = 1000;

/**
 * The inbox with group commit: all calls of one turn of the event loop share one transaction and one fsync, which
 * is what makes an acknowledged event cheap. Nothing waits for more callers to come.
 */
export class GroupCommitInbox implements Inbox {
  readonly #database: Database;
  readonly #backlog: Backlog;
  readonly #options: InboxOptions;
  readonly #statements: Statements;
  #waiting: Waiting[] = [];

  constructor(database: Database, backlog: Backlog, options: InboxOptions) {
    this.#database = database;
    this.#backlog = backlog;
    this.#options = options;
    this.#statements = statements(database);
  }

  append(events: readonly Event[]): Promise<readonly Admission[]> {
    if (events.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#commit());
      this.#waiting.push({ events, resolve, reject });
    });
  }

  foresee(event: Event): Arrival {
    const { identity } = event;
    return this.#database.read(() => {
      if (identity.kind === 'origin')
        return this.#statements.byOrigin.get({ key: identity.key }) === undefined ? 'new' : 'duplicate';
      return admit(known(this.#statements, identity.key), event, this.#options.dedupWindowMs).verdict;
    });
  }

  admittedAs(key: string): string | null {
    return this.#database.read(() => this.#statements.admittedAs.get({ key }))?.event_id ?? null;
  }

  /** Commits what waits, without waiting for the turn to end. */
  flush(): void {
    while (this.#waiting.length > 0) this.#commit();
  }

  #commit(): void {
    const callers = this.#take();
    if (callers.length === 0) return;
    if (this.#waiting.length > 0) setImmediate(() => this.#commit());
    let added = 0;
    try {
      const answers = this.#database.transaction(() =>
        callers.map((caller) => {
          const answer = this.#admitAll(caller.events, this.#backlog.depth + added);
          if (!(answer instanceof Failure)) added += accepted(answer);
          return { caller, answer };
        }),
      );
      this.#backlog.depth += added;
      for (const { caller, answer } of answers) answerTo(caller, answer);
    } catch (failure) {
      for (const caller of callers) caller.reject(failure);
    }
  }

  /** Removes from the queue what the next transaction takes: callers in order, up to the size of a commit. */
  #take(): Waiting[] {
    let events = 0;
    let count = 0;
    for (const caller of this.#waiting) {
      events += caller.events.length;
      if (count > 0 && events > EVENTS_PER_COMMIT) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** Writes one caller's events. Only near the limit is a savepoint needed to take them back again. */
  #admitAll(events: readonly Event[], depth: number): Answer {
    const { inboxLimit, dedupWindowMs } = this.#options;
    const write = (): Admission[] => events.map((event) => admitOne(this.#statements, event, dedupWindowMs));
    if (depth + events.length <= inboxLimit) return write();
    const connection = this.#database.connection;
    connection.exec('SAVEPOINT caller');
    const admissions = write();
    const full = depth + accepted(admissions) > inboxLimit && accepted(admissions) > 0;
    connection.exec(full ? 'ROLLBACK TO caller; RELEASE caller' : 'RELEASE caller');
    return full ? inboxFull(inboxLimit) : admissions;
  }
}

type EventRow = Pick<Selectable<EventTable>, 'origin_key' | 'received_at' | 'document'>;
type IncidentRow = Selectable<IncidentTable>;
type Remembered = Omit<IncidentRow, 'key' | 'event_id' | 'event_at'>;

interface Statements {
  readonly insertEvent: Statement<EventRow, unknown>;
  readonly byOrigin: Statement<{ key: string }, { seq: number }>;
  readonly incident: Statement<{ key: string }, Remembered>;
  readonly admittedAs: Statement<{ key: string }, { event_id: string | null }>;
  readonly saveIncident: Statement<IncidentRow, unknown>;
}

const REMEMBERED = ['status', 'starts_at', 'ended_at', 'admitted_at'] as const;
const SAVED = [...REMEMBERED, 'event_id', 'event_at'] as const;

function statements({ connection }: Database): Statements {
  return {
    insertEvent: prepare(connection, (slots: Slots<EventRow>) =>
      query
        .insertInto('events')
        .values(pick(slots, ['origin_key', 'received_at', 'document']))
        .onConflict((conflict) => conflict.doNothing()),
    ),
    byOrigin: prepare(connection, ({ key }: Slots<{ key: string }>) =>
      query.selectFrom('events').select('seq').where('origin_key', '=', key),
    ),
    incident: prepare(connection, ({ key }: Slots<{ key: string }>) =>
      query.selectFrom('incidents').select(REMEMBERED).where('key', '=', key),
    ),
    admittedAs: prepare(connection, ({ key }: Slots<{ key: string }>) =>
      query
        .selectFrom('incidents')
        .select('event_id')
        .where('key', '=', key)
        .whereRef('event_at', '=', 'admitted_at'),
    ),
    saveIncident: prepare(connection, (slots: Slots<IncidentRow>) =>
      query
        .insertInto('incidents')
        .values(pick(slots, ['key', ...SAVED]))
        .onConflict((conflict) => conflict.column('key').doUpdateSet(pick(slots, SAVED))),
    ),
  };
}

function admitOne(s: Statements, event: Event, windowMs: number): Admission {
  return event.identity.kind === 'origin' ? admitOrigin(s, event) : admitAlert(s, event, windowMs);
}

/** The unique index over the keys that are kept decides. */
function admitOrigin(s: Statements, event: Event): Admission {
  const row = {
    origin_key: event.identity.key,
    received_at: event.receivedAt,
    document: JSON.stringify(event),
  };
  return s.insertEvent.run(row) === 1 ? 'accepted' : 'duplicate';
}

function admitAlert(s: Statements, event: Event, windowMs: number): Admission {
  const { key } = event.identity;
  const { verdict, incident } = admit(known(s, key), event, windowMs);
  if (verdict === 'duplicate') return 'duplicate';
  s.saveIncident.run({
    key,
    status: incident.status,
    starts_at: incident.startsAt,
    ended_at: incident.endedAt,
    admitted_at: incident.admittedAt,
    event_id: event.id,
    event_at: incident.admittedAt,
  });
  const repeat = verdict === 'repeat';
  const document = JSON.stringify(event.repeat === repeat ? event : { ...event, repeat });
  s.insertEvent.run({ origin_key: null, received_at: event.receivedAt, document });
  return 'accepted';
}

function known(s: Statements, key: string): Incident | null {
  const row = s.incident.get({ key });
  if (row === undefined) return null;
  return {
    status: row.status,
    startsAt: row.starts_at,
    endedAt: row.ended_at,
    admittedAt: row.admitted_at,
  };
}

function accepted(admissions: readonly Admission[]): number {
  return admissions.filter((admission) => admission === 'accepted').length;
}

function answerTo(caller: Waiting, answer: Answer): void {
  if (answer instanceof Failure) caller.reject(answer);
  else caller.resolve(answer);
}

function inboxFull(limit: number): Failure {
  return new Failure(
    'inbox_full',
    'retry',
    `appending to the inbox: it holds ${limit} undecided events already`,
  );
}
