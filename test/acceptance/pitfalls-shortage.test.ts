import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, sleep } from '../../src/base/clock.ts';
import { type Market, marketName } from '../../src/base/market.ts';
import type { Cloud, LaunchRequest } from '../../src/cloud/cloud.ts';
import type { SimulatedCloud } from '../../src/cloud/simulated/simulated-cloud.ts';
import { group, instances } from '../../src/cloud/simulated/world.ts';
import type { PolicySpec } from '../../src/engine/policy.ts';
import { oursOn, swappedOn } from './pitfall-watch.ts';
import { LENIENT, Site, WEB } from './swap-site.ts';

const MINUTE = 60_000;
/** One market to go to; with it dry there is none. */
const ONE: readonly PolicySpec[] = [
  { ...LENIENT, instanceTypes: { allow: ['m5.large', 'm6i.large'] }, swap: { fallbackToOnDemand: false } },
];
const DRY: Market = { type: 'm6i.large', zone: 'eu-west-1a', purchaseOption: 'spot' };

/** How many launches were sent. */
function launchesOn({ cloud }: { readonly cloud: SimulatedCloud }): number {
  return cloud.calls.launch + cloud.calls.launchFleet;
}

test('pitfall 22 shortage-forgotten-too-soon: a dry market costs one launch, then none for 3 minutes, then one and none for 6', async () => {
  const site = new Site({ policies: ONE });
  site.cloud.byHand.setCapacity(DRY, 0);
  await site.process();
  /** Launches that one more swap costs. Urgent: the group rests after failures, and this is about the market. */
  const cost = async (): Promise<number> => {
    const before = launchesOn(site);
    const run = await site.ended(await site.order(site.member(0), { urgent: true }));
    assert.notEqual(run.state, 'succeeded');
    return launchesOn(site) - before;
  };
  assert.equal(await cost(), 1);
  assert.equal(await cost(), 0, 'at once');
  await site.clock.advance(4 * MINUTE);
  assert.equal(await cost(), 1, 'one probe after three minutes');
  await site.clock.advance(4 * MINUTE);
  assert.equal(await cost(), 0, 'the second time it is avoided for longer');
  await site.clock.advance(3 * MINUTE);
  assert.equal(await cost(), 1, 'one probe after six minutes');
});

test('pitfall 22 shortage-forgotten-too-soon: a market that serves again is trusted again', async () => {
  const site = new Site({ policies: ONE });
  site.cloud.byHand.setCapacity(DRY, 0);
  await site.process();
  await site.ended(await site.order(site.member(0), { urgent: true }));
  site.cloud.byHand.setCapacity(DRY, null);
  await site.clock.advance(4 * MINUTE);
  for (const position of [0, 0]) {
    const run = await site.ended(await site.order(site.member(position), { urgent: true }));
    assert.equal(run.state, 'succeeded', run.error?.message);
  }
  assert.equal(site.markets()['m6i.large/eu-west-1a/spot'], 2);
});

test('pitfall 22 shortage-forgotten-too-soon: of many swaps that want the market again, one finds out for all', async () => {
  const names = ['one', 'two', 'three', 'four'];
  const groups = names.map((name) =>
    group(name, { instances: [instances('m5.large', 'eu-west-1a', 2, { purchaseOption: 'spot' })] }),
  );
  // The price alone ranks, so that the dry market comes first for all of them.
  const policies = [
    {
      ...LENIENT,
      weights: { cost: 1, stability: 0, diversity: 0 },
      instanceTypes: { allow: ['m5.large', 'm6i.large', 'm6a.large'] },
    },
  ];
  const site = new Site({ others: groups, policies, concurrency: 8 });
  const { cloud, clock } = site;
  const asked: string[] = [];
  await site.process({
    cloud: slowly(cloud, clock, (request) => void asked.push(marketName(request.market))),
  });
  const plan = (await site.ended(await site.order(site.member(0), { urgent: true }))).steps[0]?.detail;
  const dry = (plan as { order: readonly Market[] }).order[0];
  assert.ok(dry !== undefined);
  cloud.byHand.setCapacity(dry, 0);
  await site.ended(await site.order(site.member(1), { urgent: true }));
  await clock.advance(4 * MINUTE);
  asked.length = 0;
  const ids: string[] = [];
  for (const { name, members } of cloud.snapshot().groups) {
    const [first] = members;
    if (name === 'web' || first === undefined) continue;
    ids.push(await site.order(first.instanceId, { urgent: true }, { ...WEB, name }));
  }
  for (const id of ids) assert.equal((await site.ended(id)).state, 'succeeded');
  assert.equal(asked.filter((market) => market === marketName(dry)).length, 1, asked.join(' '));
});

/** The cloud, whose launches take a while, so that many are under way together. */
function slowly(cloud: Cloud, clock: Clock, asked: (request: LaunchRequest) => void): Cloud {
  return new Proxy(cloud, {
    get: (target, name) =>
      name === 'launch'
        ? async (request: LaunchRequest) => {
            asked(request);
            await sleep(clock, 5_000);
            return target.launch(request);
          }
        : bound(target, name),
  });
}

function bound(target: Cloud, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name);
  return typeof value === 'function' ? value.bind(target) : value;
}

test('pitfall 26 no-on-demand-fallback: without spot capacity an urgent swap still ends with a full group', async () => {
  const site = new Site({
    policies: [{ ...LENIENT, instanceTypes: { allow: ['m5.large', 'm6i.large'] } }],
  });
  site.cloud.byHand.setCapacity(DRY, 0);
  const { run } = await swappedOn(site, { urgent: true });
  assert.equal(run.state, 'succeeded', run.error?.message);
  assert.equal(oursOn(site)[0]?.purchaseOption, 'on-demand');
});

test('pitfall 26 no-on-demand-fallback: the way back to spot goes one at a time, no more often than every five minutes', async () => {
  // No cooldown is said: what holds is the one that is on unless a policy turns it off.
  const { cooldownMs: _, ...careful } = LENIENT;
  const site = new Site({
    spec: { instances: [instances('m5.large', 'eu-west-1a', 4)] },
    policies: [careful],
  });
  const olds = [0, 1, 2].map((position) => site.member(position));
  await site.process();
  const began: number[] = [];
  for (const old of olds) {
    for (;;) {
      const at = site.clock.now();
      const run = await site.ended(await site.order(old, { to: 'spot' }));
      if (run.state === 'succeeded') {
        began.push(at);
        break;
      }
      assert.equal(run.error?.reason, 'policy_cooldown');
      await site.clock.advance(10_000);
    }
  }
  const [first = 0, second = 0, third = 0] = began;
  assert.ok(second - first >= 5 * MINUTE - 10_000 && third - second >= 5 * MINUTE - 10_000, began.join());
  assert.equal(site.markets()['m5.large/eu-west-1a/on-demand'], 1);
});
