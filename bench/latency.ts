import { setTimeout as wait } from 'node:timers/promises';
import { systemClock } from '../src/base/clock.ts';
import type { Cloud } from '../src/cloud/cloud.ts';
import type { SimulatedCloud } from '../src/cloud/simulated/simulated-cloud.ts';
import type { Figure } from './main.ts';
import { startSite } from './site.ts';

const GROUPS = 100;
/** Each with a daemon, a cloud and a state file of its own: a group is busy for long after its launch. */
const ROUNDS = 4;
/** Between two alerts, ms; so that most find earlier swaps still under way, as in a storm of interruptions. */
const GAP_MS = 40;

/** (g) From the post of an alert to its launch request at the port of the cloud, on the real clock and a real file. */
export async function alertToLaunch(): Promise<readonly Figure[]> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) times.push(...(await oneRound()));
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
  const missing = GROUPS * ROUNDS - times.length;
  const detail = [0.5, 0.9, 1].map((share) => `p${share * 100} ${at(share).toFixed(0)} ms`).join(', ');
  return [
    {
      what: `(g) alert to launch request, ${GROUPS} groups known, p99`,
      value: at(0.99),
      unit: ' ms',
      aim: { atMost: 150 },
      detail: `${detail}; ${times.length} alerts, ${missing} without a launch`,
    },
  ];
}

/** One alert about each group, one after the other. */
async function oneRound(): Promise<readonly number[]> {
  const launched = new Map<string, number>();
  const site = await startSite({
    clock: systemClock,
    groups: GROUPS,
    watched: (cloud) => watchingLaunches(cloud, (group) => launched.set(group, performance.now())),
  });
  const posted = new Map<string, number>();
  try {
    for (const { name, members } of site.cloud.snapshot().groups) {
      posted.set(name, performance.now());
      await site.alert(members[0]?.instanceId ?? '');
      await wait(GAP_MS);
    }
    for (let turn = 0; launched.size < GROUPS && turn < 500; turn++) await wait(10);
  } finally {
    await site.stop();
  }
  return [...launched].map(([name, at]) => at - (posted.get(name) ?? at));
}

function watchingLaunches(simulated: SimulatedCloud, launching: (group: string) => void): Cloud {
  const cloud: Cloud = simulated;
  const { launch, launchFleet } = cloud;
  cloud.launch = (request) => {
    launching(request.group.name);
    return launch.call(cloud, request);
  };
  cloud.launchFleet = (request) => {
    launching(request.group.name);
    return launchFleet.call(cloud, request);
  };
  return cloud;
}
