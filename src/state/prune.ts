import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Compilable } from 'kysely';
import type { QueryStore } from '../actions/store.ts';
import type { Clock } from '../base/clock.ts';
import { SWAPS_REMEMBERED_MS } from '../engine/memory.ts';
import type { Database } from './database.ts';
import { prepare, query, type Slots, type Statement } from './statement.ts';

/** Rows that one transaction deletes; a few milliseconds with all their indexes. */
const CHUNK = 250;

/**
 * Swaps are kept this long whatever the retention is; ms. Policies count them for a day, and a swap that was forgotten too
 * soon would allow another one; as interruptions they tell of their market for 28 days.
 */
const SWAPS_KEPT_MS = 31 * 86_400_000;

/**
 * Starts of rules are kept no longer than that, whatever the retention is; ms. Nothing counts them any longer, and a daemon
 * reads all of them when it starts.
 */
const STARTS_KEPT_MS = SWAPS_REMEMBERED_MS;

/**
 * Deletes what ended before a time, and starts of rules that nothing counts any more, in small transactions with a turn of
 * the event loop between them. What is undecided, not over, or belongs to a run that is not over stays, however old it is.
 */
export function createPrune(database: Database, clock: Clock): QueryStore['prune'] {
  const ended = ENDED.map((build) => prepare(database.connection, build));
  const starts = prepare(database.connection, oldStarts);
  const swaps = prepare(database.connection, endedSwaps);
  return async (before) => {
    let deleted = 0;
    for (const statement of ended) deleted += await inChunks(database, statement, before);
    const now = clock.now();
    deleted += await inChunks(database, starts, now - STARTS_KEPT_MS);
    deleted += await inChunks(database, swaps, Math.min(before, now - SWAPS_KEPT_MS));
    return deleted;
  };
}

interface Before {
  readonly before: number;
}

async function inChunks(
  database: Database,
  statement: Statement<Before, unknown>,
  before: number,
): Promise<number> {
  let deleted = 0;
  for (;;) {
    const rows = database.transaction(() => statement.run({ before }));
    deleted += rows;
    if (rows < CHUNK) return deleted;
    await nextTurn();
  }
}

/** In order: a run goes before its decision, and before the resume that it no longer counts for. */
const ENDED = [endedEvents, endedRuns, oldResumes, endedDecisions, endedIncidents, endedCooldowns];

function endedEvents({ before }: Slots<Before>): Compilable<unknown> {
  return query
    .deleteFrom('events')
    .where('seq', 'in', (row) =>
      row
        .selectFrom('events')
        .select('seq')
        .where('decided', '=', row.lit(1))
        .where('received_at', '<', before)
        .limit(CHUNK),
    );
}

function endedRuns({ before }: Slots<Before>): Compilable<unknown> {
  return query
    .deleteFrom('runs')
    .where('seq', 'in', (row) =>
      row.selectFrom('runs').select('seq').where('finished_at', '<', before).limit(CHUNK),
    );
}

function oldResumes({ before }: Slots<Before>): Compilable<unknown> {
  return query
    .deleteFrom('resumes')
    .where('group_key', 'in', (row) =>
      row.selectFrom('resumes').select('group_key').where('at', '<', before).limit(CHUNK),
    );
}

function endedDecisions({ before }: Slots<Before>): Compilable<unknown> {
  return query.deleteFrom('decisions').where('seq', 'in', (row) =>
    row
      .selectFrom('decisions')
      .select('seq')
      .where('at', '<', before)
      .where(({ not, exists, selectFrom }) =>
        not(exists(selectFrom('runs').select('runs.seq').whereRef('runs.decision_id', '=', 'decisions.id'))),
      )
      .limit(CHUNK),
  );
}

/** An alert that is open but silent for so long is forgotten as well: its end was never heard, and may never be. */
function endedIncidents({ before }: Slots<Before>): Compilable<unknown> {
  return query.deleteFrom('incidents').where('key', 'in', (row) =>
    row
      .selectFrom('incidents')
      .select('key')
      .where('admitted_at', '<', before)
      .where((incident) => incident.or([incident('ended_at', 'is', null), incident('ended_at', '<', before)]))
      .limit(CHUNK),
  );
}

function endedCooldowns({ before }: Slots<Before>): Compilable<unknown> {
  return query
    .deleteFrom('cooldowns')
    .where((row) =>
      row(
        row.refTuple('rule', 'key'),
        'in',
        row
          .selectFrom('cooldowns')
          .select(['rule', 'key'])
          .where('until', '<', before)
          .limit(CHUNK)
          .$asTuple('rule', 'key'),
      ),
    );
}

function oldStarts({ before }: Slots<Before>): Compilable<unknown> {
  return query
    .deleteFrom('starts')
    .where('seq', 'in', (row) =>
      row.selectFrom('starts').select('seq').where('at', '<', before).limit(CHUNK),
    );
}

function endedSwaps({ before }: Slots<Before>): Compilable<unknown> {
  return query
    .deleteFrom('swaps')
    .where('run_id', 'in', (row) =>
      row.selectFrom('swaps').select('run_id').where('at', '<', before).limit(CHUNK),
    );
}
