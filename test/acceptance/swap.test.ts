import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Run } from '../../src/actions/run.ts';
import type { GroupSpec } from '../../src/cloud/simulated/world.ts';
import { configuration, instances, mixed, template } from '../../src/cloud/simulated/world.ts';
import type { PolicySpec } from '../../src/engine/policy.ts';
import type { SwapSpec } from '../../src/engine/rule.ts';
import { LENIENT, Site, type SiteOptions, stepsOf } from './swap-site.ts';

/** Orders one swap of the first member and lets it end. */
async function swapped(
  options: SiteOptions,
  swap: Partial<SwapSpec> = {},
): Promise<{ site: Site; run: Run; old: string }> {
  const site = new Site(options);
  const old = site.member(0);
  await site.process();
  const run = await site.ended(await site.order(old, swap));
  return { site, run, old };
}

/** The table of candidates that the run shows. */
function shown(run: Run): { market: string; rejected: { code: string } | null }[] {
  const detail = run.steps[0]?.detail as { plan?: { candidates: [] } } | undefined;
  return detail?.plan?.candidates ?? [];
}

/** swap.md, "Cost in calls", in the order in which the steps make them. */
const CALLS = [
  ...['tagGroup', 'suspend', 'launch', 'attach', 'protect', 'detach', 'terminate'],
  ...['protect', 'resume', 'tagGroup'],
];

const HEALTHY: readonly { name: string; spec: Partial<GroupSpec>; calls: readonly string[] }[] = [
  { name: 'a launch template', spec: { launch: template('m5.large', { spot: true }) }, calls: CALLS },
  { name: 'a launch configuration', spec: { launch: configuration('m5.large') }, calls: CALLS },
  {
    name: 'target groups with a slow application',
    spec: { targetGroups: ['arn:a', 'arn:b'], loadBalancers: ['classic'], healthCheckGraceSeconds: 60 },
    calls: CALLS,
  },
  {
    name: 'a terminating hook, which a detach would pass by',
    spec: { hooks: { launching: false, terminating: true } },
    calls: CALLS.filter((call) => call !== 'terminate').map((call) =>
      call === 'detach' ? 'terminateInGroup' : call,
    ),
  },
  {
    name: 'no room below its maximum',
    spec: { max: 4 },
    calls: [
      ...['tagGroup', 'suspend', 'resize', 'launch', 'attach', 'protect', 'detach', 'terminate'],
      ...['protect', 'resume', 'resize', 'tagGroup'],
    ],
  },
  {
    name: 'minimum, desired and maximum all the same',
    spec: { min: 4, max: 4 },
    calls: [
      ...['tagGroup', 'suspend', 'resize', 'launch', 'attach', 'protect', 'detach', 'terminate'],
      ...['protect', 'resume', 'resize', 'tagGroup'],
    ],
  },
  {
    name: 'AZRebalance suspended by a person',
    spec: { suspendedProcesses: ['AZRebalance', 'ScheduledActions'] },
    calls: CALLS.filter((call) => call !== 'suspend' && call !== 'resume'),
  },
  {
    name: 'new instances protected from scale-in anyway',
    spec: { newInstancesProtected: true },
    calls: CALLS.filter((call) => call !== 'protect'),
  },
];

for (const { name, spec, calls } of HEALTHY) {
  test(`a swap in a group with ${name} succeeds with exactly the calls it needs and leaves nothing behind`, async () => {
    const { site, run, old } = await swapped({ spec });
    assert.equal(run.error, null);
    assert.equal(run.state, 'succeeded');
    assert.deepEqual(site.writes(), calls);
    assert.deepEqual(site.leftBehind(), []);
    assert.deepEqual([site.web().desired, site.web().members.length], [4, 4]);
    assert.equal(site.markets()['m5.large/eu-west-1a/spot'], 3);
    assert.equal(site.runs(old), false);
    assert.deepEqual(site.web().suspendedProcesses, [...(spec.suspendedProcesses ?? [])].sort());
  });
}

test('the maximum is raised by one while the swap goes on, and never more', async () => {
  const site = new Site({ spec: { max: 4 } });
  await site.process();
  const id = await site.order(site.member(0));
  const seen = new Set<number>();
  for (let second = 0; second < 240; second++) {
    await site.clock.advance(1000);
    seen.add(site.web().max);
  }
  assert.equal((await site.ended(id)).state, 'succeeded');
  assert.deepEqual([...seen].sort(), [4, 5]);
  assert.equal(site.web().max, 4);
});

test('capacity in service never falls below desired while an instance is swapped', async () => {
  const site = new Site({ spec: { targetGroups: ['arn:a'] } });
  await site.process();
  const id = await site.order(site.member(0));
  for (let second = 0; second < 300; second++) {
    await site.clock.advance(1000);
    const serving = site.web().members.filter(({ lifecycleState }) => lifecycleState === 'InService');
    assert.ok(serving.length >= 4, `second ${second}: ${serving.length} in service`);
  }
  assert.equal((await site.ended(id)).state, 'succeeded');
});

test('the old instance is detached and left running when it is not to be terminated', async () => {
  const { site, run, old } = await swapped({}, { terminate: false });
  assert.equal(run.state, 'succeeded');
  assert.ok(stepsOf(run).includes('terminate-old skipped'));
  assert.ok(site.runs(old));
  assert.ok(!site.web().members.some(({ instanceId }) => instanceId === old));
  assert.deepEqual(site.leftBehind(), []);
});

test('an instance that is to be left running is detached even where a terminating hook exists', async () => {
  const { site, run, old } = await swapped(
    { spec: { hooks: { launching: false, terminating: true } } },
    { terminate: false },
  );
  assert.equal(run.state, 'succeeded');
  assert.equal(site.cloud.calls.terminateInGroup, 0);
  assert.ok(site.runs(old));
});

test('the replacement carries what the group propagates and what the janitor needs, and replaces one id', async () => {
  const tags = [
    { key: 'service', value: 'web', propagates: true },
    { key: 'owner', value: 'team', propagates: false },
  ];
  const { site, run, old } = await swapped({ spec: { tags } });
  const ours = site.cloud.snapshot().instances.filter((machine) => 'coppice:run' in machine.tags);
  assert.equal(ours.length, 1);
  const { 'aws:autoscaling:groupName': _, ...rest } = ours[0]?.tags ?? {};
  assert.deepEqual(rest, {
    service: 'web',
    'coppice:run': run.id,
    'coppice:group': '123456789012/eu-west-1/web',
    'coppice:replaces': old,
    'managed-by': 'coppice',
  });
});

test('an instance that has been replaced is not swapped again', async () => {
  const { site, old } = await swapped({}, { terminate: false });
  const again = await site.ended(await site.order(old));
  assert.deepEqual([again.state, again.error?.reason], ['failed', 'already_replaced']);
});

test('market by market: four swaps to spot spread a group over markets that differ', async () => {
  const policies = [{ ...LENIENT, diversity: { maxMarketShare: 0.25 } }];
  const site = new Site({ policies });
  await site.process();
  const [first, second, third] = [site.member(0), site.member(1), site.member(2)];
  for (const old of [first, second, third]) {
    const run = await site.ended(await site.order(old));
    assert.equal(run.state, 'succeeded', run.error?.message);
  }
  assert.deepEqual(Object.values(site.markets()), [1, 1, 1, 1]);
});

interface Refused {
  readonly rule: string;
  readonly reason: string;
  readonly options: SiteOptions;
  readonly swap?: Partial<SwapSpec>;
}

const policy = (limits: Partial<PolicySpec>): readonly PolicySpec[] => [{ ...LENIENT, ...limits }];

const REFUSED: readonly Refused[] = [
  { rule: 'a group being deleted', reason: 'group_deleting', options: { spec: { deleting: true } } },
  { rule: 'another operator', reason: 'group_operated_elsewhere', options: { spec: { operator: 'eks' } } },
  {
    rule: 'Launch suspended, since nothing could be attached',
    reason: 'launch_suspended',
    options: { spec: { suspendedProcesses: ['Launch'] } },
  },
  {
    rule: 'an instance refresh under way',
    reason: 'instance_refresh_active',
    options: { spec: { instanceRefreshActive: true } },
  },
  { rule: 'a warm pool', reason: 'warm_pool', options: { spec: { warmPool: true } } },
  { rule: 'weighted capacity', reason: 'weighted_capacity', options: { spec: { weighted: true } } },
  {
    rule: 'pitfall 14: a launching hook',
    reason: 'launching_hook',
    options: { spec: { hooks: { launching: true, terminating: false } } },
  },
  {
    rule: 'no room, where the maximum is not to be raised',
    reason: 'no_headroom',
    options: { spec: { max: 4 } },
    swap: { headroom: 'refuse' },
  },
  {
    rule: 'a protected instance',
    reason: 'instance_protected',
    options: { spec: { instances: [instances('m5.large', 'eu-west-1a', 4, { protected: true })] } },
  },
  {
    rule: 'pitfall 13: a mixed group that would undo the result',
    reason: 'mixed_instances_mismatch',
    options: {
      spec: {
        launch: mixed('m5.large', { onDemandBase: 0, onDemandPercentageAboveBase: 0, types: [] }),
        instances: [instances('m5.large', 'eu-west-1a', 4, { purchaseOption: 'spot' })],
      },
    },
    swap: { to: 'on-demand' },
  },
  {
    rule: 'the on-demand floor',
    reason: 'policy_floor',
    options: {
      spec: { instances: [instances('m5.large', 'eu-west-1a', 4)] },
      policies: policy({ onDemand: { base: 4, shareAboveBase: 0 } }),
    },
  },
  { rule: 'a pause', reason: 'policy_paused', options: { policies: policy({ paused: true }) } },
  {
    rule: 'a voluntary swap while too few are in service',
    reason: 'policy_min_healthy',
    options: { spec: { desired: 6 }, policies: policy({ minHealthy: 0.9 }) },
  },
  {
    rule: 'an instance that is too young',
    reason: 'policy_min_age',
    options: {
      spec: { instances: [instances('m5.large', 'eu-west-1a', 4, { ageSeconds: 60 })] },
      policies: policy({ minInstanceAgeMs: 900_000 }),
    },
  },
  {
    rule: 'every market being above the share that one may have',
    reason: 'policy_market_share',
    options: {
      spec: {
        instances: [
          instances('m5.large', 'eu-west-1a', 1, { purchaseOption: 'spot' }),
          instances('m6i.large', 'eu-west-1a', 3, { purchaseOption: 'spot' }),
        ],
      },
      policies: policy({
        diversity: { maxMarketShare: 0.25 },
        instanceTypes: { allow: ['m5.large', 'm6i.large'] },
      }),
    },
  },
  {
    rule: 'no market left that fits',
    reason: 'no_candidate',
    options: { policies: policy({ instanceTypes: { deny: ['*'] } }) },
  },
  { rule: 'no policy', reason: 'group_not_managed', options: { policies: [] } },
];

for (const { rule, reason, options, swap } of REFUSED) {
  test(`a swap is refused, and nothing is touched, because of ${rule}`, async () => {
    const { site, run } = await swapped(options, swap);
    assert.deepEqual([run.state, run.error?.reason], ['failed', reason]);
    assert.deepEqual(stepsOf(run), ['plan failed']);
    assert.deepEqual(site.writes(), []);
    assert.deepEqual((await site.store.swapsSince(0)).length, 0, 'a refused swap counts for no budget');
  });
}

test('a refusal shows the markets that were looked at, each with its reason', async () => {
  const { run } = await swapped({ policies: policy({ instanceTypes: { allow: ['m5.large'] } }) });
  assert.equal(run.error?.reason, 'no_candidate');
  assert.equal(
    shown(run).find(({ market }) => market === 'm5.large/eu-west-1a/spot')?.rejected?.code,
    'same_market',
  );
});

test('Coppice never swaps the instance that it runs on', async () => {
  const probe = new Site();
  const { run } = await swapped({ ownInstance: probe.member(0) });
  assert.equal(run.error?.reason, 'own_instance');
});

test('an instance that is a member of no group is not swapped', async () => {
  const site = new Site();
  await site.process();
  const run = await site.ended(await site.order('i-0123456789abcdef0'));
  assert.equal(run.error?.reason, 'instance_not_in_group');
});

test('auto goes to on-demand while the floor is not met, and to spot once it is', async () => {
  const site = new Site({ policies: policy({ onDemand: { base: 1, shareAboveBase: 0 } }) });
  await site.process();
  const [first, second] = [site.member(0), site.member(1)];
  await site.ended(await site.order(first, { to: 'auto' }));
  const onDemand = Object.keys(site.markets()).filter((name) => name.endsWith('/on-demand'));
  assert.equal(onDemand.length, 1);
  await site.ended(await site.order(second, { to: 'auto' }));
  const after = Object.entries(site.markets()).filter(([name]) => name.endsWith('/on-demand'));
  assert.deepEqual(
    after.map(([, count]) => count),
    [1],
  );
});

test('the cooldown counts from the swap before, and only voluntary swaps are bound by it', async () => {
  const site = new Site({ policies: policy({ cooldownMs: 3_600_000 }) });
  await site.process();
  const [first, second, third] = [site.member(0), site.member(1), site.member(2)];
  assert.equal((await site.ended(await site.order(first))).state, 'succeeded');
  assert.equal((await site.ended(await site.order(second))).error?.reason, 'policy_cooldown');
  assert.equal((await site.ended(await site.order(second, { urgent: true }))).state, 'succeeded');
  await site.clock.advance(3_600_000);
  assert.equal((await site.ended(await site.order(third))).state, 'succeeded');
});

test('the budget is checked again under the lock: two swaps that were decided together are not both done', async () => {
  const site = new Site({
    policies: policy({ budgets: [{ swaps: { kind: 'count', value: 1 }, perMs: 3_600_000 }] }),
  });
  await site.process();
  const orders = [await site.order(site.member(0)), await site.order(site.member(1))];
  const runs = [await site.ended(orders[0] ?? ''), await site.ended(orders[1] ?? '')];
  assert.deepEqual(
    runs.map((run) => run.error?.reason ?? run.state),
    ['succeeded', 'policy_budget'],
  );
});
