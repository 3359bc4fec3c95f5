import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cancelled, cancelRun } from '../../src/actions/cancel.ts';
import { ACTIONS } from '../../src/actions/catalog.ts';
import type { Run } from '../../src/actions/run.ts';
import type { CloudOperation } from '../../src/cloud/simulated/call-book.ts';
import { group } from '../../src/cloud/simulated/world.ts';
import type { SwapSpec } from '../../src/engine/rule.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { denied, oursOn, servingOn, sizesOf, watched } from './pitfall-watch.ts';
import { LENIENT, type Process, Site, type SiteOptions, stepsOf, WEB, WRITES } from './swap-site.ts';

const FIRST: Partial<SwapSpec> = { order: 'detach-first' };
/** At its minimum and at its maximum: only this order fits. */
const FULL = { min: 4, max: 4 };
const HOOK = { launching: false, terminating: true };
const SHORTAGE = { code: 'InsufficientInstanceCapacity', status: 500, times: 1000 };
const SETTLED_MS = 600_000;

interface Stage {
  readonly site: Site;
  readonly old: string;
  readonly id: string;
  readonly process: Process;
}

/** Orders a swap of the first member. */
async function ordered(options: SiteOptions = {}, swap: Partial<SwapSpec> = {}): Promise<Stage> {
  const site = new Site(options);
  const old = site.member(0);
  const process = await site.process();
  return { site, old, process, id: await site.order(old, { ...FIRST, ...swap }) };
}

/** Lets time pass until the operation has been called so often. */
async function until({ site }: Stage, operation: CloudOperation, times = 1): Promise<void> {
  assert.ok(await site.clock.advanceUntil(() => site.cloud.calls[operation] === times, 1_200_000));
}

/** Lets the run end, and everything that follows from it. */
async function settled({ site, id }: Stage): Promise<Run> {
  const run = await site.ended(id);
  await site.clock.advance(SETTLED_MS);
  return run;
}

function serves(site: Site, id: string): boolean {
  return site.web().members.some((one) => one.instanceId === id && one.lifecycleState === 'InService');
}

function isMember({ site, old }: Stage): boolean {
  return site.web().members.some(({ instanceId }) => instanceId === old);
}

/** Machines in no group. */
function outside({ site }: Stage): readonly string[] {
  return site.cloud
    .snapshot()
    .instances.filter(({ group }) => group === null)
    .map(({ id }) => id);
}

/** What was asked of the cloud that changes it, with the sizes that were set. */
function asked({ site }: Stage): readonly string[] {
  return site.cloud.history
    .filter(({ operation }) => WRITES.includes(operation))
    .map(({ operation, args }) => (operation === 'resize' ? `resize ${JSON.stringify(args[1])}` : operation));
}

/** The group is as it was: the old instance serves again, nothing is held, nothing of ours runs. */
function assertAsItWas(stage: Stage): void {
  const [before] = stage.site.before.groups;
  const { desired, min, max, members } = stage.site.web();
  assert.deepEqual(stage.site.leftBehind(), []);
  assert.deepEqual([desired, min, max], [before?.desired, before?.min, before?.max]);
  const ids = (group: typeof before): readonly string[] =>
    (group?.members ?? []).map(({ instanceId }) => instanceId).sort();
  assert.deepEqual(members.map(({ instanceId }) => instanceId).sort(), ids(before));
  assert.equal(servingOn(stage.site), before?.members.length);
  assert.deepEqual(outside(stage), []);
}

/** The group is at its size without the old instance, of which nothing is left. */
function assertReplacedByGroup(stage: Stage): void {
  assert.deepEqual(stage.site.leftBehind(), []);
  assert.deepEqual([stage.site.web().desired, servingOn(stage.site)], [4, 4]);
  assert.ok(!isMember(stage));
  assert.deepEqual(oursOn(stage.site), []);
  assert.deepEqual(outside(stage), []);
}

test('pitfall 7 detach-first-dips-capacity: asked for, it costs one instance for a while, and each request once', async () => {
  const stage = await ordered({ spec: { ...FULL, targetGroups: ['arn:a'] } });
  const { site, id } = stage;
  const [run] = await watched(site, [id], () => {
    assert.ok(servingOn(site) >= 3);
    assert.ok(site.web().desired >= 3 && site.web().max === 4);
  });
  assert.equal(run?.state, 'succeeded', run?.error?.message);
  assert.deepEqual(asked(stage), [
    ...['tagGroup', 'suspend', 'resize {"min":3}', 'detach', 'launch', 'attach', 'protect'],
    ...['terminate', 'protect', 'resume', 'resize {"min":4}', 'tagGroup'],
  ]);
  assert.deepEqual(stepsOf(run), [
    ...['plan done', 'hold done', 'before-release skipped', 'detach-old done', 'launch done'],
    ...['await-running done', 'attach done', 'await-in-service done', 'await-healthy done', 'commit done'],
    ...['await-released done', 'terminate-old done', 'give-back done'],
  ]);
  await site.clock.advance(SETTLED_MS);
  assert.deepEqual(sizesOf(site), [4, 4, 4, 4]);
  assert.ok(!site.runs(stage.old));
  assert.deepEqual(site.leftBehind(), []);
});

test('pitfall 7 detach-first-dips-capacity: where the minimum has room, no bound of the group is touched', async () => {
  const stage = await ordered();
  const run = await settled(stage);
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.equal(stage.site.cloud.calls.resize, 0);
  assert.deepEqual(sizesOf(stage.site), [4, 2, 8, 4]);
});

test('pitfall 15: where a terminating hook must run, the old instance leaves through its group first', async () => {
  const stage = await ordered({ spec: { ...FULL, hooks: HOOK } });
  const run = await settled(stage);
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.deepEqual(
    asked(stage).filter((call) => ['detach', 'terminateInGroup', 'launch', 'terminate'].includes(call)),
    ['terminateInGroup', 'launch'],
  );
  assert.deepEqual(sizesOf(stage.site), [4, 4, 4, 4]);
});

test('an old instance that is to be left running is not terminated', async () => {
  const stage = await ordered({ spec: FULL }, { terminate: false });
  const run = await settled(stage);
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.deepEqual(outside(stage), [stage.old]);
  assert.deepEqual(sizesOf(stage.site), [4, 4, 4, 4]);
});

const CHOICES: readonly (readonly [rule: string, swap: Partial<SwapSpec>, max: number, first: string])[] = [
  [
    'a full group, where the headroom says so',
    { order: null, headroom: 'detach-first' },
    4,
    'detach,launch,attach',
  ],
  [
    'not where there is room, whatever the headroom says',
    { order: null, headroom: 'detach-first' },
    5,
    'launch,attach,detach',
  ],
  [
    'also where there is room, if the order says so',
    { order: 'detach-first', headroom: 'refuse' },
    8,
    'detach,launch,attach',
  ],
];

for (const [rule, swap, max, first] of CHOICES) {
  test(`pitfall 7 detach-first-dips-capacity: detach-first is taken in ${rule}`, async () => {
    const stage = await ordered({ spec: { max } }, swap);
    const run = await settled(stage);
    assert.equal(run.state, 'succeeded', run.error?.message);
    const order = asked(stage).filter((call) => ['detach', 'launch', 'attach'].includes(call));
    assert.equal(order.join(), first);
    assert.deepEqual(sizesOf(stage.site), [4, 2, max, 4]);
  });
}

test('the policy of the group may say the order, and the rule another one', async () => {
  const policies = [{ ...LENIENT, swap: { order: 'detach-first' as const } }];
  const byPolicy = await ordered({ policies }, { order: null });
  await settled(byPolicy);
  assert.ok(asked(byPolicy).indexOf('detach') < asked(byPolicy).indexOf('launch'));
  const byRule = await ordered({ policies }, { order: 'launch-first' });
  await settled(byRule);
  assert.ok(asked(byRule).indexOf('detach') > asked(byRule).indexOf('launch'));
});

test('pitfall 1 attach-over-max: the old instance that left first comes back when no candidate can be had', async () => {
  const stage = await ordered({ spec: FULL });
  stage.site.cloud.failNext('launch', SHORTAGE);
  const [run] = await watched(stage.site, [stage.id], () => assert.ok(servingOn(stage.site) >= 3));
  assert.deepEqual([run?.state, run?.error?.reason], ['rolled_back', 'market_unavailable']);
  await stage.site.clock.advance(SETTLED_MS);
  assertAsItWas(stage);
  assert.deepEqual(
    asked(stage).filter((call) => call !== 'launch'),
    [
      ...['tagGroup', 'suspend', 'resize {"min":3}', 'detach'],
      ...['attach', 'resume', 'resize {"min":4}', 'tagGroup'],
    ],
  );
});

test('the old instance comes back when its replacement never becomes healthy', async () => {
  const stage = await ordered({ spec: { ...FULL, targetGroups: ['arn:a'] } });
  const { site, id } = stage;
  const [run] = await watched(site, [id], () => {
    for (const ours of oursOn(site)) site.cloud.byHand.breakApplication(ours.id);
    assert.ok(site.web().desired >= 3);
  });
  assert.deepEqual([run?.state, run?.error?.reason], ['rolled_back', 'timeout']);
  await site.clock.advance(SETTLED_MS);
  assertAsItWas(stage);
});

test('a replacement that dies before the last look leaves the old instance in its place', async () => {
  const stage = await ordered({ spec: FULL });
  await until(stage, 'attach');
  for (const ours of oursOn(stage.site)) stage.site.cloud.byHand.terminate(ours.id);
  const run = await settled(stage);
  assert.notEqual(run.state, 'succeeded');
  assert.deepEqual(stage.site.leftBehind(), []);
  assert.equal(servingOn(stage.site), 4);
  assert.ok(isMember(stage));
});

test('an old instance that has died meanwhile does not come back: the group launches another one', async () => {
  const stage = await ordered({ spec: FULL });
  stage.site.cloud.failNext('launch', SHORTAGE);
  await until(stage, 'detach');
  stage.site.cloud.byHand.terminate(stage.old);
  const run = await settled(stage);
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'market_unavailable']);
  assertReplacedByGroup(stage);
});

test('pitfall 6 terminating-counted-as-running: an instance that is going away is never attached again', async () => {
  const stage = await ordered({ spec: FULL }, { urgent: true });
  stage.site.cloud.failNext('launch', SHORTAGE);
  stage.site.cloud.byHand.interrupt(stage.old);
  const run = await settled(stage);
  assert.equal(run.state, 'rolled_back', run.error?.message);
  assert.equal(stage.site.cloud.calls.attach, 0);
  assertReplacedByGroup(stage);
});

test('pitfall 6 terminating-counted-as-running: one that is going away and was to be left running is left, and replaced by the group', async () => {
  const stage = await ordered({ spec: FULL }, { urgent: true, terminate: false });
  stage.site.cloud.failNext('launch', SHORTAGE);
  const run = await settled(stage);
  assert.equal(run.state, 'rolled_back', run.error?.message);
  assert.deepEqual(sizesOf(stage.site), [4, 4, 4, 4]);
  assert.deepEqual(outside(stage), [stage.old]);
  assert.deepEqual(stage.site.leftBehind(), []);
});

test('an old instance that left through its group cannot come back: the group launches another one', async () => {
  const stage = await ordered({ spec: { ...FULL, hooks: HOOK } });
  stage.site.cloud.failNext('launch', SHORTAGE);
  const run = await settled(stage);
  assert.equal(run.state, 'rolled_back', run.error?.message);
  assertReplacedByGroup(stage);
});

for (const minimum of [2, 4]) {
  test(`a maximum that a person sets while the group is one short, at a minimum of ${minimum}, stays, and nothing is left outside`, async () => {
    const stage = await ordered({ spec: { min: minimum, max: 4 } });
    stage.site.cloud.failNext('launch', SHORTAGE);
    await until(stage, 'detach');
    stage.site.cloud.byHand.setSizes('web', { max: 3 });
    const run = await settled(stage);
    assert.deepEqual(
      [run.state, run.error?.reason],
      ['rolled_back', 'market_unavailable'],
      run.error?.message,
    );
    const kept = Math.min(minimum, 3);
    assert.deepEqual(sizesOf(stage.site), [3, kept, 3, 3]);
    assert.deepEqual(outside(stage), [], 'what was to be terminated is');
    assert.ok(!('coppice:hold' in stage.site.web().tags));
  });
}

test('room that somebody takes while the group is one short is not taken back', async () => {
  const stage = await ordered({ spec: { max: 4 } });
  stage.site.cloud.failNext('launch', SHORTAGE);
  await until(stage, 'detach');
  stage.site.cloud.byHand.setSizes('web', { desired: 4 });
  const run = await settled(stage);
  assert.equal(run.state, 'rolled_back', run.error?.message);
  assert.deepEqual(sizesOf(stage.site), [4, 2, 4, 4]);
  assert.deepEqual(outside(stage), []);
  assert.deepEqual(stage.site.leftBehind(), []);
});

test('a replacement that finds the room taken is terminated', async () => {
  const stage = await ordered({ spec: { max: 4 } });
  await until(stage, 'launch');
  stage.site.cloud.byHand.setSizes('web', { desired: 4 });
  const run = await settled(stage);
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'size_refused']);
  assert.deepEqual(sizesOf(stage.site), [4, 2, 4, 4]);
  assert.deepEqual(outside(stage), []);
  assert.deepEqual(stage.site.leftBehind(), []);
});

test('an old instance that dies by itself before it is detached is the business of its group', async () => {
  const stage = await ordered(
    {
      spec: FULL,
      // The other system holds the swap up until the group has noticed.
      sendHttp: () => Promise.resolve({ status: serves(stage.site, stage.old) ? 202 : 200, text: '' }),
    },
    {
      beforeRelease: [{ kind: 'http', http: { url: 'http://d.test/', headers: {}, bearerTokenFile: null } }],
    },
  );
  await until(stage, 'resize');
  stage.site.cloud.byHand.terminate(stage.old);
  const run = await settled(stage);
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'instance_lost']);
  assert.equal(stage.site.cloud.calls.detach, 0);
  assertReplacedByGroup(stage);
});

test('pitfall 3: a minimum that a person sets meanwhile stays', async () => {
  const stage = await ordered({ spec: FULL });
  await until(stage, 'launch');
  stage.site.cloud.byHand.setSizes('web', { min: 1 });
  const run = await settled(stage);
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.deepEqual(sizesOf(stage.site), [4, 1, 4, 4]);
});

test('pitfall 4 min-size-refusal-after-drain: the minimum has room before anybody drains', async () => {
  const minimums: number[] = [];
  const stage = await ordered(
    {
      spec: FULL,
      sendHttp: () => {
        minimums.push(stage.site.web().min);
        assert.ok(isMember(stage) && stage.site.cloud.calls.detach === 0);
        return Promise.resolve({ status: 200, text: '' });
      },
    },
    {
      beforeRelease: [{ kind: 'http', http: { url: 'http://d.test/', headers: {}, bearerTokenFile: null } }],
    },
  );
  assert.equal((await settled(stage)).state, 'succeeded');
  assert.deepEqual(minimums, [3]);
});

test('pitfall 4 min-size-refusal-after-drain: a minimum that may not be lowered ends the swap before anybody drains', async () => {
  let drains = 0;
  const stage = await ordered(
    {
      spec: FULL,
      sendHttp: () => {
        drains += 1;
        return Promise.resolve({ status: 200, text: '' });
      },
    },
    {
      beforeRelease: [{ kind: 'http', http: { url: 'http://d.test/', headers: {}, bearerTokenFile: null } }],
    },
  );
  stage.site.cloud.failNext('resize', denied);
  const run = await settled(stage);
  assert.deepEqual([run.state, run.error?.reason, drains], ['rolled_back', 'denied', 0]);
  assertAsItWas(stage);
});

test('pitfall 4 min-size-refusal-after-drain: a minimum that a person raises at the last moment is a decision, not a thing to try again', async () => {
  const stage = await ordered(
    {
      spec: FULL,
      sendHttp: () => {
        stage.site.cloud.byHand.setSizes('web', { min: 4 });
        return Promise.resolve({ status: 200, text: '' });
      },
    },
    {
      beforeRelease: [{ kind: 'http', http: { url: 'http://d.test/', headers: {}, bearerTokenFile: null } }],
    },
  );
  const run = await settled(stage);
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'size_refused']);
  assert.equal(stage.site.cloud.calls.detach, 1);
  assertAsItWas(stage);
});

function cancel({ site, process, id }: Stage): Promise<Cancelled> {
  const { memory, metrics } = process;
  const deps = { store: site.store, actions: ACTIONS, memory, metrics, clock: site.clock, log: silentLog };
  return cancelRun(deps, id, 'ada');
}

for (const operation of ['suspend', 'detach', 'launch', 'attach'] as const) {
  test(`a person who calls the swap off right after the ${operation} gets the old instance back`, async () => {
    const stage = await ordered({ spec: FULL });
    await until(stage, operation);
    assert.equal(await cancel(stage), 'stopping');
    const run = await settled(stage);
    assert.deepEqual([run.state, run.error?.message], ['cancelled', 'cancelled by ada']);
    assertAsItWas(stage);
  });
}

test('after the last look it is too late to call the swap off', async () => {
  const stage = await ordered({ spec: FULL });
  await until(stage, 'terminate');
  assert.equal(await cancel(stage), 'too_late');
  assert.equal((await settled(stage)).state, 'succeeded');
  assert.ok(!isMember(stage));
});

const WRITES_OF_IT: readonly CloudOperation[] = [
  'detach',
  'attach',
  'resize',
  'launch',
  'tagGroup',
  'terminate',
];

for (const operation of WRITES_OF_IT) {
  for (const times of [1, 3]) {
    test(`pitfall 5 capacity-decremented-twice: ${times} lost answers of ${operation} in a row change nothing`, async () => {
      const stage = await ordered({ spec: FULL });
      stage.site.cloud.loseAnswer(operation, times);
      const run = await settled(stage);
      assert.equal(run.state, 'succeeded', run.error?.message);
      assert.deepEqual(sizesOf(stage.site), [4, 4, 4, 4]);
      assert.deepEqual(stage.site.leftBehind(), []);
      assert.deepEqual(outside(stage), []);
    });
  }
}

for (const operation of ['detach', 'attach', 'resize', 'tagGroup'] as const) {
  test(`pitfall 5 capacity-decremented-twice: lost answers of ${operation} do not keep the old instance from coming back`, async () => {
    const stage = await ordered({ spec: FULL });
    stage.site.cloud.failNext('launch', SHORTAGE);
    stage.site.cloud.loseAnswer(operation, 3);
    const run = await settled(stage);
    assert.equal(run.state, 'rolled_back', run.error?.message);
    assertAsItWas(stage);
  });
}

for (const swap of [{}, { urgent: true }] as const) {
  for (const shortage of [false, true]) {
    const what = `${'urgent' in swap ? 'an urgent' : 'a'} swap${shortage ? ' without a candidate' : ''}`;
    test(`readings that are half a minute old lead ${what} nowhere else`, async () => {
      const stage = await ordered(
        { spec: { ...FULL, targetGroups: ['arn:a'] }, rest: { readLagMs: 25_000 } },
        swap,
      );
      if (shortage) stage.site.cloud.failNext('launch', SHORTAGE);
      const run = await settled(stage);
      assert.equal(run.state, shortage ? 'rolled_back' : 'succeeded', run.error?.message);
      assert.deepEqual(sizesOf(stage.site), [4, 4, 4, 4]);
      assert.deepEqual(stage.site.leftBehind(), []);
      assert.deepEqual(outside(stage), []);
    });
  }
}

test('an old instance that was detached to be terminated is, also when its group is deleted meanwhile', async () => {
  const stage = await ordered({ spec: FULL });
  await until(stage, 'detach');
  stage.site.cloud.byHand.deleteGroup('web');
  const run = await settled(stage);
  assert.notEqual(run.state, 'succeeded');
  assert.deepEqual(outside(stage), []);
});

test('an old instance that a person has put back into service is not terminated', async () => {
  const stage = await ordered({ spec: { min: 4, max: 8 } });
  assert.ok(await stage.site.clock.advanceUntil(() => !isMember(stage), 300_000));
  await stage.site.cloud.attach(WEB, stage.old);
  const run = await settled(stage);
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.ok(isMember(stage) && stage.site.runs(stage.old));
  assert.deepEqual(
    [stage.site.web().desired, servingOn(stage.site)],
    [5, 5],
    'the person has asked for one more',
  );
});

for (const shortage of [false, true]) {
  test(`an old instance that a person has given to another group stays there, ${shortage ? 'and its own group replaces it' : 'also once it is replaced'}`, async () => {
    // A minimum to be raised again would bring desired back all the same.
    const stage = await ordered({ spec: { max: 4 }, others: [group('api', { max: 1 })] });
    const { site, old } = stage;
    if (shortage) site.cloud.failNext('launch', SHORTAGE);
    await until(stage, 'detach');
    assert.ok(await site.clock.advanceUntil(() => !isMember(stage), 300_000));
    await site.cloud.attach({ ...WEB, name: 'api' }, old);
    const run = await settled(stage);
    assert.equal(run.state, shortage ? 'rolled_back' : 'succeeded', run.error?.message);
    assert.ok(site.runs(old));
    assert.deepEqual(sizesOf(site), [4, 2, 4, 4]);
    assert.deepEqual(site.leftBehind(), []);
  });
}
