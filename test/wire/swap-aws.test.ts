import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { type GroupName, groupKey } from '../../src/base/group-name.ts';
import type { GroupDetail } from '../../src/cloud/cloud.ts';
import type { AwsError } from './support/aws-proxy/answer.ts';
import type { FaultKind } from './support/aws-proxy/faults.ts';
import type { AskedMarket } from './support/aws-proxy/launches.ts';
import { eventually } from './support/eventually.ts';
import { skipWithout } from './support/program.ts';
import type { GroupWish } from './support/seed.ts';
import { type AskedSwap, type SwapHouse, startSwapHouse } from './support/swap-house.ts';

const RULES = `
rules:
  - name: replace-terminating-spot
    on: { alert: SpotTerminationNotice }
    cooldown: { for: 1m, per: [instance] }
    then:
      - swap: { to: spot, urgent: true }
policies:
  - name: enabled-groups
    groups: { tags: { coppice-enabled: "true" } }
    instanceTypes: { allow: ["m5.*", "m6i.*"], vcpus: 1x..2x, memory: 1x..2x }
`;

const NO_CAPACITY: AwsError = {
  code: 'InsufficientInstanceCapacity',
  message: 'There is no Spot capacity available that matches your request.',
  status: 500,
};
const THROTTLED: AwsError = { code: 'Throttling', message: 'Rate exceeded' };
const THROTTLES = 3;
/** So long an attach is held up for a person to act in between. */
const HELD_UP_MS = 1_000;
const LAUNCHED_MS = 30_000;

/** What a healthy swap of a group with room changes, and how often: nothing twice but the protection, on and off. */
const HEALTHY_WRITES = {
  SuspendProcesses: 1,
  CreateOrUpdateTags: 1,
  CreateFleet: 1,
  AttachInstances: 1,
  SetInstanceProtection: 2,
  DetachInstances: 1,
  TerminateInstances: 1,
  DeleteTags: 1,
  ResumeProcesses: 1,
  RunInstances: 0,
  UpdateAutoScalingGroup: 0,
  CreateTags: 0,
} as const;

interface LostRequest {
  readonly group: string;
  readonly says: string;
  readonly action: string;
  readonly kind: FaultKind;
  readonly times?: number;
  /** How often it is sent in the end. */
  readonly sent: number;
}

const LOST_LAUNCHES: readonly LostRequest[] = [
  {
    group: 'launch-answer-lost',
    says: 'a launch whose answer is lost is settled by the very same request, and launches once',
    action: 'RunInstances',
    kind: 'drop-answer',
    sent: 2,
  },
  {
    group: 'launch-lost',
    says: 'a launch that is lost on the way is sent again, the very same request',
    action: 'RunInstances',
    kind: 'drop-request',
    sent: 2,
  },
];
const LOST_FLEETS: readonly LostRequest[] = [
  {
    group: 'fleet-answer-lost',
    says: 'a fleet whose answer is lost is settled by the very same request, and launches once',
    action: 'CreateFleet',
    kind: 'drop-answer',
    sent: 2,
  },
];
const LOST_MEMBERSHIPS: readonly LostRequest[] = [
  {
    group: 'attach-answer-lost',
    says: 'an attach whose answer is lost is seen in the membership, and not sent again',
    action: 'AttachInstances',
    kind: 'drop-answer',
    sent: 1,
  },
  {
    group: 'attach-lost',
    says: 'an attach that is lost on the way is missed in the membership, and sent again',
    action: 'AttachInstances',
    kind: 'drop-request',
    sent: 2,
  },
  {
    group: 'attach-throttled',
    says: 'an attach that is throttled three times succeeds',
    action: 'AttachInstances',
    kind: { error: THROTTLED },
    times: THROTTLES,
    sent: THROTTLES + 1,
  },
  {
    group: 'detach-answer-lost',
    says: 'a detach whose answer is lost is seen in the membership, and lowers desired once',
    action: 'DetachInstances',
    kind: 'drop-answer',
    sent: 1,
  },
];

// At the same time, since most of a swap is waiting: each in a group of its own, with faults that hit only that one.
describe('a swap over the wire', { skip: skipWithout('moto_server'), concurrency: true }, () => {
  let started: SwapHouse | undefined;
  const house = (): SwapHouse => {
    assert.ok(started !== undefined);
    return started;
  };

  before(async () => {
    const names = (lost: readonly LostRequest[]): readonly string[] => lost.map(({ group }) => group);
    started = await startSwapHouse({
      rules: RULES,
      alert: 'SpotTerminationNotice',
      templateGroups: [
        ...['healthy-template', 'fleet-short', 'spot-dry', 'attach-refused'],
        ...names(LOST_FLEETS),
        ...names(LOST_MEMBERSHIPS),
      ].map(roomy),
      configurationGroups: [
        full('healthy-configuration'),
        ...['launch-short', ...names(LOST_LAUNCHES)].map(roomy),
      ],
    });
    started.proxy.setShortage(shortage);
  });

  after(() => started?.stop());

  test('a healthy swap of a group with a launch template makes no call twice', async () => {
    const group = house().group('healthy-template');
    const { old } = await swaps(house(), group);
    const writes = Object.keys(HEALTHY_WRITES).map((action) => [
      action,
      sentAbout(house(), action, [group.name, groupKey(group), old]).length,
    ]);
    assert.deepEqual(Object.fromEntries(writes), HEALTHY_WRITES);
  });

  test('a healthy swap of a full group with a launch configuration gives its maximum back', async () => {
    const group = house().group('healthy-configuration');
    await swaps(house(), group);
    const sizes = sentFor(house(), 'UpdateAutoScalingGroup', group);
    assert.deepEqual(
      sizes.map((parameters) => parameters.get('MaxSize')),
      ['3', '2'],
    );
  });

  for (const { says, ...lost } of [...LOST_LAUNCHES, ...LOST_FLEETS]) {
    test(says, async () => {
      const requests = await swapsDespite(house(), lost);
      assert.equal(new Set(requests.map(String)).size, 1);
    });
  }

  for (const { says, ...lost } of LOST_MEMBERSHIPS) {
    test(says, async () => {
      await swapsDespite(house(), lost);
    });
  }

  test('a market without capacity (HTTP 500) is asked once, and the next one is taken', async () => {
    const group = house().group('launch-short');
    const { type } = await swaps(house(), group);
    const asked = sentFor(house(), 'RunInstances', group).map((parameters) => parameters.get('InstanceType'));
    assert.deepEqual(asked, [firstAsked.get('launch-short'), type]);
    assert.notEqual(asked[0], asked[1]);
  });

  test('a market without capacity among those of a fleet leaves the launch to the others', async () => {
    const group = house().group('fleet-short');
    const { type } = await swaps(house(), group);
    assert.equal(sentFor(house(), 'CreateFleet', group).length, 1);
    const first = firstAsked.get('fleet-short');
    assert.ok(first !== undefined && first !== type);
  });

  test('where no spot market has capacity, one fleet is tried, and an urgent swap falls back to on-demand', async () => {
    const group = house().group('spot-dry');
    const { machine } = await swaps(house(), group);
    assert.equal(machine.InstanceLifecycle, undefined);
    assert.equal(sentFor(house(), 'CreateFleet', group).length, 1);
    assert.equal(sentFor(house(), 'RunInstances', group).length, 1);
  });

  test('an attach that is refused for the sizes is undone, and leaves nothing', async () => {
    const { cloud, proxy, ask, over, launchedFor } = house();
    const group = house().group('attach-refused');
    proxy.inject({ action: 'AttachInstances', when: isAbout(group), kind: { delayMs: HELD_UP_MS } });
    const asked = await ask(group);
    await eventually('it is launched', LAUNCHED_MS, async () =>
      (await launchedFor(group)).length > 0 ? true : undefined,
    );
    await cloud.resize(group, { max: 2 });
    const run = await over(group);
    assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'size_refused']);
    const now = await cloud.groupInDetail(group);
    assert.deepEqual(idsOf(now), idsOf(asked.before));
    assertAsBefore({ ...asked.before, max: 2 }, now);
    const launched = await launchedFor(group);
    assert.deepEqual(
      launched.map(({ State }) => State?.Name),
      ['terminated'],
    );
  });
});

function roomy(name: string): GroupWish {
  return { name, instances: 2, min: 1, max: 3 };
}

function full(name: string): GroupWish {
  return { ...roomy(name), max: 2 };
}

/** By group, the type that a launch asked for first. */
const firstAsked = new Map<string, string>();

/** For two groups the first market that is asked for has no capacity, and for one no spot market at all. */
function shortage({ type, spot }: AskedMarket, parameters: URLSearchParams): AwsError | null {
  // The key of the group, account/region/name, is a tag of whatever is launched for it.
  const key = [...parameters.values()].find((value) => /^\d+\/.+\/.+/.test(value));
  const name = key?.split('/')[2];
  if (name === 'spot-dry') return spot ? NO_CAPACITY : null;
  if (name !== 'launch-short' && name !== 'fleet-short') return null;
  const first = firstAsked.get(name) ?? type;
  firstAsked.set(name, first);
  return type === first ? NO_CAPACITY : null;
}

/** The parameters name the group, as the subject or in a tag of what is launched for it. */
function isAbout(group: GroupName): (parameters: URLSearchParams) => boolean {
  return (parameters) => mentions(parameters, [group.name, groupKey(group)]);
}

function mentions(parameters: URLSearchParams, words: readonly string[]): boolean {
  return [...parameters.values()].some((value) => words.includes(value));
}

function sentAbout(
  { proxy }: SwapHouse,
  action: string,
  words: readonly string[],
): readonly URLSearchParams[] {
  return proxy.sent(action).filter((parameters) => mentions(parameters, words));
}

function sentFor(house: SwapHouse, action: string, group: GroupName): readonly URLSearchParams[] {
  return sentAbout(house, action, [group.name, groupKey(group)]);
}

/** One swap to its good end although requests go wrong; returns those that were sent. */
async function swapsDespite(
  house: SwapHouse,
  { group: name, action, kind, times = 1, sent }: Omit<LostRequest, 'says'>,
): Promise<readonly URLSearchParams[]> {
  const group = house.group(name);
  house.proxy.inject({ action, kind, times, when: isAbout(group) });
  await swaps(house, group);
  const requests = sentFor(house, action, group);
  assert.equal(requests.length, sent);
  return requests;
}

interface Swapped {
  readonly old: string;
  readonly machine: Awaited<ReturnType<SwapHouse['launchedFor']>>[number];
  /** The type of the new instance. */
  readonly type: string;
}

/** One swap, to its good end. */
async function swaps(house: SwapHouse, group: GroupName): Promise<Swapped> {
  const asked = await house.ask(group);
  const run = await house.over(group);
  assert.deepEqual([run.state, run.error], ['succeeded', null]);
  return assertSwapped(house, asked);
}

/** The old instance is gone, exactly one was ever launched for it, and the group is as it was. */
async function assertSwapped(
  { cloud, launchedFor }: SwapHouse,
  { before: earlier, old }: AskedSwap,
): Promise<Swapped> {
  const now = await cloud.groupInDetail(earlier.group);
  assertAsBefore(earlier, now);
  const launched = await launchedFor(earlier.group);
  assert.equal(launched.length, 1);
  const [machine] = launched;
  const id = machine?.InstanceId;
  const type: string | undefined = machine?.InstanceType;
  assert.ok(machine !== undefined && id !== undefined && type !== undefined);
  const stayed = idsOf(earlier).filter((member) => member !== old);
  assert.deepEqual(idsOf(now), [...stayed, id].toSorted());
  assert.equal(now.members.find(({ instanceId }) => instanceId === id)?.protectedFromScaleIn, false);
  const [gone] = await cloud.instances(earlier.group, [old]);
  assert.equal(gone?.state, 'terminated');
  return { old, machine, type };
}

function assertAsBefore(earlier: GroupDetail, now: GroupDetail): void {
  assert.deepEqual([now.min, now.desired, now.max], [earlier.min, earlier.desired, earlier.max]);
  assert.deepEqual(now.suspendedProcesses, earlier.suspendedProcesses);
  assert.deepEqual(now.tags, earlier.tags);
}

function idsOf(group: GroupDetail): readonly string[] {
  return group.members.map(({ instanceId }) => instanceId).toSorted();
}
