import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, describe, it } from 'node:test';
import { Failure } from '../../../src/base/failure.ts';
import { openDatabase } from '../../../src/state/database.ts';
import { sqliteFailure } from '../../../src/state/sqlite-failure.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { openStore, openTables, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
after(() => folder.remove());
const file = (name: string): string => join(folder.path, name);

describe('opening the state store', () => {
  it('waits for the disk on every commit, and shares the file with nobody', () => {
    const database = openDatabase(file('pragmas.db'), silentLog);
    const value = (name: string): unknown =>
      Object.values(database.connection.prepare(`PRAGMA ${name}`).get() ?? {})[0];
    assert.deepEqual(
      [
        'journal_mode',
        'synchronous',
        'foreign_keys',
        'locking_mode',
        'trusted_schema',
        'wal_autocheckpoint',
      ].map(value),
      ['wal', 2, 1, 'exclusive', 0, 1000],
    );
    database.close();
  });

  it('is refused while another daemon uses the file, and works when that one is gone', async () => {
    const path = file('shared.db');
    const first = openStore(path);
    assert.throws(() => openStore(path), {
      code: 'store_unavailable',
      disposition: 'retry',
      message: `opening the state store ${path}: another coppice uses it`,
    });
    await first.close();
    await openStore(path).close();
  });

  it('is refused for a database of another program, which stays as it is', () => {
    const path = file('foreign.db');
    const foreign = new DatabaseSync(path);
    foreign.exec('CREATE TABLE theirs (x)');
    foreign.close();
    const before = readFileSync(path);
    assert.throws(() => openStore(path), { code: 'store_unavailable', disposition: 'reject' });
    assert.deepEqual(readFileSync(path), before);
    assert.ok(!existsSync(`${path}-wal`));
  });

  const unusable: readonly (readonly [rule: string, path: () => string])[] = [
    ['a folder that does not exist', () => file('missing/x.db')],
    ['a folder in place of a file', () => folder.path],
    ['a path that is empty', () => ''],
    [
      'a file that is no database',
      () => {
        writeFileSync(file('text.db'), 'this is not a database '.repeat(100));
        return file('text.db');
      },
    ],
  ];
  for (const [rule, path] of unusable) {
    it(`is refused for ${rule}`, () => {
      assert.throws(() => openStore(path()), { name: 'Failure', code: 'store_unavailable' });
    });
  }
});

describe('a transaction', () => {
  const counted = (database: ReturnType<typeof openTables>): unknown =>
    database.connection.prepare('SELECT count(*) AS n FROM pauses').get()?.['n'];
  const insert = "INSERT INTO pauses VALUES ('g', 'r', 1)";

  it('that throws leaves nothing behind, and the next one works', () => {
    const database = openTables();
    assert.throws(
      () =>
        database.transaction(() => {
          database.connection.exec(insert);
          throw new Failure('internal', 'reject', 'on purpose');
        }),
      { code: 'internal', message: 'on purpose' },
    );
    assert.equal(counted(database), 0);
    database.transaction(() => database.connection.exec(insert));
    assert.equal(counted(database), 1);
  });

  it('whose commit fails leaves nothing behind, and the next one works', () => {
    const database = openTables();
    assert.throws(
      () =>
        database.transaction(() => {
          database.connection.exec(insert);
          database.connection.exec('PRAGMA defer_foreign_keys = ON');
          database.connection.exec(
            "INSERT INTO steps VALUES ('no run', 0, 0, 'plan', 'done', 1, 1, 1, '{}', NULL)",
          );
        }),
      { code: 'internal' },
    );
    assert.equal(counted(database), 0);
    database.transaction(() => database.connection.exec(insert));
    assert.equal(counted(database), 1);
  });
});

describe('an error of SQLite', () => {
  const error = (fields: object): Error => Object.assign(new Error('text'), fields);
  const rows: readonly (readonly [rule: string, thrown: unknown, code: string, disposition: string])[] = [
    ['disk full can pass', error({ errcode: 13 }), 'store_unavailable', 'retry'],
    ['an I/O error on fsync can pass', error({ errcode: 1034 }), 'store_unavailable', 'retry'],
    ['a damaged file is the store, not a request', error({ errcode: 11 }), 'store_unavailable', 'retry'],
    ['a read-only file is the store', error({ errcode: 8 }), 'store_unavailable', 'retry'],
    ['a closed database is the store', error({ code: 'ERR_INVALID_STATE' }), 'store_unavailable', 'retry'],
    ['a broken constraint is a defect', error({ errcode: 2067 }), 'internal', 'reject'],
    ['wrong SQL is a defect', error({ errcode: 1 }), 'internal', 'reject'],
    ['any other error is a defect', new TypeError('x is not a function'), 'internal', 'reject'],
    ['what is no error is a defect', 'text', 'internal', 'reject'],
    ['a failure stays what it is', new Failure('inbox_full', 'retry', 'full'), 'inbox_full', 'retry'],
  ];
  for (const [rule, thrown, code, disposition] of rows) {
    it(rule, () => {
      const failure = sqliteFailure(thrown, 'writing');
      assert.deepEqual([failure.code, failure.disposition], [code, disposition]);
    });
  }
});
