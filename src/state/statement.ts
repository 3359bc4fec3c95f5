import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import {
  type Compilable,
  DummyDriver,
  type Expression,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely';
import { Failure } from '../base/failure.ts';
import type { Tables } from './tables.ts';

/** Builds and compiles queries. It has no connection: node:sqlite runs what it compiles. */
export const query: Kysely<Tables> = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
});

/** The values that a statement is given each time it runs, as places in the query that it is built from. */
export type Slots<Values> = { readonly [Name in keyof Values]: Expression<Values[Name]> };

/** A query compiled and prepared once. The rows have the type that the query builder says. */
export interface Statement<Values, Row> {
  all(values: Values): Row[];
  get(values: Values): Row | undefined;
  /** The row of a query that always has one. */
  one(values: Values): Row;
  /** Tells how many rows were changed. */
  run(values: Values): number;
}

/** Stands in a compiled query for a value to come. */
class Slot {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** Prepares the query that `build` makes of the slots. For what runs often; the statement lives as long as the database. */
export function prepare<Values extends object, Row>(
  database: DatabaseSync,
  build: (slots: Slots<Values>) => Compilable<Row>,
): Statement<Values, Row> {
  const { sql: text, parameters } = build(slotsOf<Values>()).compile();
  const statement = database.prepare(text);
  const bind = (values: Values): SQLInputValue[] => {
    const given = values as Record<string, unknown>;
    return parameters.map((value) => (value instanceof Slot ? given[value.name] : value) as SQLInputValue);
  };
  const get = (values: Values): Row | undefined => statement.get(...bind(values)) as Row | undefined;
  return {
    all: (values) => statement.all(...bind(values)) as Row[],
    get,
    one(values) {
      const row = get(values);
      if (row === undefined) throw new Failure('internal', 'reject', `no row in the state store for ${text}`);
      return row;
    },
    run: (values) => Number(statement.run(...bind(values)).changes),
  };
}

/** Runs a query that is built for one use, such as a list with filters. */
export function selectAll<Row>(database: DatabaseSync, built: Compilable<Row>): Row[] {
  return prepare(database, () => built).all({});
}

/** The slots named, as the row of an insert. */
export function pick<Values, Name extends keyof Values>(
  slots: Slots<Values>,
  names: readonly Name[],
): { readonly [N in Name]: Expression<Values[N]> } {
  const picked: Partial<{ [N in Name]: Expression<Values[N]> }> = {};
  for (const name of names) picked[name] = slots[name];
  return picked as { readonly [N in Name]: Expression<Values[N]> };
}

function slotsOf<Values>(): Slots<Values> {
  const place = (_: object, name: string): Expression<unknown> => sql.val(new Slot(name));
  return new Proxy({}, { get: place }) as Slots<Values>;
}
