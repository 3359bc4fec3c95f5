import type { Cooldown } from '../actions/store.ts';
import type { Database } from './database.ts';
import { pick, prepare, query, type Slots } from './statement.ts';

/** Cooldowns of rules. Synchronous: to be used inside a transaction or read. */
export interface Cooldowns {
  /** One that lasts longer already stays. */
  save(cooldown: Cooldown): void;
  /** Those that end after `now`, the first first. */
  after(now: number): readonly Cooldown[];
}

export function createCooldowns({ connection }: Database): Cooldowns {
  const save = prepare(connection, (slots: Slots<Cooldown>) =>
    query
      .insertInto('cooldowns')
      .values(pick(slots, ['rule', 'key', 'until']))
      .onConflict((conflict) =>
        conflict
          .columns(['rule', 'key'])
          .doUpdateSet({ until: slots.until })
          .where('cooldowns.until', '<', slots.until),
      ),
  );
  const after = prepare(connection, ({ now }: Slots<{ now: number }>) =>
    query.selectFrom('cooldowns').select(['rule', 'key', 'until']).where('until', '>', now).orderBy('until'),
  );
  return {
    save: (cooldown) => void save.run(cooldown),
    after: (now) => after.all({ now }).map(({ rule, key, until }) => ({ rule, key, until })),
  };
}
