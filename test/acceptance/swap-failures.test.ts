import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Run } from '../../src/actions/run.ts';
import type { GroupName } from '../../src/base/group-name.ts';
import type { Market } from '../../src/base/market.ts';
import type { Cloud, CloudPlace, GroupState } from '../../src/cloud/cloud.ts';
import { type GroupSpec, instances, mixed } from '../../src/cloud/simulated/world.ts';
import type { PolicySpec } from '../../src/engine/policy.ts';
import { LENIENT, Site, type SiteOptions, stepsOf } from './swap-site.ts';

const SPOT_TYPES = ['m6i.large', 'm5a.large', 'm7i.large'] as const;
/** Only three types may come, so that a test can take their capacity away. */
const FEW: readonly PolicySpec[] = [{ ...LENIENT, instanceTypes: { allow: ['m5.large', ...SPOT_TYPES] } }];

function spot(type: string): Market {
  return { type, zone: 'eu-west-1a', purchaseOption: 'spot' };
}

function attempts(run: Run): readonly string[] {
  const { detail } = run.steps.find(({ name }) => name === 'launch') ?? { detail: {} };
  const { attempts: all } = detail as { attempts: { market: Market; state: string }[] };
  return all.map(({ market, state }) => `${market.type}/${market.purchaseOption} ${state}`);
}

/** The group is as it was: same members, same sizes, nothing held, nothing of ours running. */
function assertAsItWas(site: Site): void {
  const [before] = site.before.groups;
  const after = site.web();
  assert.deepEqual(site.leftBehind(), []);
  assert.equal(after.desired, before?.desired);
  assert.deepEqual(
    after.members.map(({ instanceId }) => instanceId),
    before?.members.map(({ instanceId }) => instanceId),
  );
}

async function started(options: SiteOptions = {}): Promise<{ site: Site; old: string }> {
  const site = new Site(options);
  await site.process();
  return { site, old: site.member(0) };
}

test('a market without capacity costs one request, is remembered, and the next best is taken', async () => {
  const { site, old } = await started({ policies: FEW });
  for (const type of ['m6i.large', 'm5a.large']) site.cloud.byHand.setCapacity(spot(type), 0);
  const run = await site.ended(await site.order(old));
  assert.equal(run.state, 'succeeded');
  const failed = attempts(run).filter((attempt) => attempt.endsWith('failed'));
  assert.equal(site.cloud.calls.launch, failed.length + 1);
  assert.deepEqual(Object.keys(site.markets()).sort(), [
    'm5.large/eu-west-1a/spot',
    'm7i.large/eu-west-1a/spot',
  ]);
  assert.deepEqual(site.leftBehind(), []);

  const again = await site.ended(await site.order(site.member(1)));
  assert.deepEqual(attempts(again), ['m7i.large/spot launched'], 'the empty markets are not asked again');
});

test('when no candidate has capacity everything is given back', async () => {
  const { site, old } = await started({ policies: FEW, spec: { max: 4 } });
  for (const type of SPOT_TYPES) site.cloud.byHand.setCapacity(spot(type), 0);
  const run = await site.ended(await site.order(old));
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'market_unavailable']);
  assertAsItWas(site);
});

test('pitfall 26: an urgent swap falls back to on-demand once every spot candidate was tried', async () => {
  const { site, old } = await started({ policies: FEW });
  for (const type of SPOT_TYPES) site.cloud.byHand.setCapacity(spot(type), 0);
  const run = await site.ended(await site.order(old, { urgent: true }));
  assert.equal(run.state, 'succeeded');
  assert.equal(attempts(run).filter((attempt) => attempt.includes('/spot failed')).length, 3);
  assert.match(attempts(run).at(-1) ?? '', /on-demand launched$/);
});

test('pitfall 13: a mixed group is never given an on-demand instance that its own policy would take away', async () => {
  const { site, old } = await started({
    spec: {
      launch: mixed('m5.large', { onDemandBase: 0, onDemandPercentageAboveBase: 0, types: [...SPOT_TYPES] }),
    },
  });
  for (const type of SPOT_TYPES) site.cloud.byHand.setCapacity(spot(type), 0);
  const run = await site.ended(await site.order(old, { urgent: true }));
  assert.equal(run.state, 'rolled_back');
  assertAsItWas(site);
});

test('pitfall 23: a spot quota ends the spot candidates at once and says nothing of their markets', async () => {
  const { site, old } = await started({
    policies: FEW,
    rest: { vcpuQuota: { spot: 8, 'on-demand': null } },
  });
  const run = await site.ended(await site.order(old, { urgent: true }));
  assert.equal(run.state, 'succeeded');
  assert.equal(attempts(run).filter((attempt) => attempt.includes('/spot failed')).length, 1);
  const next = await site.ended(await site.order(site.member(1), { urgent: true }));
  const [first] = attempts(run);
  assert.equal(attempts(next)[0]?.split(' ')[0], first?.split(' ')[0], 'the market is not taken for empty');
});

interface Failing {
  readonly what: string;
  readonly fail: (site: Site) => void;
  readonly reason: string;
  readonly options?: SiteOptions;
}

const REFUSALS = {
  sizes:
    'AutoScalingGroup web has min-size=2, max-size=4, and desired-size=4. To attach 1 instance, please update the AutoScalingGroup sizes appropriately.',
} as const;

const FAILING: readonly Failing[] = [
  {
    what: 'the tag is refused',
    fail: (site) => site.cloud.failNext('tagGroup', { code: 'AccessDenied', status: 403 }),
    reason: 'denied',
  },
  {
    what: 'suspending is refused',
    fail: (site) => site.cloud.failNext('suspend', { code: 'AccessDenied', status: 403 }),
    reason: 'denied',
  },
  {
    what: 'raising the maximum is refused',
    fail: (site) => site.cloud.failNext('resize', { code: 'AccessDenied', status: 403 }),
    reason: 'denied',
    options: { spec: { max: 4 } },
  },
  {
    what: 'the launch is denied',
    fail: (site) => site.cloud.failNext('launch', { code: 'UnauthorizedOperation', status: 403 }),
    reason: 'denied',
  },
  {
    what: 'pitfall 1: the attach is refused because of the sizes',
    fail: (site) =>
      site.cloud.failNext('attach', { code: 'ValidationError', status: 400, message: REFUSALS.sizes }),
    reason: 'size_refused',
  },
  {
    what: 'the protection is refused',
    fail: (site) => site.cloud.failNext('protect', { code: 'AccessDenied', status: 403 }),
    reason: 'denied',
  },
  {
    what: 'the detach of the old instance is refused',
    fail: (site) => site.cloud.failNext('detach', { code: 'AccessDenied', status: 403 }),
    reason: 'denied',
  },
];

for (const { what, fail, reason, options } of FAILING) {
  test(`everything is given back when ${what}`, async () => {
    const { site, old } = await started(options);
    fail(site);
    const run = await site.ended(await site.order(old));
    assert.deepEqual([run.state, run.error?.reason], ['rolled_back', reason]);
    assertAsItWas(site);
  });
}

for (const operation of [
  'tagGroup',
  'suspend',
  'launch',
  'attach',
  'protect',
  'detach',
  'terminate',
  'resume',
] as const) {
  test(`a lost answer of ${operation} causes no second effect`, async () => {
    const { site, old } = await started();
    site.cloud.loseAnswer(operation);
    const run = await site.ended(await site.order(old));
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.deepEqual(site.leftBehind(), []);
    assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
    assert.equal(site.cloud.snapshot().instances.length, 4);
  });

  test(`a server that stumbles over ${operation} three times is asked again`, async () => {
    const { site, old } = await started();
    site.cloud.failNext(operation, { times: 3 });
    const run = await site.ended(await site.order(old));
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.deepEqual(site.leftBehind(), []);
    assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
    assert.equal(site.cloud.snapshot().instances.length, 4);
  });
}

test('a replacement that never becomes healthy is taken out again, and the old one goes on serving', async () => {
  const { site, old } = await started({ spec: { targetGroups: ['arn:a'] } });
  const id = await site.order(old);
  await site.clock.advanceUntil(() => site.web().members.length === 5, 300_000);
  const ours = site.web().members.at(-1)?.instanceId ?? '';
  site.cloud.byHand.breakApplication(ours);
  const run = await site.ended(id);
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'timeout']);
  assertAsItWas(site);
});

test('a replacement that is reclaimed before it runs is given up and everything is given back', async () => {
  const { site, old } = await started();
  const id = await site.order(old);
  await site.clock.advanceUntil(() => site.cloud.snapshot().instances.length === 5, 60_000);
  const ours = site.cloud.snapshot().instances.find(({ tags }) => 'coppice:run' in tags);
  site.cloud.byHand.terminate(ours?.id ?? '');
  const run = await site.ended(id);
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'instance_lost']);
  assertAsItWas(site);
});

test('a replacement that dies as a member leaves the old instance in service and the size as it was', async () => {
  const { site, old } = await started();
  const id = await site.order(old);
  await site.clock.advanceUntil(() => site.web().members.length === 5, 300_000);
  site.cloud.byHand.terminate(site.web().members.at(-1)?.instanceId ?? '');
  const run = await site.ended(id);
  await site.clock.advance(600_000);
  assert.ok(site.web().members.some(({ instanceId }) => instanceId === old) || run.state === 'succeeded');
  assert.deepEqual(site.leftBehind(), []);
  assert.deepEqual([site.web().desired, site.web().members.length], [4, 4], run.state);
});

/** The spot notice comes so long before the swap begins; AWS takes the instance back two minutes after it. */
for (const headStart of [0, 30, 60, 70, 80, 90, 100, 110, 118]) {
  for (const terminate of [true, false]) {
    const spec: Partial<GroupSpec> = { max: 4, targetGroups: ['arn:a'] };
    test(`pitfall 8: an instance reclaimed ${120 - headStart} s after its swap began leaves the group at its size (terminate ${terminate})`, async () => {
      const { site, old } = await started({ spec });
      site.cloud.byHand.interrupt(old);
      await site.clock.advance(headStart * 1000);
      const run = await site.ended(await site.order(old, { urgent: true, terminate }));
      await site.clock.advance(900_000);
      const { desired, members } = site.web();
      assert.deepEqual([desired, members.length], [4, 4], `${run.state} ${stepsOf(run).join(', ')}`);
      assert.ok(members.every(({ lifecycleState }) => lifecycleState === 'InService'));
      assert.deepEqual(site.leftBehind(), []);
      assert.equal(site.cloud.snapshot().instances.length, 4);
    });
  }
}

test('pitfall 8: a replacement that serves is kept when the group cannot replace the lost instance itself', async () => {
  const { site, old } = await started({
    spec: { instances: [instances('m5.large', 'eu-west-1a', 4, { purchaseOption: 'spot' })] },
  });
  site.cloud.byHand.setCapacity(spot('m5.large'), 0);
  site.cloud.byHand.interrupt(old);
  await site.clock.advance(90_000);
  const run = await site.ended(await site.order(old, { urgent: true, terminate: false }));
  await site.clock.advance(900_000);
  assert.equal(run.state, 'succeeded', run.error?.message);
  site.cloud.byHand.setCapacity(spot('m5.large'), null);
  await site.clock.advance(900_000);
  assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
  assert.deepEqual(site.leftBehind(), []);
});

test('once the old instance is released a failure to terminate it does not keep the group held', async () => {
  const { site, old } = await started({ spec: { max: 4 } });
  site.cloud.byHand.protectFromTermination(old);
  const run = await site.ended(await site.order(old));
  assert.deepEqual([run.state, run.error?.reason], ['failed', 'state_refused']);
  assert.deepEqual(site.leftBehind(), []);
  assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
});

test('an old instance that will not leave in time is terminated all the same', async () => {
  const { site, old } = await started({ spec: { targetGroups: ['arn:a'], deregistrationSeconds: 3600 } });
  const run = await site.ended(await site.order(old));
  assert.equal(run.state, 'succeeded');
  assert.ok(!site.runs(old));
  assert.deepEqual(site.leftBehind(), []);
});

test('a failure to see the old instance leave does not keep it running', async () => {
  const { site, old } = await started();
  const id = await site.order(old);
  await site.clock.advanceUntil(() => site.cloud.calls.detach === 1, 300_000);
  site.cloud.failNext('groupsNamed', { code: 'AccessDenied', status: 403 });
  const run = await site.ended(id);
  await site.clock.advance(60_000);
  assert.equal(run.state, 'failed');
  assert.ok(!site.runs(old), 'nobody else would ever terminate it');
  assert.deepEqual(site.leftBehind(), []);
});

test('a replacement that is being taken out again leaves a scale-out of that moment alone', async () => {
  const { site, old } = await started({ spec: { targetGroups: ['arn:a'] } });
  const id = await site.order(old);
  await site.clock.advanceUntil(() => site.web().members.length === 5, 300_000);
  site.cloud.byHand.breakApplication(site.web().members.at(-1)?.instanceId ?? '');
  await site.clock.advanceUntil(() => site.cloud.calls.detach === 1, 600_000);
  site.cloud.byHand.setSizes('web', { desired: 5 });
  const run = await site.ended(id);
  await site.clock.advance(300_000);
  assert.equal(run.state, 'rolled_back');
  assert.deepEqual([site.web().desired, site.web().members.length], [5, 5]);
});

test('once the old instance has left by our request the replacement stays, whatever fails then', async () => {
  const { site, old } = await started();
  const id = await site.order(old);
  site.cloud.loseAnswer('detach');
  await site.clock.advanceUntil(() => site.cloud.calls.detach === 1, 300_000);
  site.cloud.failNext('groupsNamed', { code: 'AccessDenied', status: 403 });
  const run = await site.ended(id);
  await site.clock.advance(600_000);
  assert.deepEqual([run.state, run.error?.reason], ['failed', 'denied']);
  assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
  const kept = site.cloud.snapshot().instances.filter(({ tags }) => 'coppice:run' in tags);
  assert.deepEqual(
    kept.map(({ group }) => group),
    ['123456789012/eu-west-1/web'],
  );
  assert.ok(site.web().members.every(({ lifecycleState }) => lifecycleState === 'InService'));
  assert.deepEqual(site.leftBehind(), []);
});

test('a launch whose answer never comes is settled before the swap is given up: what it launched is terminated', async () => {
  const { site, old } = await started();
  site.cloud.loseAnswer('launch');
  const id = await site.order(old);
  await site.clock.advanceUntil(() => site.cloud.calls.launch === 1, 60_000);
  site.cloud.failNext('launch', { times: 40 });
  const run = await site.ended(id);
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'ambiguous']);
  await site.clock.advance(60_000);
  assertAsItWas(site);
  assert.equal(site.cloud.snapshot().instances.length, 4);
});

/** The cloud whose next reading of the group, after the first call of the operation, still shows what was before it. */
function lagging(site: Site, operation: 'attach' | 'detach' | 'terminateInGroup'): Cloud {
  let before: readonly GroupState[] | null = null;
  let stale = false;
  return new Proxy<Cloud>(site.cloud, {
    get(target, key) {
      if (key === operation) {
        return (group: GroupName, id: string): Promise<unknown> => {
          stale = site.cloud.calls[operation] === 0;
          return target[operation](group, id);
        };
      }
      if (key === 'groupsNamed') {
        return async (where: CloudPlace, names: readonly string[]): Promise<readonly GroupState[]> => {
          const old = stale ? before : null;
          stale = false;
          before = await target.groupsNamed(where, names);
          return old ?? before;
        };
      }
      const member: unknown = Reflect.get(target, key, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

for (const [operation, terminating] of [
  ['attach', false],
  ['detach', false],
  ['terminateInGroup', true],
] as const) {
  test(`a lost answer of ${operation}, and a reading that lags behind it, cause no second effect`, async () => {
    const site = new Site({ spec: { hooks: { launching: false, terminating } } });
    await site.process({ cloud: lagging(site, operation) });
    site.cloud.loseAnswer(operation);
    const run = await site.ended(await site.order(site.member(0)));
    assert.equal(run.state, 'succeeded', run.error?.message);
    await site.clock.advance(300_000);
    assert.equal(site.cloud.calls[operation], 2, 'it was sent again, and refused');
    assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
    assert.deepEqual(site.leftBehind(), []);
    assert.equal(site.cloud.snapshot().instances.length, 4);
  });
}
