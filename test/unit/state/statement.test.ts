import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { prepare, query, type Slots } from '../../../src/state/statement.ts';
import { openTables } from './support.ts';

interface Window {
  readonly from: number;
  readonly to: number;
}

describe('a prepared statement', () => {
  const { connection } = openTables();
  const insert = prepare(connection, ({ at }: Slots<{ at: number }>) =>
    query.insertInto('pauses').values({ group_key: at, reason: 'always this', at } as never),
  );
  const between = prepare(connection, ({ from, to }: Slots<Window>) =>
    query
      .selectFrom('pauses')
      .select('at')
      .where('at', '<=', to)
      .where('at', '>=', from)
      .where('at', '>=', from)
      .orderBy('at'),
  );
  for (const at of [1, 2, 3, 4]) insert.run({ at });

  it('gets each value in its place, by name, and as often as it is used', () => {
    assert.deepEqual(
      between.all({ from: 2, to: 3 }).map(({ at }) => at),
      [2, 3],
    );
  });
  it('keeps the values that are part of the query', () => {
    assert.equal(
      connection.prepare("SELECT count(*) AS n FROM pauses WHERE reason = 'always this'").get()?.['n'],
      4,
    );
  });
  it('answers the first row, or undefined', () => {
    assert.equal(between.get({ from: 3, to: 9 })?.at, 3);
    assert.equal(between.get({ from: 9, to: 9 }), undefined);
  });
  it('fails where a row must be and is none', () => {
    assert.equal(between.one({ from: 4, to: 4 }).at, 4);
    assert.throws(() => between.one({ from: 9, to: 9 }), { code: 'internal' });
  });
});
