import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cloudEvent, decision, START } from '../../contract/store-samples.ts';
import { openStore } from './support.ts';

describe('pruning much', () => {
  it('lets others write in between, and deletes all of it', async () => {
    const store = openStore(':memory:');
    const numbers = Array.from({ length: 1200 }, (_, i) => i);
    await store.append(numbers.map((number) => cloudEvent(number)));
    await store.settle(
      (await store.undecided(0, 2000)).map(({ seq }, i) => ({
        seq,
        decisions: [decision(i)],
        runs: [],
        cooldowns: [],
      })),
    );
    const progress = { pruned: false };
    const pruning = store.prune(START + 1).finally(() => {
      progress.pruned = true;
    });
    let appended = 0;
    while (!progress.pruned) {
      await store.append([cloudEvent(2000 + appended++)]);
    }
    assert.equal(await pruning, 2400);
    assert.ok(appended >= 8, `${appended} appends during the pruning`);
    assert.equal((await store.inboxState()).depth, appended);
    assert.deepEqual((await store.decisions({ limit: 1 })).items, []);
    await store.close();
  });
});
