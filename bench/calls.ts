import { type Clock, sleep } from '../src/base/clock.ts';
import { ManualClock } from '../src/base/manual-clock.ts';
import { seededRandom } from '../src/base/random.ts';
import type { Cloud } from '../src/cloud/cloud.ts';
import type { CallRecord, CloudOperation } from '../src/cloud/simulated/call-book.ts';
import { requestsOf } from '../src/cloud/simulated/request-cost.ts';
import { DEFAULT_ACCOUNT } from '../src/cloud/simulated/world.ts';
import type { Figure } from './main.ts';
import { startSite } from './site.ts';

/** The mutating calls of a healthy spot swap, in order (docs/swap.md, "Cost in calls"). */
const NEEDED: readonly CloudOperation[] = [
  ...(['tagGroup', 'suspend', 'launchFleet', 'attach', 'protect', 'detach', 'terminate'] as const),
  ...(['protect', 'resume', 'tagGroup'] as const),
];
const MANY = 50;
/** Once the plans are made, which takes the daemon a moment of virtual time; ms. */
const PLANNED_MS = 1000;
const LIMIT_MS = 1_800_000;
/** How long answers take: launches and everything else; ms. About what AWS takes, so that runs do not stay in step. */
const LAUNCH_MS = [800, 2300] as const;
const OTHER_MS = [60, 460] as const;
/** Virtual time between two looks of the bench; ms. */
const STEP_MS = 50;
/** For how many plans that begin together the AWS adapter sends one request (docs/aws.md, "What it costs in requests"). */
const GROUPS_MERGED = 100;
const SOURCES_MERGED = 50;

/** (f) What one healthy spot swap writes, and what fifty at once read; all in virtual time, with answers that take theirs. */
export async function callsOfSwaps(): Promise<readonly Figure[]> {
  return [await writesOfOne(), ...(await readsOfMany())];
}

async function writesOfOne(): Promise<Figure> {
  const { calls } = await swapAll(1);
  const writes = calls.filter((call) => !isRead(call));
  const order = writes.map(({ operation }) => operation);
  const twice =
    writes.length - new Set(writes.map(({ operation, args }) => JSON.stringify([operation, args]))).size;
  const known = String(order) === String(NEEDED) ? 'as documented' : `documented: ${NEEDED.join(', ')}`;
  return {
    what: '(f) mutating calls of one healthy spot swap',
    value: writes.length,
    unit: '',
    aim: { atMost: NEEDED.length },
    detail: `${order.join(', ')} (${known}); ${twice} came twice`,
  };
}

async function readsOfMany(): Promise<readonly Figure[]> {
  const { calls, bad, beganAt, endedAt } = await swapAll(MANY);
  const reads = readsOf(calls);
  const seconds = (endedAt - beganAt) / 1000;
  const planning = reads.filter(({ at }) => at < beganAt + PLANNED_MS);
  const later = reads.filter(({ at }) => at >= beganAt + PLANNED_MS);
  const busiest = [...Map.groupBy(later, ({ at }) => Math.floor((at - beganAt) / 1000)).values()].toSorted(
    (a, b) => b.length - a.length,
  );
  const what = `(f) describe requests a second, ${MANY} swaps at once in ${MANY} groups`;
  return [
    {
      what: `${what}, mean`,
      value: reads.length / seconds,
      unit: '',
      aim: { atMost: 4 },
      detail: `${reads.length} in ${seconds.toFixed(0)} s, ${bad} swaps failed; ${tally(reads)}`,
    },
    {
      what: '    the busiest second after the plans',
      value: busiest[0]?.length ?? 0,
      unit: '',
      aim: { atMost: 4 },
      detail: `then ${busiest
        .slice(1, 6)
        .map((second) => second.length)
        .join(' ')}; the second of the plans has ${planning.length}: ${tally(planning)}`,
    },
  ];
}

/** One request that reads; `what` is the method of the port and the action of AWS. */
interface Read {
  readonly at: number;
  readonly what: string;
}

/** The requests that read, as the AWS adapter sends them: what plans ask at the same moment is merged. */
function readsOf(calls: readonly CallRecord[]): readonly Read[] {
  const places = [{ account: DEFAULT_ACCOUNT, region: 'eu-west-1', groups: MANY }];
  const each = calls.flatMap(({ at, operation, args }) =>
    requestsOf(operation, args, places)
      .filter(({ reads }) => reads)
      .map(({ action }) => ({ at, operation, action })),
  );
  const together = Map.groupBy(each, ({ at, operation, action }) => `${at} ${operation} ${action}`);
  return [...together.values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined) return [];
    return same
      .slice(0, Math.ceil(same.length / mergedSize(first)))
      .map(({ at, operation, action }) => ({ at, what: `${operation}/${action}` }));
  });
}

function mergedSize(read: Pick<CallRecord, 'operation'> & { readonly action: string }): number {
  if (read.operation === 'launchSource') return SOURCES_MERGED;
  return read.operation === 'groupInDetail' && read.action === 'DescribeAutoScalingGroups'
    ? GROUPS_MERGED
    : 1;
}

/** The cloud with answers that come later than their requests took effect. */
function slowly(simulated: Cloud, clock: Clock): Cloud {
  const random = seededRandom(5);
  return new Proxy(simulated, {
    get(cloud, name) {
      const method: unknown = Reflect.get(cloud, name);
      if (typeof method !== 'function') return method;
      const [least, most] = name === 'launch' || name === 'launchFleet' ? LAUNCH_MS : OTHER_MS;
      return async (...args: readonly unknown[]): Promise<unknown> => {
        const later = sleep(clock, least + (most - least) * random.next());
        const [answer] = await Promise.all([Reflect.apply(method, cloud, args) as unknown, later]);
        return answer;
      };
    },
  });
}

/** Swaps one instance in each of so many groups, all at once, and tells the calls from the alert to the last end. */
async function swapAll(groups: number): Promise<{
  readonly calls: readonly CallRecord[];
  readonly bad: number;
  readonly beganAt: number;
  readonly endedAt: number;
}> {
  const clock = new ManualClock();
  const site = await startSite({
    ...{ clock, groups, tick: () => clock.advance(1) },
    watched: (cloud) => slowly(cloud, clock),
  });
  // By then the daemon has read its groups, and its loops are in their stride.
  await clock.advance(60_000);
  const beganAt = clock.now();
  await site.alert(...site.firsts);
  while (site.ended().all < groups && clock.now() - beganAt < LIMIT_MS) await clock.advance(STEP_MS);
  const endedAt = clock.now();
  const calls = site.cloud.history.filter(({ at }) => at >= beganAt);
  await site.stop();
  const { all, bad } = site.ended();
  return { calls, bad: bad + groups - all, beganAt, endedAt };
}

function isRead({ operation, args }: CallRecord): boolean {
  return requestsOf(operation, args, []).every(({ reads }) => reads);
}

function tally(reads: readonly Read[]): string {
  return [...Map.groupBy(reads, ({ what }) => what)].map(([what, all]) => `${what} ${all.length}`).join(', ');
}
