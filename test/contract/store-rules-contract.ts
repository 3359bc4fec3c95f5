import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Run } from '../../src/actions/run.ts';
import type { Claim, Consequences, RuleStart, Store } from '../../src/actions/store.ts';
import type { Decision } from '../../src/engine/decision.ts';
import type { Event } from '../../src/engine/event.ts';
import type { Recheck } from '../../src/engine/recheck.ts';
import { alert, cloudEvent, decision, over, run, START, settlement, WEB } from './store-samples.ts';

type Get = () => Store & { append(events: readonly Event[]): Promise<unknown> };

const HOUR = 3_600_000;
const LEASE = 30_000;
const NOTHING: Consequences = { decisions: [], runs: [], cooldowns: [] };

/** What the store promises of rules: what they have put off, what they have begun, and cooldowns that begin with a success. */
export function rulesContract(get: Get): void {
  describe('rechecks', () => rechecks(get));
  describe('starts', () => starts(get));
  describe('cooldowns on success', () => successes(get));
}

async function received(get: Get, number: number): Promise<number> {
  await get().append([cloudEvent(number)]);
  const undecided = await get().undecided(0, 1000);
  const found = undecided.find(({ event }) => event.id === `evt_${number}`);
  assert.ok(found !== undefined);
  return found.seq;
}

function recheck(number: number, but: Partial<Recheck> = {}): Recheck {
  return { key: `k${number}`, rule: 'replace', dueAt: START + number, event: alert(number), ...but };
}

function rechecks(get: Get): void {
  const putOff = async (...waiting: readonly Recheck[]): Promise<void> =>
    get().settle([{ ...NOTHING, seq: await received(get, 1000), rechecks: waiting }]);

  it('keeps what is put off with the decision, and tells it as it was, the first due first', async () => {
    const [seq] = [await received(get, 9)];
    const delayed = decision(9, { outcome: 'suppressed', reason: 'rule_delay', runId: null, actions: [] });
    const odd = recheck(1, { key: "k'\u0000☃", event: alert(1, { labels: { 'ключ "q"': 'a\u0000b' } }) });
    await get().settle([{ ...NOTHING, seq, decisions: [delayed], rechecks: [recheck(2), odd] }]);
    assert.deepEqual(await get().rechecks(), [odd, recheck(2)]);
    assert.deepEqual(await get().decision('dec_9'), delayed);
    assert.equal((await get().inboxState()).depth, 0);
  });

  it('takes times with fractions of a millisecond', async () => {
    await putOff(recheck(1, { dueAt: START + 0.25 }));
    assert.equal((await get().rechecks())[0]?.dueAt, START + 0.25);
  });

  it('one of the same key gives way', async () => {
    await putOff(recheck(1));
    const later = recheck(2, { key: 'k1' });
    await get().settle([{ ...NOTHING, seq: await received(get, 1001), rechecks: [later] }]);
    assert.deepEqual(await get().rechecks(), [later]);
  });

  it('waits no more once it is settled, with everything that follows from it', async () => {
    await putOff(recheck(1), recheck(2));
    const { decisions, runs } = settlement(0, 5);
    const cooldowns = [{ rule: 'replace', key: 'k', until: START + 9 }];
    await get().settle([{ recheck: 'k1', decisions, runs, cooldowns }]);
    assert.deepEqual(await get().rechecks(), [recheck(2)]);
    assert.deepEqual(await get().decision('dec_5'), decision(5));
    assert.deepEqual(await get().run('run_5'), run(5));
    assert.deepEqual(await get().cooldowns(START), cooldowns);
  });

  it('leaves the count of undecided events as it is', async () => {
    await putOff(recheck(1));
    await get().append([alert(7)]);
    await get().settle([{ ...NOTHING, recheck: 'k1' }]);
    assert.equal((await get().inboxState()).depth, 1);
  });

  it('lets nothing follow from one that does not wait, or no more', async () => {
    await putOff(recheck(1));
    const { decisions, runs } = settlement(0, 5);
    const cooldowns = [{ rule: 'replace', key: 'k', until: START + 9 }];
    await get().settle([{ ...NOTHING, recheck: 'k1' }]);
    for (const key of ['k1', 'unknown']) {
      await get().settle([{ recheck: key, decisions, runs, cooldowns, rechecks: [recheck(3)] }]);
    }
    assert.equal(await get().decision('dec_5'), null);
    assert.equal(await get().run('run_5'), null);
    assert.deepEqual([await get().cooldowns(START), await get().rechecks()], [[], []]);
  });

  it('in one call, what is put off can be settled, and its key put off anew', async () => {
    const seqs = [await received(get, 1), await received(get, 2)];
    const [first = 0, second = 0] = seqs;
    const batch = [
      { ...NOTHING, seq: first, rechecks: [recheck(1)] },
      { ...NOTHING, recheck: 'k1', decisions: settlement(0, 5).decisions },
      { ...NOTHING, seq: second, rechecks: [recheck(2, { key: 'k1' })] },
    ];
    await get().settle(batch);
    assert.deepEqual(await get().rechecks(), [recheck(2, { key: 'k1' })]);
    await get().settle(batch.slice(0, 1));
    assert.deepEqual(await get().rechecks(), [recheck(2, { key: 'k1' })], 'a repeated call changes nothing');
  });

  it('does all of it or nothing', async () => {
    await putOff(recheck(1));
    const seq = await received(get, 5);
    await get().settle([settlement(seq, 5)]);
    const clash = { ...NOTHING, recheck: 'k1', decisions: [decision(6, { id: 'dec_5' })] };
    await assert.rejects(get().settle([clash]));
    assert.deepEqual(await get().rechecks(), [recheck(1)]);
  });

  it('is not pruned while it waits, nor is its event with it', async () => {
    await putOff(recheck(1));
    await get().prune(START + 365 * 24 * HOUR);
    assert.deepEqual(await get().rechecks(), [recheck(1)]);
  });
}

function starts(get: Get): void {
  const decide = async (number: number, but: Partial<Decision>): Promise<void> => {
    const seq = await received(get, number);
    const decided = decision(number, { runId: null, ...but });
    await get().settle([{ ...NOTHING, seq, decisions: [decided] }]);
  };
  const known = async (after = 0, limit = 100): Promise<RuleStart[]> =>
    (await get().starts(after, limit)).map(({ rule, at }) => ({ rule, at }));

  it('are what rules decided to do, or would have done, and nothing else', async () => {
    await decide(1, { at: START + 1 });
    await decide(2, { at: START + 2, outcome: 'shadowed', rule: 'watch' });
    await decide(3, { at: START + 3, outcome: 'suppressed', reason: 'rule_limit' });
    await decide(4, { at: START + 4, outcome: 'not_matched', reason: 'no_rule', rule: null });
    assert.deepEqual(await known(), [
      { rule: 'replace', at: START + 1 },
      { rule: 'watch', at: START + 2 },
    ]);
  });

  it('count a decision once that is recorded twice', async () => {
    await decide(1, {});
    await decide(2, { key: decision(1).key });
    assert.equal((await known()).length, 1);
  });

  it('are told a page at a time, in the order in which they were recorded', async () => {
    for (const number of [1, 2, 3]) await decide(number, { at: START + number });
    const [first] = await get().starts(0, 1);
    assert.ok(first !== undefined);
    assert.equal(first.at, START + 1);
    assert.deepEqual(
      (await known(first.seq)).map(({ at }) => at),
      [START + 2, START + 3],
    );
  });

  it('are kept for a day whatever the retention is, and no longer', async () => {
    const day = 24 * HOUR;
    await decide(1, { at: START - day - 1 });
    await decide(2, { at: START - day });
    await get().prune(START - 30 * day);
    assert.deepEqual(await known(), [{ rule: 'replace', at: START - day }]);
    await get().prune(START + HOUR);
    assert.deepEqual(await known(), [{ rule: 'replace', at: START - day }]);
  });
}

function successes(get: Get): void {
  const cooldown = { key: 'k', forMs: HOUR };
  const begun = async (but: Partial<Run> = {}): Promise<Claim> => {
    const seq = await received(get, 1);
    await get().settle([settlement(seq, 1, but)]);
    const claim = await get().claim('a', START, LEASE);
    assert.ok(claim !== null);
    return claim;
  };

  it('are part of the run from the beginning', async () => {
    const claim = await begun({ cooldown });
    assert.deepEqual(claim.run.cooldown, cooldown);
    assert.deepEqual((await get().liveRuns())[0]?.cooldown, cooldown);
    assert.deepEqual(await get().cooldowns(0), []);
  });

  it('are taken as the run succeeds', async () => {
    const claim = await begun({ cooldown });
    await get().record(claim, over(claim.run, 'succeeded', START + 7), null);
    assert.deepEqual(await get().cooldowns(START), [{ rule: 'replace', key: 'k', until: START + 7 + HOUR }]);
  });

  for (const state of ['failed', 'rolled_back', 'cancelled'] as const) {
    it(`are not taken when the run is ${state}`, async () => {
      const claim = await begun({ cooldown });
      await get().record(claim, over(claim.run, state, START + 7), null);
      assert.deepEqual(await get().cooldowns(0), []);
    });
  }

  it('are not taken by a run that only goes on, nor by one that asks for none', async () => {
    const claim = await begun();
    assert.equal('cooldown' in claim.run, false);
    await get().record(claim, claim.run, null);
    await get().record(claim, over(claim.run, 'succeeded', START + 7), null);
    assert.deepEqual(await get().cooldowns(0), []);
  });

  it('are not taken by a holder who has lost the group', async () => {
    const claim = await begun({ cooldown });
    await get().releaseExpired(START + LEASE);
    assert.equal(await get().record(claim, over(claim.run, 'succeeded', START + 7), null), false);
    assert.deepEqual(await get().cooldowns(0), []);
  });

  it('do not shorten one that lasts longer', async () => {
    const claim = await begun({ cooldown });
    const longer = { rule: 'replace', key: 'k', until: START + 9 * HOUR };
    await get().settle([{ ...NOTHING, seq: await received(get, 2), cooldowns: [longer] }]);
    await get().record(claim, over(claim.run, 'succeeded', START + 7), null);
    assert.deepEqual(await get().cooldowns(START), [longer]);
  });

  it('are not taken by a run that is called off before it began', async () => {
    const seq = await received(get, 1);
    await get().settle([settlement(seq, 1, { cooldown, group: WEB })]);
    assert.equal(await get().cancelPending('run_1', START, 'me'), true);
    assert.deepEqual(await get().cooldowns(0), []);
  });
}
