import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cloudEvent, run, START, settlement, step, WEB } from '../../contract/store-samples.ts';
import { copyAsCrashed, openStore, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
after(() => folder.remove());
const LEASE = 30_000;

describe('a crash', () => {
  it('loses no event that was acknowledged, and frees the file for the next process', async () => {
    const path = join(folder.path, 'killed.db');
    const script = fileURLToPath(new URL('./append-until-killed.ts', import.meta.url));
    const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      if (printed.split('\n').length > 300) child.kill('SIGKILL');
    });
    await once(child, 'close');
    // The last line may have been cut short by the kill; what stands before a newline was acknowledged.
    const acknowledged = printed.split('\n').slice(0, -1).map(Number);
    assert.ok(acknowledged.length >= 300);

    const store = openStore(path);
    const found = new Set((await store.undecided(0, 1_000_000)).map(({ event }) => event.id));
    assert.deepEqual(
      acknowledged.filter((number) => !found.has(`evt_${number}`)),
      [],
    );
    await store.close();
  });

  it('loses nothing that a write has resolved for, whichever it was', async () => {
    const path = join(folder.path, 'before.db');
    const store = openStore(path);
    await store.append([cloudEvent(1), cloudEvent(2), cloudEvent(3)]);
    const cooldown = { rule: 'replace', key: 'k', until: START + 9 };
    await store.settle([{ ...settlement(1, 1), cooldowns: [cooldown] }]);
    const claim = await store.claim('a', START, LEASE);
    assert.ok(claim !== null);
    await store.record(claim, claim.run, step(0));
    await store.recordSwap({ runId: 'run_1', group: 'g', market: 'm', at: START, urgent: true });
    await store.pause({ group: null, reason: 'freeze', at: START });

    const crashed = join(folder.path, 'after.db');
    copyAsCrashed(path, crashed);
    await store.close();

    const next = openStore(crashed);
    assert.deepEqual(
      (await next.undecided(0, 10)).map(({ seq }) => seq),
      [2, 3],
    );
    assert.deepEqual(await next.inboxState(), { depth: 2, oldestReceivedAt: START });
    assert.deepEqual(await next.append([cloudEvent(2)]), ['duplicate']);
    assert.deepEqual(await next.cooldowns(START), [cooldown]);
    assert.equal((await next.swapsSince(START)).length, 1);
    assert.equal((await next.pauses()).length, 1);
    assert.deepEqual(await next.liveRuns(), [
      run(1, { state: 'recovering', attempt: 1, steps: [step(0)], group: WEB }),
    ]);
    await next.close();
  });

  it('takes the claims of the process with it: they write nothing any more', async () => {
    const path = join(folder.path, 'claims.db');
    const first = openStore(path);
    await first.append([cloudEvent(1)]);
    await first.settle([settlement(1, 1)]);
    const stale = await first.claim('a', START, LEASE);
    assert.ok(stale !== null);
    await first.close();

    const second = openStore(path);
    assert.equal(await second.record(stale, stale.run, step(0)), false);
    assert.equal(await second.renew(stale, START + 1, LEASE), false);
    // The lease has not ended by the clock; its holder is gone all the same.
    const next = await second.claim('a', START + 1, LEASE);
    assert.ok(next !== null);
    assert.equal(next.run.state, 'recovering');
    assert.ok(next.fence > stale.fence);
    assert.equal(await second.record(stale, stale.run, step(0)), false);
    await second.close();
  });
});
