import assert from 'node:assert/strict';

import { DescribeInstancesCommand, EC2Client, type Instance as Machine } from '@aws-sdk/client-ec2';

import { systemClock } from '../../../src/base/clock.ts';
import { type GroupName, groupKey } from '../../../src/base/group-name.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { createAwsCloud } from '../../../src/cloud/aws/aws-cloud.ts';
import type { Cloud, GroupDetail } from '../../../src/cloud/cloud.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { type AwsProxy, startAwsProxy } from './aws-proxy.ts';
import { type Coppice, startCoppice } from './coppice.ts';
import { eventually } from './eventually.ts';
import { startMoto } from './moto.ts';
import { type GroupWish, seedMoto } from './seed.ts';

/** The whole daemon in front of moto behind the proxy, with groups to swap in. */
export interface SwapHouse {
  readonly proxy: AwsProxy;
  /** Goes to moto past the proxy: for what a person would do meanwhile, and for looking. */
  readonly cloud: Cloud;
  group(name: string): GroupName;
  /** Fires the alert that asks for a swap of the group's first member. */
  ask(group: GroupName): Promise<AskedSwap>;
  /** Waits for the end of the group's run. */
  over(group: GroupName): Promise<EndedRun>;
  /** Every machine that was ever launched for a swap of the group, terminated ones included. */
  launchedFor(group: GroupName): Promise<readonly Machine[]>;
  stop(): Promise<void>;
}

export interface AskedSwap {
  readonly before: GroupDetail;
  readonly old: string;
}

export interface EndedRun {
  readonly state: string;
  readonly error: { readonly reason: string } | null;
}

export interface HouseOptions {
  readonly rules: string;
  /** Name of the alert that the rules wait for. */
  readonly alert: string;
  readonly templateGroups: readonly GroupWish[];
  readonly configurationGroups: readonly GroupWish[];
}

/** What AWS takes some seconds for takes part of one here. */
const LAGS = { pendingMs: 300, joiningMs: 300, detachingMs: 300, terminatingMs: 300 };
/** Retries after throttling take some seconds, polling with backoff as many; the machine may be busy. */
const SWAP_MS = 60_000;
const LIVE = ['pending', 'running', 'recovering'];

/** Starts everything; the groups are there before the daemon, which then knows them from its start. */
export async function startSwapHouse(options: HouseOptions): Promise<SwapHouse> {
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).toReversed()) await one();
  };
  const own = async <T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
    const started = await starting;
    stops.push(() => started.stop());
    return started;
  };
  try {
    const moto = await own(startMoto());
    Object.assign(process.env, moto.env);
    const seed = await seedMoto(moto);
    const proxy = await own(startAwsProxy({ moto, zones: seed.zones, lags: LAGS }));
    const groups = [
      ...(await inOrder(options.templateGroups, (wish) => seed.createTemplateGroup(wish))),
      ...(await inOrder(options.configurationGroups, (wish) => seed.createConfigurationGroup(wish))),
    ];
    const coppice = await own(
      startCoppice({
        rules: { 'rules.yaml': options.rules },
        settings: { cloud: 'aws', 'aws.regions': seed.region },
        env: proxy.env,
      }),
    );
    await eventually('Coppice knows the groups', SWAP_MS, () => knows(coppice, groups.length));
    const cloud = createAwsCloud({
      regions: [seed.region],
      endpoint: moto.endpoint,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      metrics: createMetrics(),
    });
    const ec2 = new EC2Client({ region: seed.region, endpoint: moto.endpoint });
    return {
      proxy,
      cloud,
      group: (name) => groupAmong(groups, name),
      ask: (group) => ask({ cloud, coppice, alert: options.alert }, group),
      over: (group) => over(coppice, group),
      launchedFor: (group) => launchedFor(ec2, group),
      stop,
    };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

async function inOrder(
  wishes: readonly GroupWish[],
  create: (wish: GroupWish) => Promise<GroupName>,
): Promise<readonly GroupName[]> {
  const made: GroupName[] = [];
  for (const wish of wishes) made.push(await create(wish));
  return made;
}

function groupAmong(groups: readonly GroupName[], name: string): GroupName {
  const found = groups.find((group) => group.name === name);
  assert.ok(found !== undefined, `no group ${name}`);
  return found;
}

async function knows(coppice: Coppice, count: number): Promise<true | undefined> {
  const { items } = (await coppice.get('/api/v1/groups')) as { readonly items: readonly unknown[] };
  return items.length >= count ? true : undefined;
}

async function ask(
  { cloud, coppice, alert }: { readonly cloud: Cloud; readonly coppice: Coppice; readonly alert: string },
  group: GroupName,
): Promise<AskedSwap> {
  const before = await cloud.groupInDetail(group);
  const old = before.members[0]?.instanceId;
  assert.ok(old !== undefined);
  const startsAt = new Date().toISOString();
  const response = await fetch(`${coppice.url}/api/v2/alerts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([{ labels: { alertname: alert, instance_id: old }, annotations: {}, startsAt }]),
  });
  assert.ok(response.ok, `the alert was answered ${response.status}`);
  await response.body?.cancel();
  return { before, old };
}

async function over(coppice: Coppice, { name }: GroupName): Promise<EndedRun> {
  try {
    const { id } = await eventually(`the run of ${name} is over`, SWAP_MS, async () => {
      const answer = await coppice.get(`/api/v1/runs?group=${encodeURIComponent(name)}`);
      const [run] = (answer as { readonly items: readonly { id: string; state: string }[] }).items;
      return run === undefined || LIVE.includes(run.state) ? undefined : run;
    });
    return (await coppice.get(`/api/v1/runs/${id}`)) as EndedRun;
  } catch (cause) {
    throw new Error(`Coppice wrote:\n${coppice.output()}`, { cause });
  }
}

async function launchedFor(ec2: EC2Client, group: GroupName): Promise<readonly Machine[]> {
  const Filters = [{ Name: 'tag:coppice:group', Values: [groupKey(group)] }];
  const { Reservations } = await ec2.send(new DescribeInstancesCommand({ Filters }));
  return (Reservations ?? []).flatMap(({ Instances }) => Instances ?? []);
}
