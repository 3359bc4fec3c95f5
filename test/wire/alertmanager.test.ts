import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { systemClock } from '../../src/base/clock.ts';
import type { GroupName } from '../../src/base/group-name.ts';
import { systemRandom } from '../../src/base/random.ts';
import { createAwsCloud } from '../../src/cloud/aws/aws-cloud.ts';
import type { Cloud, GroupDetail } from '../../src/cloud/cloud.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type Alertmanager, startAlertmanager } from './support/alertmanager.ts';
import { type Coppice, startCoppice } from './support/coppice.ts';
import { eventually } from './support/eventually.ts';
import { type Moto, startMoto } from './support/moto.ts';
import { skipWithout } from './support/program.ts';
import { type Seed, seedMoto } from './support/seed.ts';

const RULES = `
rules:
  - name: replace-terminating-spot
    on: { alert: SpotTerminationNotice }
    cooldown: { for: 1m, per: [instance] }
    then:
      - swap: { to: auto, terminate: true, urgent: true }
policies:
  - name: enabled-groups
    groups: { tags: { coppice-enabled: "true" } }
    instanceTypes: { allow: ["m5.*", "m5a.*", "m6i.*"], vcpus: 1x..2x, memory: 1x..2x }
`;

/** A swap against an emulator takes some seconds; most of it is polling with backoff. */
const SWAP_MS = 90_000;
/** Several rounds of the Alertmanager's group and repeat intervals. */
const NOTIFY_MS = 30_000;

interface House {
  readonly moto: Moto;
  readonly seed: Seed;
  readonly cloud: Cloud;
  readonly coppice: Coppice;
  /** Two of a highly available pair that cannot see each other: each notifies everything. */
  readonly alertmanagers: readonly [Alertmanager, Alertmanager];
}

describe('Alertmanager -> Coppice -> AWS', {
  skip: skipWithout('moto_server', 'prometheus-alertmanager'),
}, () => {
  const stops: (() => Promise<void>)[] = [];
  let started: House | undefined;
  const house = (): House => {
    assert.ok(started !== undefined);
    return started;
  };

  before(async () => {
    const own = async <T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
      const child = await starting;
      stops.unshift(() => child.stop());
      return child;
    };
    const moto = await own(startMoto());
    Object.assign(process.env, moto.env);
    const seed = await seedMoto(moto);
    const coppice = await own(
      startCoppice({
        rules: { 'rules.yaml': RULES },
        settings: { cloud: 'aws', 'aws.regions': seed.region },
        env: moto.env,
      }),
    );
    const webhookUrls = [`${coppice.url}/api/v1/webhook/alertmanager`];
    const first = await own(startAlertmanager({ webhookUrls }));
    const second = await own(startAlertmanager({ webhookUrls }));
    const cloud = createAwsCloud({
      regions: [seed.region],
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      metrics: createMetrics(),
    });
    started = { moto, seed, cloud, coppice, alertmanagers: [first, second] };
  });

  after(async () => {
    for (const stop of stops) await stop();
  });

  test('a termination notice swaps a member of a group with a launch template', async () => {
    const { seed } = house();
    await swapsOnce(house(), await seed.createTemplateGroup(full('web-template')));
  });

  test('a termination notice swaps a member of a group with a launch configuration', async () => {
    const { seed } = house();
    await swapsOnce(house(), await seed.createConfigurationGroup(full('web-configuration')));
  });
});

/** At its maximum, so that the swap has to raise it and to give it back. */
function full(name: string): { name: string; instances: number; min: number; max: number } {
  return { name, instances: 2, min: 1, max: 2 };
}

/** One swap for one alert, however often and by whomever it is notified; afterwards the group is as it was. */
async function swapsOnce(house: House, group: GroupName): Promise<void> {
  const { cloud, alertmanagers, coppice } = house;
  await cloud.suspend(group, ['AlarmNotification']);
  const before = await cloud.groupInDetail(group);
  const old = before.members[0]?.instanceId;
  assert.ok(old !== undefined);
  await knows(coppice, group);

  const alert = {
    labels: { alertname: 'SpotTerminationNotice', instance_id: old },
    startsAt: new Date(),
  };
  const [first, second] = alertmanagers;
  await first.post([alert]);
  const swapped = await eventually(`${old} is replaced`, SWAP_MS, async () => {
    const now = await cloud.groupInDetail(group);
    return isOver(now, old) ? now : undefined;
  }).catch((cause: unknown) => {
    throw new Error(`no swap; Coppice wrote:\n${coppice.output()}`, { cause });
  });
  await assertAsBefore(house, before, swapped);

  await notifiedAgain(first);
  await second.post([alert]);
  await notifiedAgain(second);
  await idle(coppice, group);
  const settled = await cloud.groupInDetail(group);
  assert.deepEqual(idsOf(settled), idsOf(swapped));
  await assertAsBefore(house, before, settled);
  const runs = await runsOf(coppice, group);
  assert.equal(runs.filter(({ state }) => state === 'succeeded').length, 1);
}

function isOver(group: GroupDetail, old: string): boolean {
  const held = group.tags.some(({ key }) => key === 'coppice:hold');
  return !held && group.members.length === group.desired && !idsOf(group).includes(old);
}

async function assertAsBefore({ cloud }: House, before: GroupDetail, now: GroupDetail): Promise<void> {
  assert.deepEqual([now.min, now.desired, now.max], [before.min, before.desired, before.max]);
  assert.deepEqual(now.suspendedProcesses, before.suspendedProcesses);
  assert.deepEqual(now.tags, before.tags);
  const launched = (await cloud.instancesTagged('coppice:run')).filter(
    ({ tags }) => tags['coppice:group']?.endsWith(`/${now.group.name}`) === true,
  );
  assert.equal(launched.length, 1);
  const [replacement] = launched;
  assert.ok(replacement !== undefined && idsOf(now).includes(replacement.id));
  assert.equal(replacement.tags['team'], 'web');
  assert.equal(idsOf(before).filter((id) => idsOf(now).includes(id)).length, before.members.length - 1);
}

function idsOf(group: GroupDetail): readonly string[] {
  return group.members.map(({ instanceId }) => instanceId).toSorted();
}

/** Two more notifications than now have been acknowledged, and none was refused. */
async function notifiedAgain(alertmanager: Alertmanager): Promise<void> {
  const { sent } = await alertmanager.notifications();
  await eventually('the alert is notified again', NOTIFY_MS, async () =>
    (await alertmanager.notifications()).sent >= sent + 2 ? true : undefined,
  );
  assert.equal((await alertmanager.notifications()).failed, 0);
}

/** The daemon reads the groups now and then: a new one is not there at once. */
async function knows(coppice: Coppice, { name }: GroupName): Promise<void> {
  await eventually(`Coppice knows group ${name}`, SWAP_MS, async () => {
    const { items } = (await coppice.get('/api/v1/groups')) as { items: readonly { name: string }[] };
    return JSON.stringify(items).includes(`"${name}"`) ? true : undefined;
  });
}

interface RunAnswer {
  readonly state: string;
}

async function runsOf(coppice: Coppice, { name }: GroupName): Promise<readonly RunAnswer[]> {
  const answer = await coppice.get(`/api/v1/runs?group=${encodeURIComponent(name)}`);
  return (answer as { readonly items: readonly RunAnswer[] }).items;
}

async function idle(coppice: Coppice, group: GroupName): Promise<void> {
  const live = ['pending', 'running', 'recovering'];
  await eventually('no run is under way', SWAP_MS, async () =>
    (await runsOf(coppice, group)).some(({ state }) => live.includes(state)) ? undefined : true,
  );
}
