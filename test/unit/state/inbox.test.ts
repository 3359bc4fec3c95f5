import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Database } from '../../../src/state/database.ts';
import { type Backlog, GroupCommitInbox } from '../../../src/state/inbox.ts';
import { alert, cloudEvent, START } from '../../contract/store-samples.ts';
import { openTables, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
after(() => folder.remove());

interface Site {
  readonly inbox: GroupCommitInbox;
  readonly backlog: Backlog;
  readonly database: Database;
  commits(): number;
}

/** An inbox whose commits are counted. */
function site(database: Database = openTables()): Site {
  let commits = 0;
  const counting: Database = {
    ...database,
    transaction(work) {
      commits++;
      return database.transaction(work);
    },
  };
  const backlog = { depth: 0 };
  const inbox = new GroupCommitInbox(counting, backlog, { dedupWindowMs: 60_000, inboxLimit: 100_000 });
  return { inbox, backlog, database, commits: () => commits };
}

function events(from: number, count: number): ReturnType<typeof cloudEvent>[] {
  return Array.from({ length: count }, (_, i) => cloudEvent(from + i));
}

describe('group commit', () => {
  it('calls of one turn of the event loop share one commit', async () => {
    const { inbox, commits } = site();
    await Promise.all(events(0, 32).map((event) => inbox.append([event])));
    assert.equal(commits(), 1);
    await inbox.append([cloudEvent(99)]);
    assert.equal(commits(), 2);
  });

  it('a call that finds nobody else waits for nobody', async () => {
    const { inbox, commits } = site();
    const answer = inbox.append([cloudEvent(1)]);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(commits(), 1);
    assert.deepEqual(await answer, ['accepted']);
  });

  it('a commit has a bound, so that a storm does not block the event loop, and the order is kept', async () => {
    const { inbox, commits, database, backlog } = site();
    const calls = [0, 1, 2, 3, 4].map((call) => inbox.append(events(call * 400, 400)));
    await Promise.all(calls);
    assert.equal(commits(), 3);
    assert.equal(backlog.depth, 2000);
    const documents = database.connection.prepare('SELECT document FROM events ORDER BY seq').all();
    assert.deepEqual(
      documents.map(({ document }) => (JSON.parse(String(document)) as { id: string }).id),
      events(0, 2000).map(({ id }) => id),
    );
  });

  it('a single call is one commit, however many events it brings', async () => {
    const { inbox, commits } = site();
    await inbox.append(events(0, 3000));
    assert.equal(commits(), 1);
  });
});

describe('an inbox that holds more than its limit, since the limit was lowered', () => {
  it('still recognises duplicates, and takes nothing new', async () => {
    const { inbox, database } = site();
    await inbox.append(events(0, 5));
    const small = new GroupCommitInbox(database, { depth: 5 }, { dedupWindowMs: 60_000, inboxLimit: 3 });
    assert.deepEqual(await small.append(events(0, 2)), ['duplicate', 'duplicate']);
    await assert.rejects(small.append(events(4, 2)), { code: 'inbox_full' });
  });
});

describe('foresee', () => {
  it('tells what append then takes the event for, and writes nothing', async () => {
    const { inbox, database, backlog } = site();
    const at = (minutes: number) => ({ receivedAt: START + minutes * 60_000 });
    const arrivals: readonly [event: ReturnType<typeof alert>, expected: string][] = [
      [alert(1), 'new'],
      [alert(1, at(0.5)), 'duplicate'],
      [alert(1, at(2)), 'repeat'],
      [alert(1, { ...at(3), status: 'resolved' }), 'new'],
      [alert(1, { ...at(4), status: 'resolved' }), 'duplicate'],
      [cloudEvent(2), 'new'],
      [cloudEvent(2, at(1000)), 'duplicate'],
    ];
    for (const [event, expected] of arrivals) {
      const depth = backlog.depth;
      assert.deepEqual([inbox.foresee(event), inbox.foresee(event)], [expected, expected]);
      assert.equal(backlog.depth, depth);
      const [admission] = await inbox.append([event]);
      assert.equal(admission, expected === 'duplicate' ? 'duplicate' : 'accepted');
    }
    const repeats = database.connection.prepare(
      'SELECT document FROM events WHERE document LIKE \'%"repeat":true%\'',
    );
    assert.equal(repeats.all().length, 1);
  });
});

describe('admittedAs', () => {
  const at = (minutes: number, number: number) => ({
    id: `evt_${minutes}`,
    receivedAt: START + minutes * 60_000,
    identity: alert(number).identity,
  });

  it('names the event that a duplicate is a duplicate of, also after a repetition', async () => {
    const { inbox } = site();
    const { key } = alert(1).identity;
    assert.equal(inbox.admittedAs(key), null);
    await inbox.append([alert(1, at(0, 1)), alert(1, at(0.5, 1)), alert(2)]);
    assert.equal(inbox.admittedAs(key), 'evt_0');
    await inbox.append([alert(1, at(2, 1)), alert(1, at(2.5, 1))]);
    assert.equal(inbox.admittedAs(key), 'evt_2');
  });

  it('names none where a program that does not write it down came after', async () => {
    const { inbox, database } = site();
    await inbox.append([alert(1)]);
    database.connection.exec('UPDATE incidents SET admitted_at = admitted_at + 1');
    assert.equal(inbox.admittedAs(alert(1).identity.key), null);
  });
});

describe('a full disk', () => {
  /** Lets the file grow by so many pages only; 0 lets it grow freely again. */
  const limitGrowth = ({ connection }: Database, pages: number): void => {
    const now = Number(connection.prepare('PRAGMA page_count').get()?.['page_count']);
    connection.exec(`PRAGMA max_page_count = ${pages === 0 ? 1_000_000 : now + pages}`);
  };

  it('fails every caller of the commit, keeps nothing, and is over when there is room again', async () => {
    const { inbox, backlog, database } = site(openTables(join(folder.path, 'full.db')));
    await inbox.append([alert(1)]);
    limitGrowth(database, 2);
    const big = cloudEvent(2, { annotations: { description: 'x'.repeat(100_000) } });
    const answers = await Promise.allSettled([
      inbox.append([alert(3)]),
      inbox.append([big]),
      inbox.append([alert(4)]),
    ]);
    for (const answer of answers) {
      assert.equal(answer.status, 'rejected');
      const { code, disposition } = (answer as PromiseRejectedResult).reason as {
        code: string;
        disposition: string;
      };
      assert.deepEqual([code, disposition], ['store_unavailable', 'retry']);
    }
    assert.equal(backlog.depth, 1);

    limitGrowth(database, 0);
    assert.deepEqual(await inbox.append([alert(3), big, alert(4), alert(1)]), [
      'accepted',
      'accepted',
      'accepted',
      'duplicate',
    ]);
    assert.equal(backlog.depth, 4);
    database.close();
  });
});
