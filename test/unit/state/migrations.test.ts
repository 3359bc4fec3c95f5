import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Database, openDatabase } from '../../../src/state/database.ts';
import { MIGRATIONS, type Migration, migrate } from '../../../src/state/migrations.ts';
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

describe('migrations', () => {
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
