import assert from 'node:assert/strict';
import { test } from 'node:test';
import { markText } from '../../src/actions/asg/hold-mark.ts';
import { HOLD_TAG } from '../../src/actions/asg/tags.ts';
import { type Cancelled, cancelRun } from '../../src/actions/cancel.ts';
import { ACTIONS } from '../../src/actions/catalog.ts';
import { createJanitor } from '../../src/actions/janitor.ts';
import type { Run } from '../../src/actions/run.ts';
import type { ActionSpec, InChain, SwapSpec } from '../../src/engine/rule.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { ruleset } from '../unit/engine/build.ts';
import { oursOn, sizesOf } from './pitfall-watch.ts';
import { LENIENT, Site, type SiteOptions, SPOT_SWAP, WEB } from './swap-site.ts';

const KEY = '123456789012/eu-west-1/web';
const DENIED = { code: 'AccessDenied', status: 403 };
const MINUTE = 60_000;
const SETTLED_MS = 10 * MINUTE;

function again(swap: Partial<SwapSpec> = {}, inChain: InChain = { retries: 2 }): readonly ActionSpec[] {
  return [{ kind: 'swap', swap: { ...SPOT_SWAP, ...swap }, ...inChain }];
}

/** Swaps the first member, and lets everything settle. */
async function swapped(
  site: Site,
  actions: readonly ActionSpec[],
): Promise<{ readonly run: Run; readonly old: string }> {
  const old = site.member(0);
  await site.process();
  const run = await site.ended(await site.orderActions(old, actions));
  await site.clock.advance(SETTLED_MS);
  return { run, old };
}

/** Attempt and state of each step of that name. */
function attemptsOf(run: Run, step: string): readonly string[] {
  return run.steps.filter(({ name }) => name === step).map(({ attempt, state }) => `${attempt} ${state}`);
}

function startedAt(run: Run, step: string, attempt: number): number {
  const found = run.steps.find((one) => one.name === step && one.attempt === attempt);
  assert.ok(found !== undefined);
  return found.startedAt;
}

const STRICT = {
  ...{ ...LENIENT, cooldownMs: 30 * MINUTE },
  budgets: [{ swaps: { kind: 'count', value: 1 }, perMs: 24 * 60 * MINUTE }],
} as const;

const ORDERS = ['launch-first', 'detach-first'] as const;

for (const order of ORDERS) {
  for (const readLagMs of [0, 25_000]) {
    test(`${order}: a swap that was undone is tried again whole, and counts once, where readings are ${readLagMs} ms old`, async () => {
      const site = new Site({ spec: { min: 4, max: 4 }, policies: [STRICT], rest: { readLagMs } });
      site.cloud.failNext('protect', DENIED);
      const { run, old } = await swapped(site, again({ order }));
      assert.equal(run.state, 'succeeded', run.error?.message);
      assert.deepEqual(attemptsOf(run, 'plan'), ['1 done', '2 done']);
      assert.deepEqual(attemptsOf(run, 'launch'), ['1 undone', '2 done']);
      assert.deepEqual([site.leftBehind(), sizesOf(site)], [[], [4, 4, 4, 4]]);
      assert.ok(!site.runs(old));
      assert.equal(site.cloud.calls.launch, 2);
      assert.equal(oursOn(site).length, 1, 'the first replacement is gone, and is not taken for the second');
      assert.equal((await site.store.swapsSince(0)).length, 1);
    });
  }
}

test('a swap that is tried again counts from its newest attempt: budgets and cooldowns are over no sooner for it', async () => {
  const site = new Site({ policies: [LENIENT] });
  site.cloud.failNext('attach', DENIED);
  const { memory } = await site.process();
  const run = await site.ended(await site.orderActions(site.member(0), again()));
  assert.deepEqual(attemptsOf(run, 'hold'), ['1 undone', '2 done']);
  const hold = run.steps.find(({ name, attempt }) => name === 'hold' && attempt === 2);
  assert.ok(hold !== undefined);
  for (const swaps of [await site.store.swapsSince(0), memory.swaps(KEY)]) {
    const [counted, ...more] = swaps.map(({ at }) => at);
    assert.ok(counted !== undefined && more.length === 0);
    assert.ok(counted >= hold.startedAt && counted <= (hold.finishedAt ?? 0), `${counted}`);
  }
});

test('an attempt begins from half a minute to a minute after the one before it has been undone', async () => {
  const site = new Site();
  site.cloud.failNext('attach', { ...DENIED, times: 2 });
  const { run } = await swapped(site, again());
  assert.equal(run.state, 'succeeded');
  for (const attempt of [1, 2]) {
    const ends = run.steps
      .filter((step) => step.attempt === attempt)
      .map(({ finishedAt }) => finishedAt ?? 0);
    const waited = startedAt(run, 'plan', attempt + 1) - Math.max(...ends);
    assert.ok(waited >= 30_000 && waited <= MINUTE, `${waited} ms`);
  }
});

test('a swap that fails each time is undone each time, and the group rests after it as after one', async () => {
  const site = new Site();
  site.cloud.failNext('attach', { ...DENIED, times: 100 });
  const { memory } = await site.process();
  const { run } = await swapped(site, again());
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'denied']);
  assert.deepEqual(attemptsOf(run, 'hold'), ['1 undone', '2 undone', '3 undone']);
  assert.deepEqual(site.leftBehind(), []);
  assert.equal(memory.rest(KEY)?.failures, 1);
  const later = await site.process();
  assert.equal(later.memory.rest(KEY)?.failures, 1);
});

test('the policies are asked again: what they refuse then is not tried, and the swap ends as it did', async () => {
  const site = new Site();
  site.cloud.failNext('attach', DENIED);
  const { memory } = await site.process();
  const id = await site.orderActions(site.member(0), again());
  await site.clock.advanceUntil(() => site.cloud.calls.attach === 1, 5 * MINUTE);
  const pause = { group: KEY, reason: 'maintenance', at: site.clock.now() };
  await site.store.pause(pause);
  memory.paused(pause);
  const run = await site.ended(id);
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'denied']);
  assert.match(
    run.error?.message ?? '',
    /; not tried again: policy_paused: the group is paused: maintenance$/,
  );
  assert.deepEqual(attemptsOf(run, 'plan'), ['1 done', '2 failed']);
  assert.equal(memory.rest(KEY)?.failures, 1, 'the swap was begun, and failed');
});

test('a swap whose plan is refused is not tried again', async () => {
  const site = new Site({ policies: [{ ...LENIENT, paused: true }] });
  const { run } = await swapped(site, again());
  assert.deepEqual([run.state, run.error?.reason, run.steps.length], ['failed', 'policy_paused', 1]);
});

test('a swap that leaves something behind is not tried again', async () => {
  const site = new Site();
  site.cloud.failNext('attach', DENIED);
  site.cloud.failNext('terminate', DENIED);
  const { run } = await swapped(site, again());
  assert.deepEqual([run.state, run.error?.reason], ['failed', 'denied']);
  assert.deepEqual(attemptsOf(run, 'launch'), ['1 undo_failed']);
});

test('a swap that fails past its point of no return is not tried again', async () => {
  const site = new Site({ spec: { max: 4 } });
  site.cloud.byHand.protectFromTermination(site.member(0));
  const { run } = await swapped(site, again());
  assert.deepEqual([run.state, run.error?.reason], ['failed', 'state_refused']);
  assert.deepEqual(attemptsOf(run, 'plan'), ['1 done']);
});

test('an old instance that goes away between two attempts is not swapped again', async () => {
  const site = new Site();
  site.cloud.failNext('attach', DENIED);
  await site.process();
  const old = site.member(0);
  const id = await site.orderActions(old, again());
  await site.clock.advanceUntil(() => site.cloud.calls.attach === 1, 5 * MINUTE);
  await site.clock.advance(20_000);
  site.cloud.byHand.terminate(old);
  const run = await site.ended(id);
  await site.clock.advance(SETTLED_MS);
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'denied']);
  assert.match(run.error?.message ?? '', /not tried again: instance_not_in_/);
  assert.deepEqual([site.leftBehind(), sizesOf(site)], [[], [4, 2, 8, 4]]);
});

test('a mark of an attempt before is finished first, and not taken for what this attempt holds', async () => {
  const site = new Site({ spec: { max: 4 } });
  const id = await site.orderActions(site.member(0), again());
  const held = { suspended: ['AZRebalance'], max: { from: 4, to: 5 } };
  await site.cloud.tagGroup(WEB, HOLD_TAG, markText({ run: id, held }));
  await site.cloud.suspend(WEB, held.suspended);
  await site.cloud.resize(WEB, { max: 5 });
  await site.process();
  const run = await site.ended(id);
  await site.clock.advance(SETTLED_MS);
  assert.equal(run.state, 'succeeded', run.error?.message);
  const { detail } = run.steps.find(({ name }) => name === 'hold') ?? {};
  assert.deepEqual(detail, { ...held, min: null });
  assert.deepEqual(site.leftBehind(), []);
});

async function cancel(site: Site, id: string): Promise<Cancelled> {
  const { store, clock } = site;
  const { memory, metrics } = await site.process();
  const deps = { store, clock, memory, metrics, log: silentLog, actions: ACTIONS };
  return cancelRun(deps, id, 'alice');
}

test('a swap is called off between two attempts, also where the first one had come to the release', async () => {
  const site = new Site();
  site.cloud.failNext('detach', DENIED);
  await site.process();
  const id = await site.orderActions(site.member(0), again());
  const stands = async (): Promise<readonly string[]> =>
    attemptsOf((await site.ended(id, 0).catch(() => null)) ?? (await runOf(site, id)), 'hold');
  for (let second = 0; second < 600 && (await stands())[0] !== '1 undone'; second++)
    await site.clock.advance(1000);
  assert.equal(await cancel(site, id), 'stopping');
  const run = await site.ended(id);
  assert.deepEqual([run.state, run.error?.message], ['cancelled', 'cancelled by alice']);
  assert.deepEqual(attemptsOf(run, 'hold'), ['1 undone']);
  assert.deepEqual(site.leftBehind(), []);
});

async function runOf(site: Site, id: string): Promise<Run> {
  const run = await site.store.run(id);
  assert.ok(run !== null);
  return run;
}

/** A janitor that works for so long. */
async function swept(site: Site, forMs: number): Promise<void> {
  const janitor = createJanitor({
    ...{ store: site.store, cloud: site.cloud, ruleset: { current: () => ruleset([], [LENIENT]) } },
    ...{ clock: site.clock, metrics: createMetrics(), log: silentLog },
  });
  janitor.start();
  await site.clock.advance(forMs);
  const stopped = janitor.stop();
  await site.clock.advance(MINUTE);
  await stopped;
}

test('the janitor leaves a run alone that waits to be tried again', async () => {
  const site = new Site();
  site.cloud.failNext('attach', { ...DENIED, times: 2 });
  await site.process();
  const id = await site.orderActions(site.member(0), again());
  await swept(site, 4 * MINUTE);
  assert.equal((await site.ended(id)).state, 'succeeded');
  assert.deepEqual(site.leftBehind(), []);
});

interface Left {
  readonly rule: string;
  readonly options?: SiteOptions;
  readonly swap?: Partial<SwapSpec>;
  /** What fails for good once the second attempt has begun. */
  readonly fails: readonly ('resume' | 'detach' | 'attach' | 'terminate')[];
}

const LEFT: readonly Left[] = [
  { rule: 'a process that could not be resumed', fails: ['resume'] },
  { rule: 'a replacement that could not be taken out', fails: ['detach'] },
  { rule: 'an old instance that could not come back', swap: { order: 'detach-first' }, fails: ['attach'] },
  {
    rule: 'a replacement that could not be terminated',
    swap: { order: 'detach-first' },
    fails: ['terminate'],
  },
];

for (const { rule, options = {}, swap = {}, fails } of LEFT) {
  test(`what a second attempt leaves is told from the first: ${rule}, which the janitor finishes`, async () => {
    const site = new Site({ spec: { min: 3, max: 5 }, ...options });
    site.cloud.failNext('protect', DENIED);
    await site.process();
    const old = site.member(0);
    const id = await site.orderActions(old, again(swap, { retries: 1 }));
    await site.clock.advanceUntil(() => site.cloud.calls.launch === 2, 10 * MINUTE);
    for (const operation of fails) site.cloud.failNext(operation, { ...DENIED, times: 10 });
    site.cloud.failNext('protect', DENIED);
    const run = await site.ended(id);
    assert.notEqual(run.state, 'cancelled');
    assert.equal(run.steps.at(-1)?.attempt, 2);
    await swept(site, 60 * MINUTE);
    assert.deepEqual(site.leftBehind(), [], `${run.state}: ${run.error?.message}`);
    const { desired, members } = site.web();
    assert.deepEqual([desired, members.length], [4, 4]);
  });
}

for (const kind of ['detach', 'terminate'] as const) {
  test(`${kind}: a removal that was refused is tried again, and counts once`, async () => {
    const site = new Site({ policies: [STRICT] });
    site.cloud.failNext(kind === 'detach' ? 'detach' : 'terminateInGroup', { ...DENIED, times: 2 });
    const spec = { replace: false, urgent: false };
    const action: ActionSpec =
      kind === 'detach' ? { kind, detach: spec, retries: 2 } : { kind, terminate: spec, retries: 2 };
    const { run } = await swapped(site, [action]);
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.deepEqual(attemptsOf(run, 'take-out'), ['1 failed', '2 failed', '3 done']);
    assert.equal(site.web().desired, 3);
    assert.equal((await site.store.swapsSince(0)).length, 1);
  });
}

test('a removal whose first request took effect unseen is not done a second time', async () => {
  const site = new Site({ rest: { readLagMs: 25_000 } });
  await site.process();
  const old = site.member(0);
  const detach = { replace: false, urgent: false };
  const id = await site.orderActions(old, [{ kind: 'detach', detach, retries: 2 }]);
  site.cloud.loseAnswer('detach');
  await site.clock.advanceUntil(() => site.cloud.calls.detach === 1, 5 * MINUTE);
  site.cloud.failNext('detach', DENIED);
  const run = await site.ended(id);
  await site.clock.advance(SETTLED_MS);
  assert.equal(site.web().desired, 3, run.error?.message);
  assert.ok(site.runs(old));
  assert.equal((await site.cloud.groupsNamed(WEB, ['web']))[0]?.members.length, 3);
});
