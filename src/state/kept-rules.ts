import type { Selectable } from 'kysely';
import type { Database } from './database.ts';
import { pick, prepare, query, type Slots } from './statement.ts';
import type { KeptRulesTable } from './tables.ts';

/** The rule files that were last put in force, as they were read. */
export interface KeptRuleFiles {
  readonly paths: readonly string[];
  readonly hash: string;
  readonly keptAt: number;
  readonly files: readonly { readonly file: string; readonly text: string }[];
}

/** What the store keeps for the reloader: one set of files, the last. */
export interface KeptRuleStore {
  /** Keeps these in place of those kept before. Resolves when they are on disk; fails with `store_unavailable`. */
  keepRules(kept: KeptRuleFiles): Promise<void>;
  /** Null when none were ever kept. Fails with `store_unavailable`. */
  keptRules(): Promise<KeptRuleFiles | null>;
}

type Row = Selectable<KeptRulesTable>;

/** The table has one row. */
const ONLY = 1;

export function createKeptRules(database: Database): KeptRuleStore {
  const { connection } = database;
  const save = prepare(connection, (slots: Slots<Row>) =>
    query
      .insertInto('kept_rules')
      .values(pick(slots, ['id', 'paths', 'hash', 'kept_at', 'files']))
      .onConflict((conflict) =>
        conflict.column('id').doUpdateSet(pick(slots, ['paths', 'hash', 'kept_at', 'files'])),
      ),
  );
  const read = prepare(connection, () => query.selectFrom('kept_rules').selectAll());
  return {
    async keepRules({ paths, hash, keptAt, files }) {
      const row = {
        id: ONLY,
        paths: JSON.stringify(paths),
        hash,
        kept_at: keptAt,
        files: JSON.stringify(files),
      };
      database.transaction(() => save.run(row));
    },
    async keptRules() {
      const row = database.read(() => read.get({}));
      return row === undefined ? null : keptOf(row);
    },
  };
}

function keptOf({ paths, hash, kept_at: keptAt, files }: Row): KeptRuleFiles {
  return {
    paths: JSON.parse(paths) as KeptRuleFiles['paths'],
    hash,
    keptAt,
    files: JSON.parse(files) as KeptRuleFiles['files'],
  };
}
