import type { RecordedStart, RuleStart } from '../actions/store.ts';
import type { Database } from './database.ts';
import { pick, prepare, query, type Slots } from './statement.ts';

/** When rules decided to act. Synchronous: to be used inside a transaction or read. */
export interface Starts {
  save(start: RuleStart): void;
  /** Those after that sequence number, in its order. */
  after(seq: number, limit: number): readonly RecordedStart[];
}

export function createStarts({ connection }: Database): Starts {
  const save = prepare(connection, (slots: Slots<RuleStart>) =>
    query.insertInto('starts').values(pick(slots, ['rule', 'at'])),
  );
  const after = prepare(connection, ({ seq, limit }: Slots<{ seq: number; limit: number }>) =>
    query
      .selectFrom('starts')
      .select(['seq', 'rule', 'at'])
      .where('seq', '>', seq)
      .orderBy('seq')
      .limit(limit),
  );
  return {
    save: (start) => void save.run(start),
    after: (from, limit) => after.all({ seq: from, limit }).map(({ seq, rule, at }) => ({ seq, rule, at })),
  };
}
