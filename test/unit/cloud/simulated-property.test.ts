import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SimulatedCloud } from '../../../src/cloud/simulated/simulated-cloud.ts';
import { type GroupSpec, mixed, template } from '../../../src/cloud/simulated/world.ts';
import { cloudWithWeb, MINUTE, PLACE, request, SPOT, WEB } from './fixture.ts';

type Act = (cloud: SimulatedCloud, pick: number) => Promise<unknown>;

/** Some instance that lives, member or not; the same pick means the same one while nothing changes. */
function someone(cloud: SimulatedCloud, pick: number): string {
  const { instances } = cloud.snapshot();
  return instances[pick % Math.max(1, instances.length)]?.id ?? 'i-nobody';
}

const ZONES = ['eu-west-1a', 'eu-west-1b', 'eu-west-1c'] as const;
const PROCESSES = [
  'Launch',
  'Terminate',
  'HealthCheck',
  'ReplaceUnhealthy',
  'AZRebalance',
  'InstanceRefresh',
] as const;
const process = (pick: number): readonly string[] => [PROCESSES[pick % PROCESSES.length] ?? 'Launch'];

/** Everything that can be asked of a cloud, and what other people do to it. */
const ACTS: Readonly<Record<string, Act>> = {
  launch: async (cloud, pick) =>
    cloud.launch(
      await request(cloud, { token: `t${pick % 7}`, market: { ...SPOT, zone: ZONES[pick % 3] ?? ZONES[0] } }),
    ),
  attach: (cloud, pick) => cloud.attach(WEB, someone(cloud, pick)),
  detach: (cloud, pick) => cloud.detach(WEB, someone(cloud, pick)),
  terminateInGroup: (cloud, pick) => cloud.terminateInGroup(WEB, someone(cloud, pick)),
  terminate: (cloud, pick) => cloud.terminate(PLACE, someone(cloud, pick)),
  protect: (cloud, pick) => cloud.protect(WEB, someone(cloud, pick), pick % 2 === 0),
  suspend: (cloud, pick) => cloud.suspend(WEB, process(pick)),
  resume: (cloud, pick) => cloud.resume(WEB, process(pick)),
  resize: (cloud, pick) => cloud.resize(WEB, pick % 2 === 0 ? { max: pick % 9 } : { min: pick % 5 }),
  desire: async (cloud, pick) => cloud.byHand.setSizes('web', { desired: pick % 9 }),
  interrupt: async (cloud, pick) => cloud.byHand.interrupt(someone(cloud, pick)),
  startRefresh: async (cloud) => cloud.byHand.startInstanceRefresh('web'),
  cancelRefresh: async (cloud) => cloud.byHand.cancelInstanceRefresh('web'),
  stop: async (cloud, pick) => cloud.byHand.stop(someone(cloud, pick)),
  capacity: async (cloud, pick) =>
    cloud.byHand.setCapacity({ ...SPOT, type: 'm5.large', purchaseOption: 'on-demand' }, pick % 3),
};

const steps = fc.array(
  fc.record({
    act: fc.constantFrom(...Object.keys(ACTS)),
    pick: fc.nat(1000),
    waitMs: fc.constantFrom(0, 0, 3000, 20_000, 2 * MINUTE, 90 * MINUTE),
  }),
  { maxLength: 60 },
);

/** Groups that only keep their number, and those that act for more than that. */
const specs: fc.Arbitrary<Partial<Omit<GroupSpec, 'name'>>> = fc.record({
  rebalances: fc.boolean(),
  launch: fc.constantFrom(
    ...[undefined, 0, 30, 100].map((onDemandPercentageAboveBase) =>
      onDemandPercentageAboveBase === undefined
        ? template('m5.large')
        : mixed('m5.large', { onDemandBase: 1, onDemandPercentageAboveBase, types: [] }),
    ),
  ),
});

const worlds = fc.record({
  readLagMs: fc.constantFrom(0, 15_000),
  throttling: fc.boolean(),
  autoScalingRate: fc.constant({ burst: 10, perSecond: 1 }),
});

/** What must hold of any cloud at any time. */
function check(cloud: SimulatedCloud): void {
  const { groups, instances } = cloud.snapshot();
  for (const group of groups) {
    assert.ok(group.min >= 0 && group.min <= group.desired && group.desired <= group.max, 'sizes in order');
    const members = group.members.map(({ instanceId }) => instanceId);
    assert.equal(new Set(members).size, members.length, 'no member twice');
    const attached = instances.filter((instance) => instance.group === group.key).map(({ id }) => id);
    assert.deepEqual(
      attached.filter((id) => !members.includes(id)),
      [],
      'who says to be a member is one',
    );
    const strays = instances.filter(({ id, group: owner }) => members.includes(id) && owner !== group.key);
    assert.deepEqual(strays, [], 'a member knows its group');
  }
}

/** The members that the group counts against its desired capacity. */
function capacity(cloud: SimulatedCloud): number {
  const [web] = cloud.snapshot().groups;
  return (web?.members ?? []).filter(
    ({ lifecycleState }) => !/^(?:Terminating|Detaching)/.test(lifecycleState),
  ).length;
}

/** How many members the fullest zone is ahead of the emptiest. */
function unevenness(cloud: SimulatedCloud): number {
  const members = cloud.snapshot().groups[0]?.members ?? [];
  const fills = ZONES.map((name) => members.filter(({ zone }) => zone === name).length);
  return Math.max(...fills) - Math.min(...fills);
}

/** How far the number of on-demand members is from what the group's policy wants; 0 where it has none. */
function onDemandOff(cloud: SimulatedCloud, { launch }: Partial<Omit<GroupSpec, 'name'>>): number {
  if (launch?.kind !== 'mixed') return 0;
  const [web] = cloud.snapshot().groups;
  assert.ok(web !== undefined);
  const { onDemandBase, onDemandPercentageAboveBase: percentage } = launch.mixed;
  const base = Math.min(onDemandBase, web.desired);
  const wanted = base + Math.ceil((percentage / 100) * (web.desired - base));
  return web.members.filter(({ purchaseOption }) => purchaseOption === 'on-demand').length - wanted;
}

test('whatever is asked of it in whatever order, a cloud stays whole, and a refusal changes nothing', async () => {
  await fc.assert(
    fc.asyncProperty(steps, specs, worlds, async (plan, spec, rest) => {
      const { cloud, clock } = cloudWithWeb(spec, rest);
      for (const { act, pick, waitMs } of plan) {
        const before = cloud.snapshot();
        const refused = await ACTS[act]?.(cloud, pick).then(
          () => false,
          () => true,
        );
        if (refused === true) assert.deepEqual(cloud.snapshot(), before, `${act} was refused`);
        check(cloud);
        await clock.advance(waitMs);
        check(cloud);
      }
    }),
    { numRuns: 150 },
  );
});

test('left in peace, a group finds back to as many healthy members as it wants', async () => {
  await fc.assert(
    fc.asyncProperty(steps, specs, async (plan, spec) => {
      const { cloud, clock } = cloudWithWeb(spec);
      for (const { act, pick, waitMs } of plan) {
        await ACTS[act]?.(cloud, pick).catch(() => undefined);
        await clock.advance(waitMs);
      }
      await cloud.resume(WEB, PROCESSES);
      for (const zone of ZONES) {
        cloud.byHand.setCapacity({ type: 'm5.large', zone, purchaseOption: 'on-demand' }, null);
      }
      for (const { instanceId } of cloud.snapshot().groups[0]?.members ?? []) {
        await cloud.protect(WEB, instanceId, false).catch(() => undefined);
      }
      await clock.advance(2 * 60 * MINUTE);
      const [web] = cloud.snapshot().groups;
      assert.equal(capacity(cloud), web?.desired);
      const strays = web?.members.filter(
        ({ lifecycleState, healthStatus }) => lifecycleState !== 'InService' || healthStatus !== 'Healthy',
      );
      assert.deepEqual(strays, []);
      assert.equal((await cloud.groupInDetail(WEB)).instanceRefreshActive, false);
      if (spec.rebalances === true) assert.ok(unevenness(cloud) <= 1, 'zones are balanced');
      assert.equal(onDemandOff(cloud, spec), 0, 'the mix is what the policy wants');
      const settled = cloud.snapshot();
      await clock.advance(60 * MINUTE);
      assert.deepEqual({ ...cloud.snapshot(), at: 0 }, { ...settled, at: 0 }, 'and it rests');
    }),
    { numRuns: 100 },
  );
});
