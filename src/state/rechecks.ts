import type { Selectable } from 'kysely';
import type { Event } from '../engine/event.ts';
import type { Recheck } from '../engine/recheck.ts';
import type { Database } from './database.ts';
import { pick, prepare, query, type Slots } from './statement.ts';
import type { RecheckTable } from './tables.ts';

type Row = Selectable<RecheckTable>;

/** Second looks that wait. Synchronous: to be used inside a transaction or read. */
export interface Rechecks {
  /** One of the same key gives way. */
  save(recheck: Recheck): void;
  /** False when none waits under the key. */
  remove(key: string): boolean;
  /** All of them, the first due first. */
  waiting(): readonly Recheck[];
}

export function createRechecks({ connection }: Database): Rechecks {
  const save = prepare(connection, (slots: Slots<Row>) =>
    query
      .insertInto('rechecks')
      .values(pick(slots, ['key', 'rule', 'due_at', 'document']))
      .onConflict((conflict) =>
        conflict.column('key').doUpdateSet(pick(slots, ['rule', 'due_at', 'document'])),
      ),
  );
  const remove = prepare(connection, ({ key }: Slots<{ key: string }>) =>
    query.deleteFrom('rechecks').where('key', '=', key),
  );
  const waiting = prepare(connection, () =>
    query.selectFrom('rechecks').selectAll().orderBy('due_at').orderBy('key'),
  );
  return {
    save({ key, rule, dueAt, event }) {
      save.run({ key, rule, due_at: dueAt, document: JSON.stringify(event) });
    },
    remove: (key) => remove.run({ key }) === 1,
    waiting: () => waiting.all({}).map(recheckOf),
  };
}

function recheckOf({ key, rule, due_at, document }: Row): Recheck {
  return { key, rule, dueAt: due_at, event: JSON.parse(document) as Event };
}
