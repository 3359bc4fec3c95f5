import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asFailure } from '../../../../src/base/failure.ts';
import { ManualClock } from '../../../../src/base/manual-clock.ts';
import { type Asking, createPace, type Pace, type Service } from '../../../../src/cloud/aws/pace.ts';

const asking = (service: Service, operation: string): Asking => ({ service, operation });
const GROUPS = asking('autoscaling', 'DescribeAutoScalingGroups');
const ATTACH = asking('autoscaling', 'AttachInstances');
const LAUNCH = asking('ec2', 'RunInstances');

/** Asks `count` times and tells, whenever called, how many have had their turn. */
function ask(pace: Pace, request: Asking, count: number): () => number {
  let sent = 0;
  for (let n = 0; n < count; n++)
    void pace.turn(request).then(
      () => sent++,
      () => undefined,
    );
  return () => sent;
}

const PUBLISHED: readonly { request: Asking; burst: number; perSecond: number; what: string }[] = [
  { what: 'launches', request: LAUNCH, burst: 2, perSecond: 1 },
  { what: 'fleets', request: asking('ec2', 'CreateFleet'), burst: 25, perSecond: 2.5 },
  { what: 'terminations', request: asking('ec2', 'TerminateInstances'), burst: 50, perSecond: 2.5 },
  { what: 'tags of machines', request: asking('ec2', 'CreateTags'), burst: 50, perSecond: 5 },
  { what: 'looks at machines', request: asking('ec2', 'DescribeInstances'), burst: 50, perSecond: 10 },
  { what: 'looks at groups', request: GROUPS, burst: 25, perSecond: 10 },
  {
    what: 'looks at targets',
    request: asking('elasticloadbalancingv2', 'DescribeTargetHealth'),
    burst: 20,
    perSecond: 5,
  },
];

for (const { what, request, burst, perSecond } of PUBLISHED) {
  test(`pitfall 21: of ${what}, ${burst} go at once and ${perSecond} a second, half of what AWS allows`, async () => {
    const clock = new ManualClock();
    const sent = ask(createPace(clock), request, 200);
    await clock.advance(0);
    assert.equal(sent(), burst);
    // Nobody waits for longer than 10 s.
    await clock.advance(9000);
    const more = sent() - burst;
    // RunInstances' half bucket holds two and a half.
    assert.ok(Math.abs(more - 9 * perSecond) <= 0.5 || more === 200 - burst, `${more} in 9 s`);
  });
}

test('a bucket that was not used for a while is full again, and no fuller', async () => {
  const clock = new ManualClock();
  const pace = createPace(clock);
  ask(pace, GROUPS, 25);
  await clock.advance(3_600_000);
  const sent = ask(pace, GROUPS, 100);
  await clock.advance(0);
  assert.equal(sent(), 25);
});

test('what changes a group goes before what reads, however long that has waited: they share one bucket', async () => {
  const clock = new ManualClock();
  const pace = createPace(clock);
  const reads = ask(pace, GROUPS, 100);
  await clock.advance(1000);
  const before = reads();
  const writes = ask(pace, ATTACH, 5);
  await clock.advance(500);
  assert.deepEqual([writes(), reads() - before], [5, 0]);
  await clock.advance(500);
  assert.equal(reads() - before, 5);
});

test('within a kind the order is that of asking', async () => {
  const clock = new ManualClock();
  const pace = createPace(clock);
  const order: number[] = [];
  for (let n = 0; n < 40; n++) void pace.turn(ATTACH).then(() => order.push(n));
  await clock.advance(5000);
  assert.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
  );
  assert.equal(order.length, 40);
});

test('actions of EC2 do not wait for each other: polls cannot hold up a launch', async () => {
  const clock = new ManualClock();
  const pace = createPace(clock);
  ask(pace, asking('ec2', 'DescribeInstances'), 1000);
  const launched = ask(pace, LAUNCH, 1);
  await clock.advance(0);
  assert.equal(launched(), 1);
});

test('who would have to wait for too long is told to come again, and takes no token', async () => {
  const clock = new ManualClock();
  const pace = createPace(clock);
  const outcomes = Array.from({ length: 40 }, () =>
    pace.turn(LAUNCH).then(
      () => 'sent',
      (thrown: unknown) => `${asFailure(thrown).code} ${asFailure(thrown).disposition}`,
    ),
  );
  await clock.advance(10_000);
  const told = Map.groupBy(await Promise.all(outcomes), (outcome) => outcome);
  assert.deepEqual(
    [...told].map(([outcome, all]) => [outcome, all.length]),
    [
      ['sent', 12],
      ['throttled retry', 28],
    ],
  );
  const next = ask(pace, LAUNCH, 1);
  await clock.advance(1000);
  assert.equal(next(), 1);
});

test('a clock that is set back neither fills nor empties a bucket', async () => {
  let now = 10_000;
  const pace = createPace({ now: () => now, after: () => ({ cancel: () => undefined }) });
  const first = ask(pace, GROUPS, 24);
  now = 0;
  const second = ask(pace, GROUPS, 5);
  await Promise.resolve();
  assert.deepEqual([first(), second()], [24, 1]);
});
