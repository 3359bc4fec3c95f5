import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Run, RunState, StepRecord } from '../../src/actions/run.ts';
import type { Claim, Pause, Settlement, Store, SwapRecord } from '../../src/actions/store.ts';
import type { Decision } from '../../src/engine/decision.ts';
import type { Event } from '../../src/engine/event.ts';
import type { KeptRuleFiles, KeptRuleStore } from '../../src/state/kept-rules.ts';
import { rulesContract } from './store-rules-contract.ts';
import {
  alert,
  BATCH,
  cloudEvent,
  decision,
  over,
  run,
  START,
  settlement,
  step,
  WEB,
  WEB_KEY,
} from './store-samples.ts';

/** The store and the inbox in front of it, as every adapter offers them. */
export type StoreUnderTest = Store &
  KeptRuleStore & {
    append(events: readonly Event[]): Promise<readonly ('accepted' | 'duplicate')[]>;
    close(): Promise<void>;
  };

export interface StoreSettings {
  readonly dedupWindowMs: number;
  readonly inboxLimit: number;
}

const MINUTE = 60_000;
const LEASE = 30_000;
const TELL: Run['actions'][number] = {
  kind: 'http',
  http: { url: 'http://a/?"kind":"swap"', headers: {}, bearerTokenFile: null },
};

/** Every promise of src/actions/store.ts and of the inbox, for any adapter. `open` gives an empty store whose clock is at START. */
export function storeContract(
  adapter: string,
  open: (settings: StoreSettings) => StoreUnderTest | Promise<StoreUnderTest>,
): void {
  describe(`${adapter} keeps the contract of Store`, () => {
    let store: StoreUnderTest;
    beforeEach(async () => {
      store = await open({ dedupWindowMs: MINUTE, inboxLimit: 8 });
    });
    afterEach(() => store.close());
    const get = (): StoreUnderTest => store;

    describe('inbox', () => inbox(get));
    describe('duplicates', () => duplicates(get));
    describe('settle', () => settling(get));
    describe('cooldowns', () => cooldowns(get));
    describe('rules', () => rulesContract(get));
    describe('claim', () => claiming(get));
    describe('record', () => recording(get));
    describe('leases', () => leases(get));
    describe('lockGroup', () => locking(get));
    describe('cancelPending', () => cancelling(get));
    describe('history', () => history(get));
    describe('failedSwaps', () => failing(get));
    describe('kept rules', () => keeping(get));
    describe('lists', () => lists(get));
    describe('prune', () => pruning(get));
    describe('after close', () => closed(get));
  });
}

type Get = () => StoreUnderTest;

const KEPT: KeptRuleFiles = {
  paths: ['/etc/coppice/rules'],
  hash: 'abc',
  keptAt: START,
  files: [{ file: 'rules/a.yaml', text: 'rules: []\n# \u00e9, \u{1f333}, and a quote: "\n' }],
};

function keeping(get: Get): void {
  it('has nothing at first', async () => {
    assert.equal(await get().keptRules(), null);
  });

  it('gives back what was kept last, letter by letter', async () => {
    await get().keepRules({ ...KEPT, paths: ['/elsewhere'], files: [] });
    await get().keepRules(KEPT);
    assert.deepEqual(await get().keptRules(), KEPT);
  });

  it('is not pruned', async () => {
    await get().keepRules(KEPT);
    await get().prune(START + 1);
    assert.deepEqual(await get().keptRules(), KEPT);
  });
}

async function seqs(store: StoreUnderTest): Promise<number[]> {
  return (await store.undecided(0, 1000)).map(({ seq }) => seq);
}

/** Brings in one run for each row given, with an event and a decision of its own. */
async function withRuns(store: StoreUnderTest, runs: readonly Run[]): Promise<void> {
  for (const one of runs) {
    const number = Number(one.id.slice('run_'.length));
    await store.append([cloudEvent(number, { receivedAt: one.createdAt })]);
    const [seq] = await seqs(store);
    assert.ok(seq !== undefined);
    await store.settle([settlement(seq, number, one)]);
  }
}

async function claimed(store: StoreUnderTest, now: number = START, holder = 'a'): Promise<Claim> {
  const claim = await store.claim(holder, now, LEASE);
  assert.ok(claim !== null, 'nothing was there to claim');
  return claim;
}

function rejects(code: string, disposition: string): (thrown: unknown) => boolean {
  return (thrown) => {
    assert.deepEqual(pickFailure(thrown), { name: 'Failure', code, disposition });
    return true;
  };
}

function pickFailure(thrown: unknown): object {
  const { name, code, disposition } = thrown as { name: string; code: string; disposition: string };
  return { name, code, disposition };
}

function inbox(get: Get): void {
  it('hands events out as they came in, oldest first, with growing numbers', async () => {
    await get().append([alert(1), cloudEvent(2)]);
    await get().append([alert(3)]);
    const undecided = await get().undecided(0, 10);
    assert.deepEqual(
      undecided.map(({ event }) => event),
      [alert(1), cloudEvent(2), alert(3)],
    );
    assert.ok(undecided.every(({ seq }, i) => seq > (undecided[i - 1]?.seq ?? 0)));
  });

  it('hands out only what comes after a number, and no more than asked for', async () => {
    await get().append([alert(1), alert(2), alert(3), alert(4)]);
    const [first, second, third] = await seqs(get());
    assert.ok(first !== undefined);
    assert.deepEqual(
      (await get().undecided(first, 2)).map(({ seq }) => seq),
      [second, third],
    );
  });

  it('keeps the order of calls that are made at the same time', async () => {
    const numbers = [1, 2, 3, 4, 5, 6];
    const answers = await Promise.all(numbers.map((number) => get().append([alert(number)])));
    assert.deepEqual(
      answers,
      numbers.map(() => ['accepted']),
    );
    const ids = (await get().undecided(0, 10)).map(({ event }) => event.id);
    assert.deepEqual(
      ids,
      numbers.map((number) => `evt_${number}`),
    );
  });

  it('answers an empty call', async () => {
    assert.deepEqual(await get().append([]), []);
  });

  it('says how many wait and since when', async () => {
    assert.deepEqual(await get().inboxState(), { depth: 0, oldestReceivedAt: null });
    await get().append([alert(1, { receivedAt: START + 5 }), alert(2, { receivedAt: START + 9 })]);
    assert.deepEqual(await get().inboxState(), { depth: 2, oldestReceivedAt: START + 5 });
    const [first] = await seqs(get());
    assert.ok(first !== undefined);
    await get().settle([settlement(first, 1)]);
    assert.deepEqual(await get().inboxState(), { depth: 1, oldestReceivedAt: START + 9 });
  });

  it('refuses a call as a whole when it would pass the limit, and takes what fits afterwards', async () => {
    await get().append([1, 2, 3, 4, 5, 6].map((number) => alert(number)));
    await assert.rejects(get().append([alert(7), alert(8), alert(9)]), rejects('inbox_full', 'retry'));
    assert.equal((await get().inboxState()).depth, 6);
    assert.deepEqual(await get().append([alert(7), alert(8)]), ['accepted', 'accepted']);
    await assert.rejects(get().append([cloudEvent(9)]), rejects('inbox_full', 'retry'));
    const [first] = await seqs(get());
    assert.ok(first !== undefined);
    await get().settle([settlement(first, 1)]);
    assert.deepEqual(await get().append([cloudEvent(9)]), ['accepted']);
  });

  it('remembers nothing of a call that it refused, so that the retry is no duplicate', async () => {
    await get().append([1, 2, 3, 4, 5, 6, 7].map((number) => alert(number)));
    await assert.rejects(get().append([alert(8), cloudEvent(9)]), rejects('inbox_full', 'retry'));
    const all = await seqs(get());
    await get().settle(all.map((seq, i) => settlement(seq, i)));
    assert.deepEqual(await get().append([alert(8), cloudEvent(9)]), ['accepted', 'accepted']);
  });

  it('refuses only the callers of one moment that do not fit', async () => {
    const answers = await Promise.allSettled([
      get().append([1, 2, 3, 4, 5].map((number) => alert(number))),
      get().append([6, 7, 8, 9].map((number) => alert(number))),
      get().append([10, 11, 12].map((number) => alert(number))),
    ]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.equal((await get().inboxState()).depth, 8);
  });

  it('still recognises duplicates when it is full, for they need no room', async () => {
    await get().append([1, 2, 3, 4, 5, 6, 7, 8].map((number) => alert(number)));
    assert.deepEqual(await get().append([alert(3), alert(4)]), ['duplicate', 'duplicate']);
  });

  it('keeps every character of what it is given', async () => {
    const odd = alert(1, {
      labels: { 'ключ "q"': 'a\u0000b\n\u2028☃💥\\' },
      subject: "'; DROP TABLE events; --",
    });
    await get().append([odd]);
    assert.deepEqual((await get().undecided(0, 1))[0]?.event, odd);
  });

  it('takes times with fractions of a millisecond, as a scaled clock gives them', async () => {
    const event = alert(1, { receivedAt: START + 0.5, time: START + 0.25 });
    await get().append([event]);
    assert.deepEqual((await get().undecided(0, 1))[0]?.event, event);
    assert.equal((await get().inboxState()).oldestReceivedAt, START + 0.5);
  });
}

function duplicates(get: Get): void {
  const firing = alert(1);
  const later = (ms: number, other: Partial<Event> = {}): Event =>
    alert(1, { receivedAt: START + ms, ...other });
  const resolved = later(2 * MINUTE, { status: 'resolved', endsAt: START + 2 * MINUTE });
  type Row = readonly [
    rule: string,
    events: readonly Event[],
    answers: readonly string[],
    repeats: readonly boolean[],
  ];
  const rows: readonly Row[] = [
    [
      'the same alert twice within the window is one',
      [firing, later(59_999)],
      ['accepted', 'duplicate'],
      [false],
    ],
    [
      'the same alert after the window is a repeat',
      [firing, later(MINUTE)],
      ['accepted', 'accepted'],
      [false, true],
    ],
    [
      'the window begins anew with every repeat',
      [firing, later(MINUTE), later(MINUTE + 1)],
      ['accepted', 'accepted', 'duplicate'],
      [false, true],
    ],
    [
      'the end of an alert is news, its second end is not',
      [firing, resolved, resolved],
      ['accepted', 'accepted', 'duplicate'],
      [false, false],
    ],
    [
      'an alert that fires again after its end is a new incident',
      [firing, resolved, later(3 * MINUTE, { time: START + 150_000 })],
      ['accepted', 'accepted', 'accepted'],
      [false, false, false],
    ],
    [
      'a straggler of an incident that has ended is a duplicate',
      [firing, resolved, later(3 * MINUTE)],
      ['accepted', 'accepted', 'duplicate'],
      [false, false],
    ],
    ['other labels are another alert', [firing, alert(2)], ['accepted', 'accepted'], [false, false]],
    [
      'an id of a sender counts once, whenever it comes',
      [cloudEvent(1), cloudEvent(1, { id: 'evt_x', receivedAt: START + 86_400_000 })],
      ['accepted', 'duplicate'],
      [false],
    ],
    [
      'two ids of a sender are two events',
      [cloudEvent(1), cloudEvent(2)],
      ['accepted', 'accepted'],
      [false, false],
    ],
    [
      'a sender id and an alert with the same key are two things',
      [
        alert(1, { identity: { kind: 'incident', key: 'k' } }),
        cloudEvent(1, { identity: { kind: 'origin', key: 'k' } }),
      ],
      ['accepted', 'accepted'],
      [false, false],
    ],
    [
      'keys that differ only after a NUL are different',
      [
        cloudEvent(1, { identity: { kind: 'origin', key: 'a\u0000b' } }),
        cloudEvent(2, { identity: { kind: 'origin', key: 'a\u0000c' } }),
      ],
      ['accepted', 'accepted'],
      [false, false],
    ],
    [
      'what claims to be a repeat is not taken at its word',
      [alert(1, { repeat: true })],
      ['accepted'],
      [false],
    ],
  ];
  for (const [rule, events, answers, repeats] of rows) {
    const outcome = async (): Promise<readonly boolean[]> =>
      (await get().undecided(0, 10)).map(({ event }) => event.repeat);
    it(`${rule} (one call)`, async () => {
      assert.deepEqual(await get().append(events), answers);
      assert.deepEqual(await outcome(), repeats);
    });
    it(`${rule} (a call each)`, async () => {
      for (const [i, event] of events.entries()) assert.deepEqual(await get().append([event]), [answers[i]]);
      assert.deepEqual(await outcome(), repeats);
    });
    it(`${rule} (calls at the same time)`, async () => {
      const all = await Promise.all(events.map((event) => get().append([event])));
      assert.deepEqual(all.flat(), answers);
      assert.deepEqual(await outcome(), repeats);
    });
  }

  it('an event is a duplicate after it was decided as well', async () => {
    await get().append([alert(1), cloudEvent(2)]);
    const all = await seqs(get());
    await get().settle(all.map((seq, i) => settlement(seq, i)));
    assert.deepEqual(await get().append([alert(1), cloudEvent(2)]), ['duplicate', 'duplicate']);
  });
}

function settling(get: Get): void {
  beforeEach(() => get().append([alert(1), alert(2)]));

  it('records decisions, runs and cooldowns, and takes the event out of the inbox', async () => {
    const [first, second] = await seqs(get());
    assert.ok(first !== undefined);
    const cooldown = { rule: 'replace', key: WEB_KEY, until: START + 5 };
    await get().settle([{ ...settlement(first, 1), cooldowns: [cooldown] }]);
    assert.deepEqual(await seqs(get()), [second]);
    assert.deepEqual(await get().decision('dec_1'), decision(1));
    assert.deepEqual(await get().run('run_1'), run(1));
    assert.deepEqual(await get().cooldowns(START), [cooldown]);
  });

  it('takes an event out of the inbox that nothing follows from', async () => {
    const all = await seqs(get());
    await get().settle(all.map((seq) => ({ seq, decisions: [], runs: [], cooldowns: [] })));
    assert.deepEqual(await seqs(get()), []);
  });

  it('changes nothing for an event that is decided already', async () => {
    const [first] = await seqs(get());
    assert.ok(first !== undefined);
    await get().settle([settlement(first, 1)]);
    const again: Settlement = {
      ...settlement(first, 3),
      cooldowns: [{ rule: 'r', key: 'k', until: START + 9 }],
    };
    await get().settle([again]);
    assert.equal(await get().decision('dec_3'), null);
    assert.equal(await get().run('run_3'), null);
    assert.deepEqual(await get().cooldowns(0), []);
    assert.equal((await get().inboxState()).depth, 1);
  });

  it('changes nothing for an event that does not exist', async () => {
    await get().settle([settlement(999, 3)]);
    assert.equal(await get().decision('dec_3'), null);
    assert.equal((await get().inboxState()).depth, 2);
  });

  it('leaves a decision whose key is recorded as it is, and its run with it', async () => {
    const [first, second] = await seqs(get());
    assert.ok(first !== undefined && second !== undefined);
    await get().settle([settlement(first, 1)]);
    const twin = { ...settlement(second, 2), decisions: [decision(2, { key: decision(1).key })] };
    await get().settle([twin]);
    assert.equal(await get().decision('dec_2'), null);
    assert.equal(await get().run('run_2'), null);
    assert.deepEqual(await get().run('run_1'), run(1));
    assert.deepEqual(await seqs(get()), []);
  });

  it('records the other decisions of an event beside one that is recorded already', async () => {
    const [first, second] = await seqs(get());
    assert.ok(first !== undefined && second !== undefined);
    await get().settle([settlement(first, 1)]);
    const decisions = [decision(2, { key: decision(1).key }), decision(3)];
    await get().settle([{ seq: second, decisions, runs: [run(2), run(3)], cooldowns: [] }]);
    assert.deepEqual(
      (await get().runs({ limit: 10 })).items.map(({ id }) => id),
      ['run_3', 'run_1'],
    );
  });

  it('does all of it or nothing', async () => {
    const [first, second] = await seqs(get());
    assert.ok(first !== undefined && second !== undefined);
    const clash = { ...settlement(second, 2), decisions: [decision(2, { id: 'dec_1' })], runs: [] };
    await assert.rejects(get().settle([settlement(first, 1), clash]), rejects('internal', 'reject'));
    assert.deepEqual(await seqs(get()), [first, second]);
    assert.equal(await get().decision('dec_1'), null);
    assert.equal((await get().inboxState()).depth, 2);
  });

  it('writes a missing value of the evidence as null', async () => {
    const [first] = await seqs(get());
    assert.ok(first !== undefined);
    const unknown = {
      fact: 'market.price',
      path: 'all[1]',
      operator: 'lessThan',
      expected: 1,
      actual: undefined,
      result: 'unknown',
    } as const;
    await get().settle([
      { seq: first, decisions: [decision(1, { because: [unknown] })], runs: [], cooldowns: [] },
    ]);
    assert.deepEqual((await get().decision('dec_1'))?.because, [{ ...unknown, actual: null }]);
  });
}

function cooldowns(get: Get): void {
  const take = async (until: number, key = 'k'): Promise<void> => {
    await get().append([cloudEvent(until + key.length)]);
    const [seq] = await seqs(get());
    assert.ok(seq !== undefined);
    await get().settle([{ seq, decisions: [], runs: [], cooldowns: [{ rule: 'r', key, until }] }]);
  };
  const ends = async (now: number): Promise<number[]> =>
    (await get().cooldowns(now)).map(({ until }) => until);

  it('a later end replaces an earlier one, and an earlier one changes nothing', async () => {
    await take(START + 10);
    await take(START + 30);
    await take(START + 20);
    assert.deepEqual(await ends(START), [START + 30]);
  });
  it('only those that end after the time asked for are told', async () => {
    await take(START + 10);
    await take(START + 20, 'other');
    assert.deepEqual(await ends(START + 10), [START + 20]);
    assert.deepEqual(await ends(START + 20), []);
  });
}

function claiming(get: Get): void {
  it('takes the run that has been due longest, and among those the one that came first', async () => {
    await withRuns(get(), [
      run(1, { dueAt: START + 5, group: { ...WEB, name: 'one' } }),
      run(2, { dueAt: START + 3, group: { ...WEB, name: 'two' } }),
      run(3, { dueAt: START + 3, group: { ...WEB, name: 'three' } }),
    ]);
    const order: string[] = [];
    for (let i = 0; i < 3; i++) order.push((await claimed(get(), START + 9)).run.id);
    assert.deepEqual(order, ['run_2', 'run_3', 'run_1']);
    assert.equal(await get().claim('a', START + 9, LEASE), null);
  });

  it('makes a pending run running and counts the attempt', async () => {
    await withRuns(get(), [run(1)]);
    const claim = await claimed(get());
    assert.deepEqual(claim, {
      run: run(1, { state: 'running', attempt: 1 }),
      holder: 'a',
      fence: claim.fence,
    });
    assert.deepEqual(await get().run('run_1'), claim.run);
  });

  it('leaves a run alone that is not due yet', async () => {
    await withRuns(get(), [run(1, { dueAt: START + 1 })]);
    assert.equal(await get().claim('a', START, LEASE), null);
    assert.equal((await claimed(get(), START + 1)).run.id, 'run_1');
  });

  it('lets one run at a time act on a group, and goes on with other groups', async () => {
    await withRuns(get(), [run(1), run(2), run(3, { group: BATCH })]);
    assert.equal((await claimed(get())).run.id, 'run_1');
    assert.equal((await claimed(get(), START, 'b')).run.id, 'run_3');
    assert.equal(await get().claim('b', START, LEASE), null);
  });

  it('takes the same name in another region for another group', async () => {
    await withRuns(get(), [run(1), run(2, { group: { ...WEB, region: 'us-east-1' } })]);
    await claimed(get());
    assert.equal((await claimed(get())).run.id, 'run_2');
  });

  it('gives a group a larger fence with every claim, whatever became of the claims before', async () => {
    await withRuns(get(), [run(1), run(2), run(3)]);
    const first = await claimed(get());
    await get().record(first, over(first.run, 'succeeded', START), null);
    const second = await claimed(get());
    await get().releaseExpired(START + LEASE);
    const third = await claimed(get(), START + LEASE);
    assert.ok(first.fence < second.fence && second.fence < third.fence);
  });

  it('keeps a recovering run recovering, with all its steps', async () => {
    await withRuns(get(), [run(1)]);
    const lost = await claimed(get());
    await get().record(lost, lost.run, step(0));
    await get().releaseExpired(START + LEASE);
    const { run: found } = await claimed(get(), START + LEASE);
    assert.equal(found.state, 'recovering');
    assert.equal(found.attempt, 2);
    assert.deepEqual(found.steps, [step(0)]);
  });
}

function recording(get: Get): void {
  let claim: Claim;
  beforeEach(async () => {
    await withRuns(get(), [run(1), run(2)]);
    claim = await claimed(get());
  });

  it('writes the run and a step of it', async () => {
    const looked = { ...claim.run, state: 'running' as const };
    assert.equal(await get().record(claim, looked, step(0)), true);
    assert.deepEqual(await get().run('run_1'), { ...looked, steps: [step(0)] });
  });

  it('replaces a step of the same number and keeps the others, in their order', async () => {
    await get().record(claim, claim.run, step(1, { name: 'hold' }));
    await get().record(claim, claim.run, step(0, { state: 'running', finishedAt: null }));
    const failed = step(0, {
      state: 'failed',
      attempt: 2,
      error: { reason: 'throttled', message: 'slow down' },
    });
    await get().record(claim, claim.run, failed);
    assert.deepEqual((await get().run('run_1'))?.steps, [failed, step(1, { name: 'hold' })]);
  });

  it('writes nothing for a run without a step', async () => {
    await get().record(claim, claim.run, null);
    assert.deepEqual((await get().run('run_1'))?.steps, []);
  });

  for (const state of ['succeeded', 'failed', 'rolled_back', 'cancelled'] as const) {
    it(`frees the group when the run is ${state}, and takes no more of it`, async () => {
      const error =
        state === 'succeeded' ? null : { reason: 'timeout' as const, message: 'it took too long' };
      const end = { ...over(claim.run, state, START + 7), error };
      assert.equal(await get().record(claim, end, step(0)), true);
      assert.equal((await claimed(get())).run.id, 'run_2');
      assert.equal(await get().record(claim, claim.run, step(1)), false);
      assert.deepEqual(await get().run('run_1'), { ...end, steps: [step(0)] });
    });
  }

  it('gives a postponed run out again when it is due, and no other run of its group before it is over', async () => {
    const postponed = { ...claim.run, state: 'recovering' as const, dueAt: START + MINUTE };
    assert.equal(await get().record(claim, postponed, step(0)), true);
    assert.equal(await get().claim('a', START + MINUTE - 1, LEASE), null);
    const again = await claimed(get(), START + MINUTE);
    assert.equal(again.run.id, 'run_1');
    await get().record(again, over(again.run, 'succeeded', START + MINUTE), null);
    assert.equal((await claimed(get(), START + MINUTE)).run.id, 'run_2');
  });

  it('writes nothing under a claim that was lost to the clock', async () => {
    await get().releaseExpired(START + LEASE);
    assert.equal(await get().record(claim, over(claim.run, 'succeeded', START), step(0)), false);
    assert.deepEqual(await get().run('run_1'), { ...claim.run, state: 'recovering' });
  });

  it('writes nothing under a claim whose run another holder has taken up', async () => {
    await get().releaseExpired(START + LEASE);
    const next = await claimed(get(), START + LEASE, 'b');
    assert.equal(next.run.id, 'run_1');
    assert.equal(await get().record(claim, over(claim.run, 'failed', START), step(0)), false);
    assert.deepEqual(await get().run('run_1'), next.run);
    assert.equal(await get().record(next, next.run, null), true);
  });

  it('tells the same holder from itself by the fence', async () => {
    await get().releaseExpired(START + LEASE);
    const next = await claimed(get(), START + LEASE, claim.holder);
    assert.equal(await get().record(claim, next.run, null), false);
    assert.equal(await get().renew(claim, START + LEASE, LEASE), false);
    assert.equal(await get().renew(next, START + LEASE, LEASE), true);
  });

  it('refuses to write another run under the claim', async () => {
    await assert.rejects(get().record(claim, run(2), null), rejects('internal', 'reject'));
    assert.deepEqual(await get().run('run_2'), run(2));
  });
}

function locking(get: Get): void {
  const lock = (now = START, holder = 'janitor') => get().lockGroup(WEB, holder, now, LEASE);

  it('keeps runs from being claimed until it is unlocked, in that group only', async () => {
    await withRuns(get(), [run(1), run(2, { group: BATCH })]);
    const held = await lock();
    assert.ok(held !== null);
    assert.equal((await claimed(get())).run.id, 'run_2');
    assert.equal(await get().claim('a', START, LEASE), null);
    await get().unlockGroup(held);
    assert.equal((await claimed(get())).run.id, 'run_1');
  });

  it('is refused while a run, or another, holds the group', async () => {
    await withRuns(get(), [run(1)]);
    const claim = await claimed(get());
    assert.equal(await lock(), null);
    await get().record(claim, over(claim.run, 'succeeded', START), null);
    const held = await lock();
    assert.ok(held !== null && held.fence > claim.fence);
    assert.equal(await lock(START, 'another'), null);
  });

  it('is refused while a run waits to be recovered, whose turn it is first', async () => {
    await withRuns(get(), [run(1)]);
    await claimed(get());
    assert.equal(await lock(START + LEASE), null);
    assert.equal((await get().run('run_1'))?.state, 'recovering');
    assert.equal(await lock(START + LEASE), null);
  });

  it('ends by itself with its lease, which leaves no run to recover', async () => {
    await withRuns(get(), [run(1)]);
    await lock();
    assert.equal(await get().releaseExpired(START + LEASE), 0);
    assert.equal((await claimed(get(), START + LEASE)).run.state, 'running');
  });

  it('unlocking what was lost takes nothing away from the next holder', async () => {
    await withRuns(get(), [run(1), run(2)]);
    const lost = await lock();
    assert.ok(lost !== null);
    await claimed(get(), START + LEASE);
    await get().unlockGroup(lost);
    assert.equal(await get().claim('b', START + LEASE, LEASE), null);
  });
}

function leases(get: Get): void {
  let claim: Claim;
  beforeEach(async () => {
    await withRuns(get(), [run(1)]);
    claim = await claimed(get());
  });

  it('a lease that was prolonged holds until its new end', async () => {
    assert.equal(await get().renew(claim, START + LEASE - 1, LEASE), true);
    assert.equal(await get().releaseExpired(START + 2 * LEASE - 2), 0);
    assert.equal(await get().releaseExpired(START + 2 * LEASE - 1), 1);
  });

  it('a lease that has ended cannot be prolonged, even if nobody has noticed yet', async () => {
    assert.equal(await get().renew(claim, START + LEASE, LEASE), false);
  });

  it('a run whose lease ended becomes recovering, once', async () => {
    assert.equal(await get().releaseExpired(START + LEASE - 1), 0);
    assert.equal((await get().run('run_1'))?.state, 'running');
    assert.equal(await get().releaseExpired(START + LEASE), 1);
    assert.equal((await get().run('run_1'))?.state, 'recovering');
    assert.equal(await get().releaseExpired(START + LEASE), 0);
  });

  it('a recovering run whose lease ended again stays recovering and its group becomes free', async () => {
    await get().releaseExpired(START + LEASE);
    await claimed(get(), START + LEASE);
    assert.equal(await get().releaseExpired(START + 2 * LEASE), 1);
    assert.equal((await claimed(get(), START + 2 * LEASE)).run.state, 'recovering');
  });

  it('claiming finds an ended lease by itself, and recovers its run before younger runs of the group', async () => {
    await withRuns(get(), [run(2)]);
    const next = await claimed(get(), START + LEASE);
    assert.equal(next.run.id, 'run_1');
    assert.equal(next.run.state, 'recovering');
    assert.equal(await get().claim('b', START + LEASE, LEASE), null);
  });

  it('a run is live until it is over', async () => {
    await withRuns(get(), [run(2), run(3, { group: BATCH })]);
    assert.deepEqual(
      (await get().liveRuns()).map(({ id, state }) => [id, state]),
      [
        ['run_1', 'running'],
        ['run_2', 'pending'],
        ['run_3', 'pending'],
      ],
    );
    await get().record(claim, over(claim.run, 'succeeded', START), step(0));
    await get().cancelPending('run_3', START, 'alice');
    assert.deepEqual(await get().liveRuns(), [run(2)]);
  });
}

function cancelling(get: Get): void {
  it('a run that has not begun is cancelled, and says by whom', async () => {
    await withRuns(get(), [run(1)]);
    assert.equal(await get().cancelPending('run_1', START + 3, 'alice'), true);
    assert.deepEqual(
      await get().run('run_1'),
      run(1, {
        state: 'cancelled',
        finishedAt: START + 3,
        error: { reason: 'cancelled', message: 'cancelled by alice' },
      }),
    );
    assert.equal(await get().claim('a', START + 9, LEASE), null);
    assert.equal(await get().cancelPending('run_1', START + 4, 'bob'), false);
  });

  it('a run that has begun goes on', async () => {
    await withRuns(get(), [run(1)]);
    const claim = await claimed(get());
    assert.equal(await get().cancelPending('run_1', START, 'alice'), false);
    await get().releaseExpired(START + LEASE);
    assert.equal(await get().cancelPending('run_1', START, 'alice'), false);
    assert.equal((await get().run('run_1'))?.state, 'recovering');
    assert.equal(await get().record(claim, claim.run, null), false);
  });

  it('a run that does not exist is not cancelled', async () => {
    assert.equal(await get().cancelPending('run_x', START, 'alice'), false);
  });
}

function history(get: Get): void {
  const swap = (number: number, at: number): SwapRecord => ({
    runId: `run_${number}`,
    group: WEB_KEY,
    market: 'm6i.large/eu-west-1a/spot',
    at,
    urgent: number % 2 === 0,
  });

  it('tells the swaps begun since a time, oldest first', async () => {
    for (const [number, at] of [
      [1, 30],
      [2, 10],
      [3, 20],
      [4, 9],
    ] as const)
      await get().recordSwap(swap(number, START + at));
    assert.deepEqual(await get().swapsSince(START + 10), [
      swap(2, START + 10),
      swap(3, START + 20),
      swap(1, START + 30),
    ]);
  });

  it('counts a run once, from where it was begun last', async () => {
    await get().recordSwap(swap(1, START + 5));
    await get().recordSwap(swap(2, START + 7));
    await get().recordSwap({ ...swap(1, START + 9), market: 'c6i.large/eu-west-1a/spot' });
    await get().recordSwap(swap(2, START + 6));
    assert.deepEqual(await get().swapsSince(0), [swap(2, START + 7), swap(1, START + 9)]);
  });

  it('remembers which groups are paused, and why', async () => {
    const one: Pause = { group: WEB_KEY, reason: 'incident 12', at: START };
    const all: Pause = { group: null, reason: 'freeze', at: START + 1 };
    await get().pause(one);
    await get().pause(all);
    assert.deepEqual(new Set(await get().pauses()), new Set([one, all]));
    await get().pause({ ...one, reason: 'incident 13' });
    assert.equal(await get().resume(null, START), true);
    assert.deepEqual(await get().pauses(), [{ ...one, reason: 'incident 13' }]);
    assert.equal(await get().resume(null, START), false);
    assert.equal(await get().resume(WEB_KEY, START), true);
    assert.deepEqual(await get().pauses(), []);
  });
}

const REFUSED = { reason: 'policy_budget', message: 'used up' } as const;
const EMPTY_MARKET = { reason: 'market_unavailable', message: 'no capacity' } as const;

/** How a run of the group comes to its end. */
interface End {
  readonly number: number;
  readonly state: RunState;
  /** After START; ms. */
  readonly at: number;
  readonly run?: Partial<Run>;
  readonly error?: Run['error'];
  readonly steps?: readonly StepRecord[];
}

function failing(get: Get): void {
  const endRun = async ({ number, state, at, error = EMPTY_MARKET, ...given }: End): Promise<Run> => {
    await withRuns(get(), [run(number, { createdAt: START + at, dueAt: START, ...given.run })]);
    const claim = await claimed(get(), START + at);
    assert.equal(claim.run.id, `run_${number}`);
    const { steps = [step(0), step(1)] } = given;
    for (const one of steps) assert.ok(await get().record(claim, claim.run, one));
    const ended = {
      ...over(claim.run, state, START + at),
      error: state === 'succeeded' ? null : error,
      steps,
    };
    assert.ok(await get().record(claim, ended, null));
    return ended;
  };
  const endRuns = async (...ends: readonly End[]): Promise<readonly Run[]> => {
    const runs: Run[] = [];
    for (const end of ends) runs.push(await endRun(end));
    return runs;
  };
  const failedIds = async (): Promise<readonly string[]> => (await get().failedSwaps()).map(({ id }) => id);

  it('has the runs that failed or were rolled back, with their steps, as they ended', async () => {
    const ends = await endRuns(
      { number: 1, state: 'rolled_back', at: 10 },
      { number: 2, state: 'failed', at: 20 },
    );
    assert.deepEqual(await get().failedSwaps(), ends);
  });

  const LEFT_OUT: readonly [rule: string, ends: readonly End[], left: readonly string[]][] = [
    [
      'leaves out those before the last success of the same group',
      [
        { number: 1, state: 'failed', at: 10 },
        { number: 2, state: 'succeeded', at: 20 },
        { number: 3, state: 'succeeded', at: 30 },
        { number: 4, state: 'failed', at: 40 },
      ],
      ['run_4'],
    ],
    [
      'takes no success of another group for one',
      [
        { number: 1, state: 'failed', at: 10 },
        { number: 2, state: 'succeeded', at: 20, run: { group: BATCH } },
      ],
      ['run_1'],
    ],
    [
      'leaves out what a person called off',
      [{ number: 1, state: 'cancelled', at: 10, error: { reason: 'cancelled', message: '' } }],
      [],
    ],
    [
      'leaves out a plan that was refused, and only a plan',
      [
        { number: 1, state: 'failed', at: 10, error: REFUSED, steps: [step(0)] },
        { number: 2, state: 'failed', at: 20, error: REFUSED, steps: [step(0), step(1)] },
        { number: 3, state: 'failed', at: 30, steps: [step(0)] },
      ],
      ['run_2', 'run_3'],
    ],
    [
      'takes neither failure nor success of a chain without a swap for one',
      [
        { number: 1, state: 'failed', at: 10 },
        { number: 2, state: 'failed', at: 20, run: { actions: [TELL] } },
        { number: 3, state: 'succeeded', at: 30, run: { actions: [TELL] } },
      ],
      ['run_1'],
    ],
    [
      'finds the swap of a chain wherever it stands',
      [
        { number: 1, state: 'failed', at: 10, run: { actions: [TELL, ...run(1).actions] } },
        { number: 2, state: 'failed', at: 20, run: { group: BATCH } },
        { number: 3, state: 'succeeded', at: 30, run: { group: BATCH, actions: [TELL, ...run(1).actions] } },
      ],
      ['run_1'],
    ],
  ];
  for (const [rule, ends, left] of LEFT_OUT) {
    it(rule, async () => {
      await endRuns(...ends);
      assert.deepEqual(await failedIds(), left);
    });
  }

  it('leaves out those before the group was last resumed, paused or not', async () => {
    await endRuns({ number: 1, state: 'failed', at: 10 });
    assert.equal(await get().resume(WEB_KEY, START + 15), false);
    await endRuns({ number: 2, state: 'failed', at: 20 });
    assert.deepEqual(await failedIds(), ['run_2']);
    await get().resume(WEB_KEY, START + 25);
    assert.deepEqual(await failedIds(), []);
  });

  it('a resume of another group, or of all, leaves them', async () => {
    await endRuns({ number: 1, state: 'failed', at: 10 });
    await get().resume(null, START + 15);
    await get().resume('123456789012/eu-west-1/batch', START + 15);
    assert.deepEqual(await failedIds(), ['run_1']);
  });

  it('a resume is forgotten only after the runs that it counts for', async () => {
    await endRuns({ number: 1, state: 'failed', at: 10 });
    await get().resume(WEB_KEY, START + 20);
    await get().prune(START + 10);
    assert.deepEqual(await failedIds(), []);
    // The event, the run, the decision and the resume.
    assert.equal(await get().prune(START + 21), 4);
  });
}

/** All pages of a list, with whatever `between` does after each. */
async function pages<T>(
  list: (cursor: {
    cursor?: string;
  }) => Promise<{ readonly items: readonly T[]; readonly next: string | null }>,
  between: () => Promise<void> = async () => {},
): Promise<T[]> {
  const items: T[] = [];
  let cursor: { cursor?: string } = {};
  for (;;) {
    const page = await list(cursor);
    items.push(...page.items);
    if (page.next === null) return items;
    cursor = { cursor: page.next };
    await between();
  }
}

function lists(get: Get): void {
  const settleAll = async (decisions: readonly Decision[]): Promise<void> => {
    for (const one of decisions) {
      const number = Number(one.id.slice('dec_'.length));
      await get().append([cloudEvent(number)]);
      const [seq] = await seqs(get());
      assert.ok(seq !== undefined);
      await get().settle([{ seq, decisions: [one], runs: [], cooldowns: [] }]);
    }
  };
  const other = { ...WEB, region: 'us-east-1' };
  const nowhere = { subject: { group: null, instance: null }, rule: null } as const;
  const five = [
    decision(1, { at: START }),
    decision(2, { at: START + 1, rule: 'diversify', outcome: 'suppressed', reason: 'rule_cooldown' }),
    decision(3, { at: START + 1, subject: { group: BATCH, instance: 'i-3' } }),
    decision(4, {
      at: START + 2,
      outcome: 'suppressed',
      reason: 'policy_floor',
      subject: { group: other, instance: 'i-4' },
    }),
    decision(5, { at: START + 3, outcome: 'not_matched', reason: 'no_rule', ...nowhere }),
  ];
  const ids = (items: readonly { readonly id: string }[]): string =>
    items.map(({ id }) => id.slice(4)).join(' ');

  const decisionRows = [
    ['newest first', {}, '5 4 3 2 1'],
    ['of a rule', { rule: 'replace' }, '4 3 1'],
    ['of an outcome', { outcome: 'suppressed' }, '4 2'],
    ['of a reason', { reason: 'policy_floor' }, '4'],
    ['of an event', { event: 'evt_3' }, '3'],
    ['of a group by its name, in any region', { group: 'web' }, '4 2 1'],
    ['of a group by its key', { group: WEB_KEY }, '2 1'],
    ['of no group that is known', { group: 'nobody' }, ''],
    ['not older than a time', { since: START + 1 }, '5 4 3 2'],
    [
      'of everything at once',
      { rule: 'replace', outcome: 'suppressed', group: 'web', since: START + 2 },
      '4',
    ],
  ] as const;
  for (const [rule, query, expected] of decisionRows) {
    it(`decisions are listed ${rule}`, async () => {
      await settleAll(five);
      assert.equal(ids((await get().decisions({ limit: 10, ...query })).items), expected);
      const one = await pages((cursor) => get().decisions({ limit: 1, ...query, ...cursor }));
      assert.equal(ids(one), expected, 'page by page');
    });
  }

  it('a decision comes out of a list as it went in', async () => {
    await settleAll(five);
    assert.deepEqual((await get().decisions({ limit: 10 })).items, five.toReversed());
  });

  it('pages stay whole when the clock was set back between two decisions', async () => {
    const times = [5, 9, 1, 7, 3];
    await settleAll(times.map((at, i) => decision(i + 1, { at: START + at })));
    assert.equal(ids(await pages((cursor) => get().decisions({ limit: 2, ...cursor }))), '2 4 1 5 3');
  });

  it('the last page says so, even when it is full', async () => {
    await settleAll(five);
    assert.equal((await get().decisions({ limit: 5 })).next, null);
    assert.notEqual((await get().decisions({ limit: 4 })).next, null);
  });

  it('what is recorded meanwhile neither repeats nor hides a row of the pages to come', async () => {
    await settleAll(five);
    let number = 10;
    const seen = await pages(
      (cursor) => get().decisions({ limit: 2, ...cursor }),
      () => settleAll([decision(++number, { at: START + 10 })]),
    );
    assert.equal(ids(seen), '5 4 3 2 1');
  });

  const runRows = [
    ['newest first', {}, '4 3 2 1'],
    ['in a state', { state: 'pending' }, '4 3 2'],
    ['of a rule', { rule: 'diversify' }, '2'],
    ['of a group by its name', { group: 'web' }, '4 2 1'],
    ['of a group by its key', { group: WEB_KEY }, '2 1'],
    ['not older than a time', { since: START + 2 }, '4 3'],
  ] as const;
  for (const [rule, query, expected] of runRows) {
    it(`runs are listed ${rule}`, async () => {
      const four = [
        run(1),
        run(2, { createdAt: START + 1, rule: 'diversify' }),
        run(3, { createdAt: START + 2, group: BATCH }),
        run(4, { createdAt: START + 2, group: other }),
      ];
      await withRuns(get(), four);
      const claim = await claimed(get());
      await get().record(claim, over(claim.run, 'succeeded', START), step(0));
      assert.equal(ids((await get().runs({ limit: 10, ...query })).items), expected);
      const one = await pages((cursor) => get().runs({ limit: 1, ...query, ...cursor }));
      assert.equal(ids(one), expected, 'page by page');
    });
  }

  it('a run comes out of a list with its steps', async () => {
    await withRuns(get(), [run(1)]);
    const claim = await claimed(get());
    await get().record(claim, claim.run, step(0));
    assert.deepEqual((await get().runs({ limit: 1 })).items, [{ ...claim.run, steps: [step(0)] }]);
  });

  it('what does not exist is null', async () => {
    assert.equal(await get().decision('dec_x'), null);
    assert.equal(await get().run('run_x'), null);
  });

  for (const limit of [0, -1, 1001, 1.5, Number.NaN]) {
    it(`a page of ${limit} is refused`, async () => {
      await assert.rejects(get().decisions({ limit }), rejects('invalid_request', 'reject'));
      await assert.rejects(get().runs({ limit }), rejects('invalid_request', 'reject'));
    });
  }
  for (const cursor of ['', 'x', '1', Buffer.from('1:-2').toString('base64url')]) {
    it(`a cursor that is none (${JSON.stringify(cursor)}) is refused`, async () => {
      await assert.rejects(get().decisions({ limit: 1, cursor }), rejects('invalid_request', 'reject'));
    });
  }
}

function pruning(get: Get): void {
  const DAY = 86_400_000;
  const LATER = START + DAY;
  const everything = async (): Promise<string> =>
    [
      ...(await get().decisions({ limit: 100 })).items.map(({ id }) => id),
      ...(await get().runs({ limit: 100 })).items.map(({ id }) => id),
    ].join(' ');

  it('deletes what ended before the time, with all that belongs to it, and tells how many rows', async () => {
    await withRuns(get(), [run(1)]);
    const claim = await claimed(get());
    await get().record(claim, over(claim.run, 'succeeded', START + 5), step(0));
    assert.equal(await get().prune(START), 0);
    // The event, the run and the decision; a step is a part of its run.
    assert.equal(await get().prune(LATER), 3);
    assert.equal(await everything(), '');
  });

  it('keeps what ended at the time or later', async () => {
    await withRuns(get(), [run(1, { createdAt: START + 5 })]);
    const claim = await claimed(get());
    await get().record(claim, over(claim.run, 'succeeded', START + 5), null);
    assert.equal(await get().prune(START + 5), 0);
    assert.equal(await everything(), 'dec_1 run_1');
  });

  it('keeps an event that is undecided, however old', async () => {
    await get().append([alert(1), cloudEvent(2)]);
    await get().prune(LATER + 365 * DAY);
    assert.equal((await seqs(get())).length, 2);
    assert.deepEqual(await get().append([cloudEvent(2)]), ['duplicate']);
  });

  it('keeps a run that is not over and its decision, however old', async () => {
    await withRuns(get(), [run(1), run(2), run(3, { group: BATCH })]);
    const claim = await claimed(get());
    await get().record(claim, claim.run, step(0));
    await get().prune(LATER + 365 * DAY);
    assert.equal(await everything(), 'dec_3 dec_2 dec_1 run_3 run_2 run_1');
    assert.deepEqual((await get().run('run_1'))?.steps, [step(0)]);
  });

  it('keeps the decision of a run for as long as the run', async () => {
    await withRuns(get(), [run(1)]);
    const claim = await claimed(get());
    await get().record(claim, over(claim.run, 'failed', LATER), null);
    await get().prune(START + 5);
    assert.equal(await everything(), 'dec_1 run_1');
  });

  it('forgets the id of a sender together with its event', async () => {
    await withRuns(get(), [run(1)]);
    assert.deepEqual(await get().append([cloudEvent(1)]), ['duplicate']);
    await get().prune(START + 1);
    assert.deepEqual(await get().append([cloudEvent(1)]), ['accepted']);
  });

  it('never gives the number of a deleted event to another', async () => {
    await get().append([alert(1)]);
    const [first] = await seqs(get());
    assert.ok(first !== undefined);
    await get().settle([{ seq: first, decisions: [], runs: [], cooldowns: [] }]);
    await get().prune(LATER);
    await get().append([alert(2)]);
    const [second] = await seqs(get());
    assert.ok(second !== undefined && second > first);
  });

  it('forgets an incident that ended, and one that has been silent', async () => {
    const ended = alert(2, { status: 'resolved', endsAt: START });
    await get().append([alert(1), ended, alert(3, { receivedAt: LATER })]);
    await get().prune(LATER);
    const again = [alert(1), ended, alert(3)].map((event) => ({ ...event, receivedAt: LATER + 1 }));
    assert.deepEqual(await get().append(again), ['accepted', 'accepted', 'duplicate']);
    const repeats = (await get().undecided(0, 10)).slice(3).map(({ event }) => event.repeat);
    assert.deepEqual(repeats, [false, false]);
  });

  it('deletes cooldowns that have ended, and keeps pauses', async () => {
    await get().append([alert(1)]);
    const [seq] = await seqs(get());
    assert.ok(seq !== undefined);
    const cooldowns = [START + 5, LATER].map((until) => ({ rule: 'r', key: `${until}`, until }));
    await get().settle([{ seq, decisions: [], runs: [], cooldowns }]);
    await get().pause({ group: null, reason: 'freeze', at: START });
    await get().prune(LATER);
    assert.deepEqual(await get().cooldowns(0), cooldowns.slice(1));
    assert.equal((await get().pauses()).length, 1);
  });

  it('keeps the swaps of a month, whatever the retention is, for policies still count them', async () => {
    const at = (days: number): SwapRecord => ({
      runId: `run_${days}`,
      group: WEB_KEY,
      market: 'm',
      at: START - days * DAY,
      urgent: false,
    });
    for (const days of [1, 30, 32]) await get().recordSwap(at(days));
    assert.equal(await get().prune(LATER), 1);
    assert.deepEqual(await get().swapsSince(0), [at(30), at(1)]);
  });
}

function closed(get: Get): void {
  const calls: Readonly<Record<string, (store: StoreUnderTest) => Promise<unknown>>> = {
    append: (store) => store.append([alert(1)]),
    undecided: (store) => store.undecided(0, 1),
    settle: (store) => store.settle([settlement(1, 1)]),
    claim: (store) => store.claim('a', START, LEASE),
    lockGroup: (store) => store.lockGroup(WEB, 'a', START, LEASE),
    decisions: (store) => store.decisions({ limit: 1 }),
    inboxState: (store) => store.inboxState(),
    prune: (store) => store.prune(START),
    pause: (store) => store.pause({ group: null, reason: 'r', at: START }),
    keepRules: (store) => store.keepRules(KEPT),
    keptRules: (store) => store.keptRules(),
  };
  for (const [name, call] of Object.entries(calls)) {
    it(`${name} fails with store_unavailable`, async () => {
      await get().close();
      await assert.rejects(call(get()), rejects('store_unavailable', 'retry'));
    });
  }
  it('closing twice does nothing', async () => {
    await get().close();
    await get().close();
  });
  it('what was appended just before is not lost', async () => {
    const answer = get().append([alert(1)]);
    await get().close();
    assert.deepEqual(await answer, ['accepted']);
  });
}
