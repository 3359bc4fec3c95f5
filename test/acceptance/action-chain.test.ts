import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HttpAnswer, HttpRequest } from '../../src/actions/http/sender.ts';
import type { Run } from '../../src/actions/run.ts';
import type { ActionSpec, InChain, SwapOrder, SwapSpec } from '../../src/engine/rule.ts';
import { sizesOf } from './pitfall-watch.ts';
import { LENIENT, type Process, Site, type SiteOptions, SPOT_SWAP, stepsOf } from './swap-site.ts';

const KEY = '123456789012/eu-west-1/web';
const DENIED = { code: 'AccessDenied', status: 403 };
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const SETTLED_MS = 10 * MINUTE;
const ORDERS: readonly SwapOrder[] = ['launch-first', 'detach-first'];

function swap(spec: Partial<SwapSpec> = {}, inChain: InChain = {}): ActionSpec {
  return { kind: 'swap', swap: { ...SPOT_SWAP, ...spec }, ...inChain };
}

function ask(host: string, inChain: InChain = {}): ActionSpec {
  return { kind: 'http', http: { url: `http://${host}/`, headers: {}, bearerTokenFile: null }, ...inChain };
}

/** A site whose other systems answer with the status that is said for them, else 200; with what they were asked. */
function siteWith(
  statuses: Readonly<Record<string, number>> = {},
  options: SiteOptions = {},
): { site: Site; asked: HttpRequest[] } {
  const asked: HttpRequest[] = [];
  const sendHttp = (request: HttpRequest): Promise<HttpAnswer> => {
    asked.push(request);
    return Promise.resolve({ status: statuses[new URL(request.url).hostname] ?? 200, text: 'so' });
  };
  return { site: new Site({ ...options, sendHttp }), asked };
}

/** Performs the chain on the first member, and lets everything settle. */
async function performed(
  site: Site,
  ...actions: readonly ActionSpec[]
): Promise<{ run: Run; old: string; process: Process }> {
  const old = site.member(0);
  const process = await site.process();
  const run = await site.ended(await site.orderActions(old, actions));
  await site.clock.advance(SETTLED_MS);
  return { run, old, process };
}

function endOf({ state, error }: Run): string {
  return error === null ? state : `${state} ${error.reason}`;
}

function hosts(asked: readonly HttpRequest[]): readonly string[] {
  return asked.map(({ url }) => new URL(url).hostname);
}

async function counted({ metrics }: Process): Promise<readonly string[]> {
  const { values } = await metrics.runs.get();
  return values
    .filter(({ value }) => value > 0)
    .map(({ labels, value }) => `${labels.action} ${labels.outcome} ${value}`);
}

const CONTINUE: InChain = { onFailure: 'continue' };

describe('a chain with a swap', () => {
  test('tells the next system that the swap failed, and nothing of a replacement that is gone', async () => {
    const { site, asked } = siteWith();
    site.cloud.failNext('attach', DENIED);
    const { run, process } = await performed(site, swap({}, CONTINUE), ask('pager'));
    assert.equal(endOf(run), 'rolled_back denied');
    const { replacement = '', failures } = { ...asked[0]?.body } as Readonly<Record<string, unknown>>;
    assert.equal(replacement, null);
    assert.deepEqual(failures, [{ action: 'swap', outcome: 'rolled_back', ...run.error }]);
    assert.deepEqual(await counted(process), ['swap rolled_back 1', 'http succeeded 1']);
    assert.equal(process.memory.rest(KEY)?.failures, 1, 'the swap failed, whatever came after it');
    assert.deepEqual(site.leftBehind(), []);
  });

  test('goes on after a refusal, which is no failed swap', async () => {
    const { site, asked } = siteWith({}, { policies: [{ ...LENIENT, paused: true }] });
    const { run, process } = await performed(site, swap({}, CONTINUE), ask('pager'));
    assert.equal(endOf(run), 'failed policy_paused');
    assert.equal(asked.length, 1);
    assert.equal(process.memory.rest(KEY), null);
  });

  test('swaps although the system before it did not agree, where that may be', async () => {
    const { site } = siteWith({ drainer: 403 });
    const { run, old, process } = await performed(site, ask('drainer', CONTINUE), swap());
    assert.equal(endOf(run), 'failed refused_elsewhere');
    assert.ok(!site.runs(old));
    assert.deepEqual(await counted(process), ['http failed 1', 'swap succeeded 1']);
  });

  test('does not swap where it may not, and then there was no swap', async () => {
    const { site } = siteWith({ drainer: 403 });
    const { run, old, process } = await performed(site, ask('drainer'), swap());
    assert.equal(endOf(run), 'failed refused_elsewhere');
    assert.ok(site.runs(old));
    assert.deepEqual(await counted(process), ['http failed 1']);
    assert.equal(process.memory.rest(KEY), null);
  });

  test('goes nowhere when the swap leaves something behind, whatever it says', async () => {
    const { site, asked } = siteWith();
    site.cloud.failNext('attach', DENIED);
    site.cloud.failNext('terminate', DENIED);
    const { run } = await performed(site, swap({}, CONTINUE), ask('pager'));
    assert.equal(run.state, 'failed');
    assert.equal(asked.length, 0, stepsOf(run).join());
  });

  test('a group does not rest for a system that refuses after each swap, nor after a restart', async () => {
    const { site } = siteWith({ pager: 403 });
    for (let round = 0; round < 4; round++) {
      const { run, process } = await performed(site, swap({ to: 'same' }), ask('pager'));
      assert.equal(endOf(run), 'failed refused_elsewhere');
      assert.deepEqual(await counted(process), ['swap succeeded 1', 'http failed 1']);
      assert.equal(process.memory.rest(KEY), null);
      await process.worker.stop();
    }
    assert.equal((await site.process()).memory.rest(KEY), null);
    assert.deepEqual(site.leftBehind(), []);
  });

  test('a swap that succeeded ends the rest, though the system after it refuses', async () => {
    const { site } = siteWith({ pager: 403 });
    site.cloud.failNext('attach', DENIED);
    const { process } = await performed(site, swap());
    assert.equal(process.memory.rest(KEY)?.failures, 1);
    await performed(site, swap(), ask('pager'));
    assert.equal(process.memory.rest(KEY), null);
    assert.equal((await site.process()).memory.rest(KEY), null);
  });

  test('an http that waits for too long is tried again with the same key', async () => {
    const statuses: Record<string, number> = { drainer: 202 };
    const { site, asked } = siteWith(statuses);
    await site.process();
    const id = await site.orderActions(site.member(0), [ask('drainer', { retries: 1 }), swap()]);
    await site.clock.advance(5 * MINUTE + 20 * SECOND);
    statuses['drainer'] = 200;
    const run = await site.ended(id);
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.equal(new Set(asked.map(({ headers }) => headers['idempotency-key'])).size, 1);
  });

  for (const order of ORDERS) {
    test(`${order}: a swap that is tried again asks before it releases, too, in a request of its own`, async () => {
      const { site, asked } = siteWith();
      site.cloud.failNext('launch', { ...DENIED, times: 1 });
      if (order === 'launch-first') site.cloud.failNext('detach', { ...DENIED, times: 1 });
      const beforeRelease = [
        { kind: 'http', http: { url: 'http://drainer/', headers: {}, bearerTokenFile: null } },
      ] as const;
      const { run } = await performed(site, swap({ order, beforeRelease }, { retries: 3 }));
      assert.equal(run.state, 'succeeded', run.error?.message);
      assert.deepEqual(hosts(asked), ['drainer', 'drainer']);
      assert.equal(new Set(asked.map(({ headers }) => headers['idempotency-key'])).size, 2);
    });
  }
});

describe('timeout', () => {
  /** From hardly any to more than these swaps take. */
  const TIMEOUTS_MS = Array.from({ length: 34 }, (_, index) => (1 + 3 * index) * SECOND);
  const GROUPS: readonly (readonly [name: string, options: SiteOptions])[] = [
    ['a full group at its minimum', { spec: { min: 4, max: 4 } }],
    [
      'one with target groups and a terminating hook',
      { spec: { min: 4, max: 4, targetGroups: ['arn:a'], hooks: { launching: false, terminating: true } } },
    ],
    ['one whose readings lag', { rest: { readLagMs: 20_000 } }],
  ];

  /** How the swap ended, and what is wrong after it. */
  async function struckAt(
    options: SiteOptions,
    action: ActionSpec,
  ): Promise<{ end: string; wrong: readonly string[] }> {
    const { site } = siteWith({}, options);
    const { run } = await performed(site, action);
    const { desired, members } = site.web();
    const serving = members.filter(({ lifecycleState }) => lifecycleState === 'InService').length;
    const sizes = desired === 4 && serving === 4 ? [] : [`${serving} of ${desired} serve`];
    return { end: endOf(run), wrong: [...site.leftBehind(), ...sizes] };
  }

  for (const order of ORDERS) {
    for (const [name, options] of GROUPS) {
      test(`${order}, ${name}: wherever the timeout strikes, the swap is undone or done, and nothing is left`, async () => {
        const ends = new Set<string>();
        for (const timeoutMs of TIMEOUTS_MS) {
          const { end, wrong } = await struckAt(options, swap({ order }, { timeoutMs }));
          ends.add(end);
          assert.deepEqual(wrong, [], `${end} after ${timeoutMs} ms`);
        }
        assert.deepEqual([...ends], ['rolled_back timeout', 'succeeded']);
      });
    }
  }

  test('a replacement that never becomes healthy is given up when the action has taken its time', async () => {
    const { site } = siteWith({}, { spec: { targetGroups: ['arn:a'], max: 4 } });
    await site.process();
    const id = await site.orderActions(site.member(0), [swap({}, { timeoutMs: 2 * MINUTE })]);
    await site.clock.advanceUntil(() => site.web().members.length === 5, 5 * MINUTE);
    site.cloud.byHand.breakApplication(site.web().members.at(-1)?.instanceId ?? '');
    const run = await site.ended(id);
    assert.equal(endOf(run), 'rolled_back timeout');
    assert.match(run.error?.message ?? '', /^await-healthy: the action has taken its 2m, waiting for i-/);
    const failed = run.steps.find(({ name }) => name === 'await-healthy');
    const took = (failed?.finishedAt ?? 0) - (run.steps[0]?.startedAt ?? 0);
    assert.ok(took >= 2 * MINUTE && took < 2 * MINUTE + SECOND, `${took} ms`);
    assert.deepEqual([site.leftBehind(), sizesOf(site)], [[], [4, 2, 4, 4]]);
  });

  test('past the release the swap is carried to its end, however long that takes', async () => {
    const { site } = siteWith({}, { spec: { targetGroups: ['arn:a'], deregistrationSeconds: 300 } });
    const { run, old } = await performed(site, swap({}, { timeoutMs: 3 * MINUTE }));
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.ok((run.finishedAt ?? 0) - run.createdAt > 5 * MINUTE);
    assert.ok(!site.runs(old));
    assert.deepEqual(site.leftBehind(), []);
  });

  test('a release whose answer is lost is settled, however late that is', async () => {
    const { site } = siteWith({}, { rest: { readLagMs: 25_000 } });
    await site.process();
    const id = await site.orderActions(site.member(0), [swap({}, { timeoutMs: MINUTE })]);
    site.cloud.loseAnswer('detach');
    await site.clock.advanceUntil(() => site.cloud.calls.detach === 1, 5 * MINUTE);
    site.cloud.failNext('groupsNamed', { code: 'InternalError', status: 500, times: 8 });
    const run = await site.ended(id);
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.ok((run.finishedAt ?? 0) - run.createdAt > MINUTE);
    assert.deepEqual([site.leftBehind(), sizesOf(site)], [[], [4, 2, 8, 4]]);
  });

  test('a process that comes back after the time is over undoes the swap, or ends it where it was released', async () => {
    for (const [operation, end] of [
      ['attach', 'rolled_back timeout'],
      ['detach', 'succeeded'],
    ] as const) {
      const { site } = siteWith();
      const { worker } = await site.process();
      const id = await site.orderActions(site.member(0), [swap({}, { timeoutMs: 5 * MINUTE })]);
      await site.clock.advanceUntil(() => site.cloud.calls[operation] === 1, 5 * MINUTE);
      const stopped = worker.stop();
      await site.clock.advance(10 * MINUTE);
      await stopped;
      await site.process();
      const run = await site.ended(id);
      await site.clock.advance(SETTLED_MS);
      assert.equal(endOf(run), end);
      assert.deepEqual([site.leftBehind(), sizesOf(site)], [[], [4, 2, 8, 4]]);
    }
  });
});
