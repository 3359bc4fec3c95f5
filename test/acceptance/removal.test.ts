import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cancelled, cancelRun } from '../../src/actions/cancel.ts';
import { ACTIONS } from '../../src/actions/catalog.ts';
import type { Run } from '../../src/actions/run.ts';
import { type GroupName, groupKey } from '../../src/base/group-name.ts';
import type { Cloud } from '../../src/cloud/cloud.ts';
import { type GroupSpec, instances } from '../../src/cloud/simulated/world.ts';
import type { PolicySpec } from '../../src/engine/policy.ts';
import type { ActionSpec, RemovalSpec } from '../../src/engine/rule.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { withMethods } from '../unit/actions/fake-walk.ts';
import { denied, sizesOf } from './pitfall-watch.ts';
import { Fuse, type Loss } from './swap-fuse.ts';
import { LENIENT, Site, type SiteOptions, stepsOf, WEB } from './swap-site.ts';

type Way = 'detach' | 'terminate';
const WAYS: readonly Way[] = ['detach', 'terminate'];
/** The request that each of them is. */
const REQUEST = { detach: 'detach', terminate: 'terminateInGroup' } as const;
const SETTLED_MS = 600_000;

function removal(way: Way, rest: Partial<RemovalSpec> = {}): ActionSpec {
  const spec = { replace: true, urgent: false, ...rest };
  return way === 'detach' ? { kind: 'detach', detach: spec } : { kind: 'terminate', terminate: spec };
}

const ask: ActionSpec = {
  kind: 'http',
  http: { url: 'http://d.test/', headers: {}, bearerTokenFile: null },
};

/** Takes the member at that position out, and lets everything settle. */
async function removed(
  site: Site,
  action: ActionSpec,
  position = 0,
): Promise<{ readonly run: Run; readonly old: string }> {
  const old = site.member(position);
  await site.process();
  const run = await site.ended(await site.orderActions(old, [action]));
  await site.clock.advance(SETTLED_MS);
  return { run, old };
}

function isMember(site: Site, id: string): boolean {
  return site.web().members.some(({ instanceId }) => instanceId === id);
}

/** How many removals took effect. */
function removalsOn(site: Site, way: Way): number {
  return site.cloud.history.filter(({ operation, outcome }) => operation === REQUEST[way] && outcome === 'ok')
    .length;
}

for (const way of WAYS) {
  for (const replace of [true, false]) {
    const what = replace ? 'the group launches another one' : 'desired falls by one';
    test(`${way} with replace: ${replace} takes the instance out with one request, and ${what}`, async () => {
      const site = new Site();
      const { run, old } = await removed(site, removal(way, { replace }));
      assert.equal(run.state, 'succeeded', run.error?.message);
      assert.deepEqual(stepsOf(run), ['plan done', 'take-out done', 'await-left done']);
      assert.deepEqual(site.writes(), [REQUEST[way]]);
      assert.deepEqual(sizesOf(site), replace ? [4, 2, 8, 4] : [3, 2, 8, 3]);
      assert.ok(!isMember(site, old));
      assert.equal(site.runs(old), way === 'detach');
      assert.deepEqual(site.leftBehind(), []);
    });
  }
}

test('pitfall 15: terminate goes through the group, which runs its hooks and drains, and waits for that', async () => {
  const spec = { targetGroups: ['arn:a'], hooks: { launching: false, terminating: true } };
  const site = new Site({ spec });
  await site.process();
  const old = site.member(0);
  const id = await site.orderActions(old, [removal('terminate')]);
  const states = new Set<string | undefined>();
  for (let second = 0; second < 300 && (await site.store.run(id))?.finishedAt === null; second++) {
    await site.clock.advance(1000);
    states.add(site.web().members.find(({ instanceId }) => instanceId === old)?.lifecycleState);
  }
  assert.ok(states.has('Terminating:Wait'), [...states].join());
  assert.equal((await site.ended(id)).state, 'succeeded');
  assert.ok(!isMember(site, old));
  assert.equal(site.cloud.calls.terminate, 0, 'nobody goes past the group');
});

test('a removal that takes longer than a release should is no failure: the group sees to it', async () => {
  const site = new Site({
    spec: { hooks: { launching: false, terminating: true }, hookSeconds: 3600 },
    policies: [{ ...LENIENT, swap: { waits: { releaseMs: 60_000 } } }],
  });
  const { run, old } = await removed(site, removal('terminate'));
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.ok(isMember(site, old), 'the hook still has it');
});

interface Refusal {
  readonly rule: string;
  readonly spec?: Partial<GroupSpec>;
  readonly policy?: Partial<PolicySpec>;
  readonly removal?: Partial<RemovalSpec>;
  readonly position?: number;
  readonly prepare?: (site: Site) => unknown;
  /** Null where nothing speaks against it. */
  readonly reason: string | null;
}

const MIXED_BAG = [
  instances('m5.large', 'eu-west-1a', 2),
  instances('m5.large', 'eu-west-1a', 2, { purchaseOption: 'spot' }),
];
const TWO_MARKETS = [
  instances('m5.large', 'eu-west-1a', 2, { purchaseOption: 'spot' }),
  instances('m6i.large', 'eu-west-1a', 2, { purchaseOption: 'spot' }),
];
const GONE = { replace: false } as const;
const FLOOR: Partial<PolicySpec> = { onDemand: { base: 2, shareAboveBase: 0 } };

const REFUSALS: readonly Refusal[] = [
  { rule: 'without a replacement at the minimum', spec: { min: 4 }, removal: GONE, reason: 'at_minimum' },
  { rule: 'with a replacement at the minimum', spec: { min: 4 }, reason: null },
  {
    rule: 'with a replacement where the group cannot launch',
    spec: { suspendedProcesses: ['Launch'] },
    reason: 'launch_suspended',
  },
  {
    rule: 'without a replacement where the group cannot launch',
    spec: { suspendedProcesses: ['Launch'] },
    removal: GONE,
    reason: null,
  },
  {
    rule: 'without a replacement where desired counts other units',
    spec: { weighted: true },
    removal: GONE,
    reason: 'weighted_capacity',
  },
  { rule: 'with a replacement where desired counts other units', spec: { weighted: true }, reason: null },
  {
    rule: 'in a group that is being deleted',
    prepare: (site) => site.cloud.byHand.deleteGroup('web'),
    reason: 'group_deleting',
  },
  {
    rule: 'in a group that another service operates',
    spec: { operator: 'eks' },
    reason: 'group_operated_elsewhere',
  },
  {
    rule: 'of an instance that is on its way out',
    prepare: (site) => site.cloud.terminateInGroup(WEB, site.member(0)),
    reason: 'instance_not_in_service',
  },
  {
    rule: 'of an instance that a person has put on standby',
    prepare: (site) => site.cloud.byHand.enterStandby(site.member(0)),
    reason: 'instance_not_in_service',
  },
  {
    rule: 'of a protected instance',
    prepare: (site) => site.cloud.protect(WEB, site.member(0), true),
    reason: 'instance_protected',
  },
  {
    rule: 'of a protected instance that is going away anyway',
    prepare: (site) => site.cloud.protect(WEB, site.member(0), true),
    removal: { urgent: true },
    reason: null,
  },
  { rule: 'in a group that a policy pauses', policy: { paused: true }, reason: 'policy_paused' },
  {
    rule: 'of an on-demand instance at the floor, whatever the group would launch',
    spec: { instances: MIXED_BAG },
    policy: FLOOR,
    reason: 'policy_floor',
  },
  {
    rule: 'of an on-demand instance at the floor that is going away anyway',
    spec: { instances: MIXED_BAG },
    policy: FLOOR,
    removal: { urgent: true },
    reason: 'policy_floor',
  },
  {
    rule: 'of a spot instance while on-demand is at its floor',
    spec: { instances: MIXED_BAG },
    policy: FLOOR,
    position: 2,
    reason: null,
  },
  {
    rule: 'after which another market would hold more than its share',
    spec: { instances: TWO_MARKETS },
    policy: { diversity: { maxMarketShare: 0.5 } },
    removal: GONE,
    reason: 'policy_market_share',
  },
  {
    rule: 'with a replacement, whatever the shares',
    spec: { instances: TWO_MARKETS },
    policy: { diversity: { maxMarketShare: 0.5 } },
    reason: null,
  },
  {
    rule: 'of an instance that is too young',
    policy: { minInstanceAgeMs: 7 * 86_400_000 },
    reason: 'policy_min_age',
  },
  {
    rule: 'of an instance that is too young and going away anyway',
    policy: { minInstanceAgeMs: 7 * 86_400_000 },
    removal: { urgent: true },
    reason: null,
  },
  {
    rule: 'in a group that no policy selects',
    policy: { groups: { names: ['api'] } },
    reason: 'group_not_managed',
  },
];

for (const way of WAYS) {
  for (const { rule, spec = {}, policy = {}, removal: how, position, prepare, reason } of REFUSALS) {
    test(`${way} ${rule} is ${reason === null ? 'done' : `refused (${reason}), and nothing is asked of the cloud`}`, async () => {
      const site = new Site({ spec, policies: [{ ...LENIENT, ...policy }] });
      await prepare?.(site);
      const before = site.writes().length;
      const { run } = await removed(site, removal(way, how), position);
      assert.deepEqual(
        [run.state, run.error?.reason ?? null],
        [reason === null ? 'succeeded' : 'failed', reason],
      );
      assert.equal(site.writes().length - before, reason === null ? 1 : 0);
    });
  }

  test(`${way} never takes out the instance that Coppice runs on`, async () => {
    const own = new Site().member(0);
    const site = new Site({ ownInstance: own });
    const { run, old } = await removed(site, removal(way, { urgent: true }));
    assert.deepEqual([old, run.error?.reason], [own, 'own_instance']);
    assert.deepEqual(site.writes(), []);
  });

  test(`${way} of an instance that is no member is refused`, async () => {
    const site = new Site();
    await site.process();
    const run = await site.ended(await site.orderActions('i-0123456789abcdef0', [removal(way)]));
    assert.deepEqual([run.state, run.error?.reason], ['failed', 'instance_not_in_group']);
  });

  test(`${way} counts for cooldown and budgets as a swap does, unless it is urgent`, async () => {
    for (const urgent of [false, true]) {
      for (const [limit, reason] of [
        [{ cooldownMs: 3_600_000 }, 'policy_cooldown'],
        [{ budgets: [{ swaps: { kind: 'count', value: 1 }, perMs: 3_600_000 }] }, 'policy_budget'],
      ] as const) {
        const site = new Site({ policies: [{ ...LENIENT, ...limit }] });
        await removed(site, removal(way, { urgent }));
        const next = await removed(site, removal(way));
        assert.equal(next.run.error?.reason ?? null, urgent ? null : reason);
      }
    }
  });

  for (const times of [1, 3]) {
    test(`pitfall 5 capacity-decremented-twice: ${times} lost answers in a row are one ${way}`, async () => {
      const site = new Site();
      site.cloud.loseAnswer(REQUEST[way], times);
      const { run } = await removed(site, removal(way, GONE));
      assert.equal(run.state, 'succeeded', run.error?.message);
      assert.deepEqual(sizesOf(site), [3, 2, 8, 3]);
    });
  }

  test(`pitfall 5 capacity-decremented-twice: readings that are half a minute old do not repeat a ${way}`, async () => {
    const site = new Site({ rest: { readLagMs: 25_000 } });
    site.cloud.loseAnswer(REQUEST[way], 1);
    const { run } = await removed(site, removal(way, GONE));
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.deepEqual(sizesOf(site), [3, 2, 8, 3]);
  });

  test(`pitfall 4 min-size-refusal-after-drain: a minimum that is raised after the look makes ${way} fail, once`, async () => {
    const site = new Site();
    const raised = (group: GroupName, id: string, capacity?: 'lowered' | 'kept'): Promise<unknown> => {
      site.cloud.byHand.setSizes('web', { min: 4 });
      return site.cloud[REQUEST[way]](group, id, capacity);
    };
    await site.process({ cloud: withMethods<Cloud>(site.cloud, { [REQUEST[way]]: raised }) });
    const run = await site.ended(await site.orderActions(site.member(0), [removal(way, GONE)]));
    assert.deepEqual([run.state, run.error?.reason], ['failed', 'size_refused']);
    assert.deepEqual([site.cloud.calls[REQUEST[way]], sizesOf(site)], [1, [4, 4, 8, 4]]);
  });

  test(`an instance that somebody else takes out right before its ${way} is not taken out twice`, async () => {
    const site = new Site();
    const old = site.member(0);
    const overtaken = async (...args: Parameters<Cloud['groupsNamed']>): ReturnType<Cloud['groupsNamed']> => {
      if (site.writes().length === 0) await site.cloud.terminateInGroup(WEB, old, 'kept');
      return site.cloud.groupsNamed(...args);
    };
    await site.process({ cloud: withMethods<Cloud>(site.cloud, { groupsNamed: overtaken }) });
    const run = await site.ended(await site.orderActions(old, [removal(way)]));
    assert.deepEqual([run.state, run.error?.reason], ['failed', 'no_longer_member']);
    assert.deepEqual(site.writes(), ['terminateInGroup'], 'only the request of the other one');
  });

  test(`a ${way} that AWS does not allow fails, and nothing is said to have been undone`, async () => {
    const site = new Site();
    site.cloud.failNext(REQUEST[way], denied);
    const { run, old } = await removed(site, removal(way));
    assert.deepEqual([run.state, run.error?.reason], ['failed', 'denied']);
    assert.ok(isMember(site, old));
    assert.deepEqual(sizesOf(site), [4, 2, 8, 4]);
  });
}

test('an instance that Coppice has launched is marked as released before it is detached, so that the janitor leaves it', async () => {
  const site = new Site();
  await site.process();
  await site.ended(await site.order(site.member(0)));
  const ours = site.web().members.at(-1)?.instanceId ?? '';
  const before = site.writes().length;
  const id = await site.orderActions(ours, [removal('detach', GONE)]);
  assert.equal((await site.ended(id)).state, 'succeeded');
  assert.deepEqual(site.writes().slice(before), ['tagInstance', 'detach']);
  const machine = site.cloud.snapshot().instances.find((one) => one.id === ours);
  assert.equal(machine?.tags['coppice:released'], id);
  assert.deepEqual(site.leftBehind(), []);
});

test('one that is terminated need not be marked', async () => {
  const site = new Site();
  await site.process();
  await site.ended(await site.order(site.member(0)));
  const ours = site.web().members.at(-1)?.instanceId ?? '';
  assert.equal((await site.ended(await site.orderActions(ours, [removal('terminate')]))).state, 'succeeded');
  assert.equal(site.cloud.calls.tagInstance, 0);
});

interface Chain {
  readonly name: string;
  readonly options?: SiteOptions;
  readonly actions: readonly ActionSpec[];
  readonly way: Way;
  readonly desired: number;
}

const CHAINS: readonly Chain[] = [
  ...WAYS.flatMap((way) =>
    [true, false].map((replace) => ({
      name: `${way} with replace: ${replace}`,
      ...{ actions: [removal(way, { replace })], way, desired: replace ? 4 : 3 },
    })),
  ),
  {
    name: 'a chain of http, terminate and http',
    ...{ actions: [ask, removal('terminate', GONE), ask], way: 'terminate', desired: 3 },
    options: { sendHttp: () => Promise.resolve({ status: 200, text: '' }) },
  },
];

async function play(
  { options = {}, actions }: Chain,
  loss: Loss | null,
): Promise<{ site: Site; run: Run; fuse: Fuse }> {
  const site = new Site(options);
  const fuse = new Fuse(loss);
  await site.process({ store: fuse.store(site), cloud: fuse.cloud(site) });
  const id = await site.orderActions(site.member(0), actions);
  if (loss !== null) {
    assert.ok(await site.clock.advanceUntil(() => fuse.lost, 600_000));
    await site.process();
  }
  const run = await site.ended(id);
  await site.clock.advance(SETTLED_MS);
  return { site, run, fuse };
}

for (const chain of CHAINS) {
  test(`${chain.name} takes out one instance, wherever its process is lost`, async (t) => {
    const { fuse } = await play(chain, null);
    const losses = fuse.writes.flatMap((write, index) =>
      (write === 'store.claim' ? (['after'] as const) : (['before', 'after'] as const)).map((when) => ({
        write,
        loss: { at: index + 1, when },
      })),
    );
    const wrong: string[] = [];
    for (const { write, loss } of losses) {
      const { site, run } = await play(chain, loss);
      const [desired, , , members] = sizesOf(site);
      const { memory } = await site.process();
      const well =
        run.state === 'succeeded' &&
        desired === chain.desired &&
        members === chain.desired &&
        removalsOn(site, chain.way) === 1 &&
        memory.swaps(groupKey(WEB)).length === 1 &&
        site.leftBehind().length === 0;
      if (!well) wrong.push(`${loss.when} ${write} (${loss.at}): ${run.state}, ${desired}, ${members}`);
    }
    assert.deepEqual(wrong, []);
    t.diagnostic(`lost at ${losses.length} points`);
  });
}

test('a chain stops at the first action that fails: what the other system forbids is not done', async () => {
  const site = new Site({ sendHttp: () => Promise.resolve({ status: 403, text: 'not now' }) });
  const old = site.member(0);
  await site.process();
  const run = await site.ended(await site.orderActions(old, [ask, removal('terminate')]));
  assert.deepEqual([run.state, run.error?.reason], ['failed', 'refused_elsewhere']);
  assert.deepEqual(site.writes(), []);
});

test('the next action of a chain begins when the one before it has ended', async () => {
  const asked: boolean[] = [];
  const site: Site = new Site({
    sendHttp: () => {
      asked.push(isMember(site, old));
      return Promise.resolve({ status: 200, text: '' });
    },
  });
  const old = site.member(0);
  await site.process();
  const run = await site.ended(await site.orderActions(old, [ask, removal('terminate'), ask]));
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.deepEqual(asked, [true, false]);
});

test('a removal can be called off until its one request, and not afterwards', async () => {
  const site: Site = new Site({
    sendHttp: () => Promise.resolve({ status: site.clock.now() < later ? 202 : 200, text: '' }),
  });
  const later = site.clock.now() + 60_000;
  const { memory, metrics } = await site.process();
  const deps = { store: site.store, actions: ACTIONS, memory, metrics, clock: site.clock, log: silentLog };
  const cancel = (id: string): Promise<Cancelled> => cancelRun(deps, id, 'ada');

  const waiting = await site.orderActions(site.member(0), [ask, removal('terminate')]);
  await site.clock.advance(30_000);
  assert.equal(await cancel(waiting), 'stopping');
  assert.equal((await site.ended(waiting)).state, 'cancelled');
  assert.deepEqual(site.writes(), []);

  const under = await site.orderActions(site.member(0), [removal('terminate')]);
  assert.ok(await site.clock.advanceUntil(() => site.cloud.calls.terminateInGroup === 1, 60_000));
  assert.equal(await cancel(under), 'too_late');
  assert.equal((await site.ended(under)).state, 'succeeded');
});
