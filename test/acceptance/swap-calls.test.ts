import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallRecord } from '../../src/cloud/simulated/call-book.ts';
import { type GroupSpec, group, instances, template } from '../../src/cloud/simulated/world.ts';
import { Site, WEB, WRITES } from './swap-site.ts';

/** The mutating calls of docs/swap.md, "Cost in calls". */
const CALLS = [
  ...['tagGroup', 'suspend', 'launchFleet', 'attach', 'protect', 'detach', 'terminate'],
  ...['protect', 'resume', 'tagGroup'],
];
/** A template that leaves the purchase option to whoever launches: only from such a one fleets are launched. */
const PLAIN: Partial<GroupSpec> = { launch: template('m5.large') };
/** It boots, warms up and drains for minutes. */
const SLOW: Partial<GroupSpec> = {
  ...PLAIN,
  targetGroups: ['arn:a'],
  healthCheckGraceSeconds: 300,
  deregistrationSeconds: 540,
};

const WORLDS: readonly { readonly of: string; readonly spec: Partial<GroupSpec>; readonly looks: number }[] =
  [
    { of: 'a healthy group', spec: PLAIN, looks: 5 },
    { of: 'a group that takes many minutes over everything', spec: SLOW, looks: 60 },
  ];

for (const { of, spec, looks } of WORLDS) {
  test(`a swap of ${of} makes the mutating calls of swap.md in their order, none twice and none per poll`, async () => {
    const site = new Site({ spec, launchVia: 'auto' });
    await site.process();
    const run = await site.ended(await site.order(site.member(0)));
    assert.equal(run.state, 'succeeded');
    assert.deepEqual(site.writes(), CALLS);
    const writes = site.cloud.history.filter(({ operation }) => WRITES.includes(operation));
    assert.equal(
      new Set(writes.map(({ operation, args }) => JSON.stringify([operation, args]))).size,
      CALLS.length,
    );
    const { groupsNamed, instances: machines } = site.cloud.calls;
    assert.ok(groupsNamed + machines > looks, `${groupsNamed + machines} looks`);
  });
}

/** Swaps one instance of each of so many groups, all ordered at once; the calls of the port that read. */
async function looksOf(groups: number): Promise<readonly CallRecord[]> {
  const others = Array.from({ length: groups - 1 }, (_, n) =>
    group(`g${n}`, {
      ...PLAIN,
      max: 8,
      instances: [instances('m5.large', 'eu-west-1a', 4, { purchaseOption: 'spot' })],
    }),
  );
  const site = new Site({ spec: PLAIN, others, concurrency: groups, launchVia: 'auto' });
  await site.process();
  const runs: string[] = [];
  for (const { name, members } of site.cloud.snapshot().groups) {
    runs.push(await site.order(members[0]?.instanceId ?? '', {}, { ...WEB, name }));
  }
  for (const run of runs) assert.equal((await site.ended(run)).state, 'succeeded');
  return site.cloud.history.filter(
    ({ operation }) => operation === 'groupsNamed' || operation === 'instances',
  );
}

/** The most calls of one method in one second. */
function busiestSecond(calls: readonly CallRecord[]): number {
  const seconds = Map.groupBy(calls, ({ at, operation }) => `${Math.floor(at / 1000)} ${operation}`);
  return Math.max(...[...seconds.values()].map((second) => second.length));
}

test('twenty swaps in twenty groups look no more often in a second than one does', async () => {
  const [one, twenty] = [await looksOf(1), await looksOf(20)];
  assert.ok(
    busiestSecond(twenty) <= busiestSecond(one),
    `${busiestSecond(twenty)} against ${busiestSecond(one)}`,
  );
  assert.ok(twenty.length < 4 * one.length, `${twenty.length} looks in all against ${one.length}`);
});
