import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Database, openDatabase } from '../../../src/state/database.ts';
import { MIGRATIONS, type Migration, migrate } from '../../../src/state/migrations.ts';
import { createRuns } from '../../../src/state/runs.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { START } from '../../contract/store-samples.ts';

const one: Migration = { number: 1, name: 'first', breaking: true, sql: 'CREATE TABLE a (x) STRICT' };
const two: Migration = {
  number: 2,
  name: 'second',
  breaking: false,
  sql: 'CREATE TABLE b (x INTEGER) STRICT',
};
const three: Migration = {
  ...two,
  number: 3,
  name: 'third',
  breaking: true,
  sql: 'CREATE TABLE c (x INTEGER) STRICT',
};

function apply(database: Database, ...migrations: readonly Migration[]): void {
  const first = { ...one, sql: 'CREATE TABLE a (x INTEGER) STRICT' };
  migrate(database, { migrations: [first, ...migrations], now: START, log: silentLog });
}

function tables(database: Database): unknown[] {
  const sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
  return database.connection
    .prepare(sql)
    .all()
    .map(({ name }) => name);
}

/** A decision and its run, as a version with the first three migrations has written them. */
const BEFORE_COOLDOWNS_ON_SUCCESS = `
  INSERT INTO decisions (id, key, at, outcome, reason, event_id, document)
  VALUES ('dec_1', 'k', 1, 'dispatched', 'matched', 'evt_1', '{}');
  INSERT INTO runs (id, decision_id, rule, group_key, account, region, group_name, instance_id, actions, state, due_at, created_at, attempt)
  VALUES ('run_1', 'dec_1', 'r', 'a/b/c', 'a', 'b', 'c', 'i-1', '[]', 'pending', 1, 1, 0);
`;

describe('migrations', () => {
  it('leave a run as it is that an earlier version has begun', async () => {
    const database = openDatabase(':memory:', silentLog);
    migrate(database, { migrations: MIGRATIONS.slice(0, 3), now: START, log: silentLog });
    database.connection.exec(BEFORE_COOLDOWNS_ON_SUCCESS);
    migrate(database, { migrations: MIGRATIONS, now: START, log: silentLog });
    const store = createRuns(database, silentLog);
    const claim = await store.claim('w', START, 1000);
    assert.ok(claim !== null && !('cooldown' in claim.run));
    assert.ok(await store.record(claim, { ...claim.run, state: 'succeeded', finishedAt: START }, null));
    assert.deepEqual(await store.liveRuns(), []);
    assert.equal(database.connection.prepare('SELECT * FROM cooldowns').get(), undefined);
  });

  it('are numbered from 1 without gaps', () => {
    assert.deepEqual(
      MIGRATIONS.map(({ number }) => number),
      MIGRATIONS.map((_, i) => i + 1),
    );
  });

  it('are applied once, each in its turn', () => {
    const database = openDatabase(':memory:', silentLog);
    apply(database);
    apply(database);
    apply(database, two);
    assert.deepEqual(tables(database), ['a', 'b', 'migrations']);
  });

  it('are written down with the time', () => {
    const database = openDatabase(':memory:', silentLog);
    apply(database, two);
    const rows = database.connection.prepare('SELECT * FROM migrations').all();
    assert.deepEqual(
      rows.map((row) => ({ ...row })),
      [
        { number: 1, name: 'first', breaking: 1, applied_at: START },
        { number: 2, name: 'second', breaking: 0, applied_at: START },
      ],
    );
  });

  it('that fail leave the schema as it was', () => {
    const database = openDatabase(':memory:', silentLog);
    apply(database);
    assert.throws(() => apply(database, two, { ...three, sql: 'CREATE TABLE c (x); nonsense' }), {
      code: 'internal',
    });
    assert.deepEqual(tables(database), ['a', 'migrations']);
    apply(database, two, three);
    assert.deepEqual(tables(database), ['a', 'b', 'c', 'migrations']);
  });

  it('of a newer version are accepted when they break nothing', () => {
    const database = openDatabase(':memory:', silentLog);
    apply(database, two);
    apply(database);
    assert.deepEqual(tables(database), ['a', 'b', 'migrations']);
  });

  it('of a newer version are refused when they break older ones', () => {
    const database = openDatabase(':memory:', silentLog);
    apply(database, two, three);
    assert.throws(() => apply(database, two), {
      code: 'store_unavailable',
      disposition: 'reject',
      message: /a newer Coppice changed it \(migration 3, "third"\); this one knows 2 and cannot use it/,
    });
  });
});
