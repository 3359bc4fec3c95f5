import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Launched } from '../../src/actions/asg/swap-details.ts';
import { fencedCloud } from '../../src/actions/fenced-cloud.ts';
import type { Run } from '../../src/actions/run.ts';
import { type Market, marketName } from '../../src/base/market.ts';
import type { Cloud, FleetRequest } from '../../src/cloud/cloud.ts';
import { classify } from '../../src/cloud/fault.ts';
import {
  configuration,
  type GroupSpec,
  group,
  type InstancesSpec,
  instances,
  template,
  world,
} from '../../src/cloud/simulated/world.ts';
import type { PolicySpec } from '../../src/engine/policy.ts';
import { began, daemon, over, RULES } from './daemon.ts';
import { Fuse } from './swap-fuse.ts';
import { LENIENT, type Process, Site, type SiteOptions, WEB } from './swap-site.ts';

const TYPES = ['m6i.large', 'm5a.large', 'm7i.large'] as const;
const MARKETS = TYPES.map(spot);
/** Only three types may come, so that a test can take their capacity away. */
const FEW: readonly PolicySpec[] = [{ ...LENIENT, instanceTypes: { allow: ['m5.large', ...TYPES] } }];
/** A template that leaves the purchase option to whoever launches: only from such a one fleets are launched. */
const PLAIN: Partial<GroupSpec> = { launch: template('m5.large') };
const OPTIONS: SiteOptions = { spec: PLAIN, policies: FEW, launchVia: 'auto' };

function spot(type: string): Market {
  return { type, zone: 'eu-west-1a', purchaseOption: 'spot' };
}

async function started(
  rest: Partial<SiteOptions> = {},
): Promise<{ site: Site; old: string; process: Process }> {
  const site = new Site({ ...OPTIONS, ...rest });
  return { site, old: site.member(0), process: await site.process() };
}

function dry(site: Site, markets: readonly Market[] = MARKETS): void {
  for (const market of markets) site.cloud.byHand.setCapacity(market, 0);
}

/** The fleets that were asked for. */
function fleets({ cloud }: Pick<Site, 'cloud'>): readonly FleetRequest[] {
  return cloud.history
    .filter(({ operation }) => operation === 'launchFleet')
    .map(({ args }) => args[0] as FleetRequest);
}

function launchOf(run: Run): Launched {
  const detail: unknown = run.steps.find(({ name }) => name === 'launch')?.detail;
  return detail as Launched;
}

/** What was tried, in short, e.g. `fleet of 3 failed`, `m6i.large/eu-west-1a/spot launched`. */
function tried(run: Run): readonly string[] {
  return launchOf(run).attempts.map((attempt) => {
    const what = 'markets' in attempt ? `fleet of ${attempt.markets.length}` : marketName(attempt.market);
    return `${what} ${attempt.state}`;
  });
}

function avoided({ memory }: Process): readonly string[] {
  return MARKETS.filter((market) => memory.unavailableUntil(marketName(market)) !== null).map(
    ({ type }) => type,
  );
}

/** How many machines were ever launched for Coppice, by what is left of them. */
function ours({ cloud }: Site): number {
  return cloud.snapshot().instances.filter(({ tags }) => 'coppice:run' in tags).length;
}

/** One replacement serves in place of the old one, and nothing else is left of the swap. */
async function assertSwapped(site: Site, run: Run, old: string): Promise<void> {
  assert.equal(run.state, 'succeeded', run.error?.message);
  await site.clock.advance(300_000);
  const { desired, members } = site.web();
  assert.deepEqual([desired, members.length, ours(site)], [4, 4, 1]);
  assert.ok(!members.some(({ instanceId }) => instanceId === old));
  assert.equal(site.cloud.snapshot().instances.length, 4);
  assert.deepEqual(site.leftBehind(), []);
}

test('a spot replacement is one fleet over every candidate, in one request', async () => {
  const { site, old, process } = await started();
  const [machine] = await site.cloud.instances(WEB, [old]);
  const run = await site.ended(await site.order(old));
  assert.deepEqual(site.writes(), [
    ...['tagGroup', 'suspend', 'launchFleet', 'attach', 'protect', 'detach', 'terminate'],
    ...['protect', 'resume', 'tagGroup'],
  ]);
  assert.deepEqual(tried(run), ['fleet of 3 launched']);
  const [request] = fleets(site);
  assert.ok(request !== undefined);
  assert.deepEqual(request.markets.map(marketName).toSorted(), MARKETS.map(marketName).toSorted());
  assert.equal(request.subnet, machine?.subnet);
  const served = launchOf(run).market;
  assert.equal(site.markets()[served ?? ''], 1);
  assert.deepEqual(avoided(process), []);
  await assertSwapped(site, run, old);
});

test('what a fleet says of dry markets is remembered, and the next fleet leaves them out', async () => {
  const { site, old, process } = await started();
  dry(site, [spot('m6i.large')]);
  const run = await site.ended(await site.order(old));
  assert.equal(run.state, 'succeeded');
  assert.deepEqual(avoided(process), ['m6i.large']);
  await site.ended(await site.order(site.member(1)));
  const offered = fleets(site).map(({ markets }) => markets.some(({ type }) => type === 'm6i.large'));
  assert.deepEqual(offered, [true, false]);
});

test('a market that served is remembered no more', async () => {
  const { site, old, process } = await started();
  dry(site);
  await site.ended(await site.order(old));
  assert.equal(avoided(process).length, 3);
  await site.clock.advance(200_000);
  for (const market of MARKETS) site.cloud.byHand.setCapacity(market, null);
  const run = await site.ended(await site.order(old));
  assert.equal(run.state, 'succeeded');
  dry(site);
  const at = site.clock.now();
  await site.ended(await site.order(site.member(0)));
  const until = process.memory.unavailableUntil(launchOf(run).market ?? '') ?? 0;
  assert.ok(until - at < 300_000, 'three minutes again, not six');
});

test('a fleet without any capacity makes every market avoided and goes on to on-demand, where that is allowed', async () => {
  const { site, old, process } = await started();
  dry(site);
  const run = await site.ended(await site.order(old, { fallbackToOnDemand: true }));
  assert.deepEqual(tried(run).slice(0, 1), ['fleet of 3 failed']);
  assert.match(tried(run)[1] ?? '', /\/on-demand launched$/);
  assert.deepEqual([site.cloud.calls.launchFleet, site.cloud.calls.launch], [1, 1]);
  assert.deepEqual(avoided(process), [...TYPES]);
  await assertSwapped(site, run, old);
});

test('a fleet without any capacity gives everything back where on-demand is not allowed, and says what each market said', async () => {
  const { site, old } = await started({ spec: { ...PLAIN, max: 4 } });
  dry(site);
  const run = await site.ended(await site.order(old));
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'market_unavailable']);
  const message = run.error?.message ?? '';
  for (const market of MARKETS) assert.ok(message.includes(`${marketName(market)}: market_unavailable`));
  assert.deepEqual([site.cloud.calls.launchFleet, site.cloud.calls.launch], [1, 0]);
  assert.deepEqual(site.leftBehind(), []);
  assert.ok(site.web().members.some(({ instanceId }) => instanceId === old));
});

test('pitfall 23: a spot quota in a fleet goes on to on-demand and says nothing of the markets', async () => {
  const { site, old, process } = await started({ rest: { vcpuQuota: { spot: 8, 'on-demand': null } } });
  const run = await site.ended(await site.order(old, { urgent: true }));
  assert.deepEqual(tried(run).slice(0, 1), ['fleet of 3 failed']);
  assert.match(tried(run)[1] ?? '', /\/on-demand launched$/);
  assert.deepEqual(avoided(process), []);
  await assertSwapped(site, run, old);
});

test('a fleet whose answer is lost is settled by the very same request, and launches one instance', async () => {
  const { site, old } = await started();
  site.cloud.loseAnswer('launchFleet');
  const run = await site.ended(await site.order(old));
  const [first, second, ...more] = fleets(site);
  assert.deepEqual(second, first);
  assert.deepEqual([more.length, tried(run)], [0, ['fleet of 3 launched']]);
  await assertSwapped(site, run, old);
});

test('a fleet whose answer is lost for longer than the launch may take is found and terminated', async () => {
  const { site, old } = await started();
  site.cloud.loseAnswer('launchFleet', 40);
  const run = await site.ended(await site.order(old));
  assert.equal(run.state, 'rolled_back');
  await site.clock.advance(300_000);
  assert.equal(new Set(fleets(site).map(({ token }) => token)).size, 1);
  assert.deepEqual([ours(site), site.leftBehind()], [0, []]);
});

test('a process that is lost between a fleet and its record leaves one instance, which the next one takes over', async () => {
  const site = new Site(OPTIONS);
  const old = site.member(0);
  const whole = new Fuse();
  const rehearsal = new Site(OPTIONS);
  await rehearsal.process({ store: whole.store(rehearsal), cloud: whole.cloud(rehearsal) });
  await rehearsal.ended(await rehearsal.order(old));
  const fuse = new Fuse({ at: whole.writes.indexOf('cloud.launchFleet') + 1, when: 'after' });
  await site.process({ store: fuse.store(site), cloud: fuse.cloud(site) });
  const id = await site.order(old);
  await site.clock.advanceUntil(() => fuse.lost, 600_000);
  assert.equal(ours(site), 1);
  await site.process();
  const run = await site.ended(id);
  const [first, second] = fleets(site);
  assert.deepEqual(second, first);
  await assertSwapped(site, run, old);
});

test('a fleet whose instance died before its answer came goes on with its markets one by one', async () => {
  const { site, old } = await started();
  site.cloud.loseAnswer('launchFleet');
  const id = await site.order(old);
  await site.clock.advanceUntil(() => ours(site) === 1, 300_000);
  const lost = site.cloud.snapshot().instances.find(({ tags }) => 'coppice:run' in tags);
  site.cloud.byHand.terminate(lost?.id ?? '');
  const run = await site.ended(id);
  const [first, second] = tried(run);
  assert.equal(first, 'fleet of 3 failed');
  assert.match(second ?? '', /\/spot launched$/);
  await assertSwapped(site, run, old);
});

for (const fault of [
  { code: 'UnauthorizedOperation', status: 403 },
  { code: 'InvalidFleetConfig', status: 400 },
  { code: 'UnfulfillableCapacity', status: 400 },
]) {
  test(`a fleet that is refused as a whole (${fault.code}) says nothing of its markets, which come one by one`, async () => {
    const { site, old, process } = await started();
    site.cloud.failNext('launchFleet', fault);
    const run = await site.ended(await site.order(old));
    const [first, second] = tried(run);
    assert.equal(first, 'fleet of 3 failed');
    assert.match(second ?? '', /\/spot launched$/);
    assert.deepEqual([site.cloud.calls.launchFleet, site.cloud.calls.launch], [1, 1]);
    assert.deepEqual(avoided(process), []);
    await assertSwapped(site, run, old);
  });
}

test('a launch that is denied in either way fails with that', async () => {
  const { site, old } = await started();
  const denied = { code: 'UnauthorizedOperation', status: 403 };
  site.cloud.failNext('launchFleet', denied);
  site.cloud.failNext('launch', denied);
  const run = await site.ended(await site.order(old));
  assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'denied']);
  assert.deepEqual([ours(site), site.leftBehind()], [0, []]);
});

/** A cloud whose first fleet is told this error of every market; and when that was. */
function sayingOnce({ cloud, clock }: Site, code: string): { readonly cloud: Cloud; saidAt: number | null } {
  const saying = {
    saidAt: null as number | null,
    cloud: {
      ...fencedCloud(cloud, () => true),
      launchFleet(request: FleetRequest) {
        if (saying.saidAt !== null) return cloud.launchFleet(request);
        saying.saidAt = clock.now();
        const failure = classify({ operation: 'CreateFleet', code, message: 'told so', status: 400 });
        const failures = request.markets.map((market) => ({ market, failure }));
        return Promise.resolve({ launched: null, failures });
      },
    },
  };
  return saying;
}

test('markets that are only throttled are offered again, after a pause and with another token', async () => {
  const site = new Site(OPTIONS);
  const old = site.member(0);
  const saying = sayingOnce(site, 'RequestLimitExceeded');
  const process = await site.process({ cloud: saying.cloud });
  const run = await site.ended(await site.order(old, { fallbackToOnDemand: true }));
  assert.deepEqual(tried(run), ['fleet of 3 failed', 'fleet of 3 launched']);
  assert.deepEqual(avoided(process), []);
  const again = site.cloud.history.find(({ operation }) => operation === 'launchFleet')?.at ?? 0;
  assert.ok(saying.saidAt !== null && again - saying.saidAt >= 500);
  await assertSwapped(site, run, old);
});

test('a fleet that is denied its instances, and told so market by market, is as one refused as a whole', async () => {
  const site = new Site(OPTIONS);
  const old = site.member(0);
  await site.process({ cloud: sayingOnce(site, 'UnauthorizedOperation').cloud });
  const run = await site.ended(await site.order(old));
  assert.equal(tried(run)[0], 'fleet of 3 failed');
  assert.match(tried(run)[1] ?? '', /\/spot launched$/);
  await assertSwapped(site, run, old);
});

test('a fleet keeps the market share: a market at its cap is not offered, whatever AWS would make of it', async () => {
  const spotOf = (type: string, count: number): InstancesSpec =>
    instances(type, 'eu-west-1a', count, { purchaseOption: 'spot' });
  const { site, old } = await started({
    policies: FEW.map((policy) => ({ ...policy, diversity: { maxMarketShare: 0.25 } })),
    spec: { ...PLAIN, instances: [spotOf('m5.large', 3), spotOf('m6i.large', 1)] },
  });
  // AWS would take the market that has plenty.
  for (const type of ['m5a.large', 'm7i.large']) site.cloud.byHand.setCapacity(spot(type), 1);
  const run = await site.ended(await site.order(old));
  const [request] = fleets(site);
  assert.deepEqual(request?.markets.map(({ type }) => type).toSorted(), ['m5a.large', 'm7i.large']);
  assert.equal(site.markets()['m6i.large/eu-west-1a/spot'], 1);
  await assertSwapped(site, run, old);
});

const ONE_BY_ONE: readonly (readonly [rule: string, Partial<SiteOptions>])[] = [
  ['fleets are ruled out', { launchVia: 'run-instances' }],
  [
    'the group has a launch configuration',
    { spec: { launch: configuration('m5.large') }, launchVia: 'fleet' },
  ],
  [
    'the template asks for spot itself',
    { spec: { launch: template('m5.large', { spot: true }) }, launchVia: 'fleet' },
  ],
  [
    'a single market is left to choose from',
    { policies: [{ ...LENIENT, instanceTypes: { allow: ['m5.large', 'm6i.large'] } }] },
  ],
];
for (const [rule, rest] of ONE_BY_ONE) {
  test(`launches go one by one where ${rule}`, async () => {
    const { site, old } = await started(rest);
    const run = await site.ended(await site.order(old));
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.deepEqual([site.cloud.calls.launchFleet, site.cloud.calls.launch], [0, 1]);
  });
}

test('launches go one by one on demand, and by a fleet of one market where fleets are asked for', async () => {
  const { site, old } = await started({
    launchVia: 'fleet',
    policies: [{ ...LENIENT, instanceTypes: { allow: ['m5.large', 'm6i.large'] } }],
  });
  await site.ended(await site.order(old, { to: 'on-demand' }));
  assert.deepEqual([site.cloud.calls.launchFleet, site.cloud.calls.launch], [0, 1]);
  const run = await site.ended(await site.order(site.member(0)));
  assert.deepEqual(tried(run), ['fleet of 1 launched']);
});

test('the daemon launches fleets where nothing else is set, and a dry run shows the one that it would ask for', async (t) => {
  const members = instances('m5.large', 'eu-west-1a', 4, { purchaseOption: 'spot' });
  const site = await daemon(t, RULES, world([group('web', { ...PLAIN, instances: [members] })]));
  const [old = ''] = site.members;
  const { json } = await site.post('/api/v1/runs', { instance: old, to: 'spot', dryRun: true });
  const [shown] = json['requests'] as FleetRequest[];
  assert.ok(shown !== undefined && shown.markets.length > 1);
  assert.equal(site.cloud.calls.launchFleet, 0);
  await site.until(await began(site, old), over);
  assert.deepEqual([site.cloud.calls.launchFleet, site.cloud.calls.launch], [1, 0]);
  assert.deepEqual(fleets(site)[0]?.markets, shown.markets);
});
