import assert from 'node:assert/strict';
import type { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import type { Database } from '../../../src/state/database.ts';
import { createDecisions } from '../../../src/state/decisions.ts';
import { createFailedSwaps } from '../../../src/state/failed-swaps.ts';
import { createHistory } from '../../../src/state/history.ts';
import { GroupCommitInbox } from '../../../src/state/inbox.ts';
import { createPrune } from '../../../src/state/prune.ts';
import { createQueries } from '../../../src/state/queries.ts';
import { createRuns } from '../../../src/state/runs.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { WEB_KEY } from '../../contract/store-samples.ts';
import { openTables } from './support.ts';

/** The database, with every statement that is prepared on it written down. */
function recording(database: Database): { readonly database: Database; readonly texts: Set<string> } {
  const texts = new Set<string>();
  const connection: DatabaseSync = new Proxy(database.connection, {
    get(target, name) {
      if (name === 'prepare') {
        return (text: string) => {
          texts.add(text);
          return target.prepare(text);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  return { database: { ...database, connection }, texts };
}

async function everyStatement(): Promise<readonly (readonly [text: string, plan: string])[]> {
  const { database, texts } = recording(openTables());
  const backlog = { depth: 0 };
  new GroupCommitInbox(database, backlog, { dedupWindowMs: 1, inboxLimit: 1 });
  createDecisions(database, backlog);
  createRuns(database, silentLog);
  createHistory(database);
  createFailedSwaps(database);
  createPrune(database, new ManualClock());
  const { decisions, runs } = createQueries(database, backlog);
  const cursor = Buffer.from('1:1').toString('base64url');
  for (const filter of [{}, { rule: 'r' }, { group: 'web' }, { group: WEB_KEY }, { since: 1 }]) {
    for (const place of [{}, { cursor }]) {
      await decisions({ limit: 9, ...filter, ...place });
      await runs({ limit: 9, ...filter, ...place });
    }
  }
  for (const filter of [{ outcome: 'failed' }, { reason: 'rule_error' }, { event: 'e' }] as const)
    await decisions({ limit: 9, ...filter, since: 1 });
  await runs({ limit: 9, state: 'failed', cursor });
  const plan = (text: string): string =>
    database.connection
      .prepare(`EXPLAIN QUERY PLAN ${text}`)
      .all()
      .map(({ detail }) => String(detail))
      .join('\n');
  return [...texts].filter((text) => !text.startsWith('EXPLAIN')).map((text) => [text, plan(text)]);
}

describe('every statement of the store', () => {
  it('finds its rows by an index, never by reading a table that grows', async () => {
    const statements = await everyStatement();
    assert.ok(statements.length > 40);
    for (const [text, plan] of statements) {
      const scans = plan
        .split('\n')
        .filter((line) => /^SCAN (?!pauses)/.test(line) && !line.includes('USING INDEX'));
      assert.deepEqual(scans, [], text);
    }
  });

  it('takes its order from an index, where many rows may match', async () => {
    const sorted = (await everyStatement()).filter(([, plan]) =>
      plan.includes('USE TEMP B-TREE FOR ORDER BY'),
    );
    // Runs that are not over, failures since the last success, and the decisions on one event: all are few.
    for (const [text] of sorted) assert.match(text, /"state" in \(|"event_id" = /);
  });
});
