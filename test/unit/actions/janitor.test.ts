import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createJanitor } from '../../../src/actions/janitor.ts';
import type { Run, RunState } from '../../../src/actions/run.ts';
import { Failure } from '../../../src/base/failure.ts';
import { groupKey } from '../../../src/base/group-name.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import type { GroupDetail, Instance } from '../../../src/cloud/cloud.ts';
import type { PolicySpec } from '../../../src/engine/policy.ts';
import { type Log, silentLog } from '../../../src/telemetry/log.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { lax, ruleset } from '../engine/build.ts';
import { pair, planInput, spot, WEB } from './asg/fixture.ts';
import { cloudOf } from './fake-walk.ts';

const PLACE = { account: WEB.account, region: WEB.region };
const denied = new Failure('denied', 'reject', 'not allowed');

interface Told {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A log that remembers what was told at warn and info. */
function rememberingLog(told: Told[]): Log {
  const remember = (fields: object, message: string): void =>
    void told.push({ message, fields: { ...fields } });
  return Object.assign(Object.create(silentLog) as Log, { info: remember, warn: remember });
}

/** A cloud of one group, a store, and a janitor; every call of either is written down in order. */
class House {
  readonly clock = new ManualClock();
  readonly metrics = createMetrics();
  readonly calls: string[] = [];
  readonly told: Told[] = [];
  machines: Instance[] = [];
  groups: GroupDetail[] = [planInput().group];
  runs: Readonly<Record<string, RunState>> = {};
  /** When those that are over ended; long ago unless a test says otherwise. */
  finishedAt = 0;
  policies: PolicySpec[] = [lax()];
  locked = false;
  /** What happens when the operation is called. */
  readonly on: Record<string, () => void> = {};

  readonly janitor = createJanitor({
    cloud: cloudOf({
      instancesTagged: () =>
        this.#call(
          'instancesTagged',
          this.machines.map((machine) => ({ ...machine, place: PLACE })),
        ),
      groups: () => this.#call('groups', this.groups),
      groupsNamed: (_, names) =>
        this.#call(
          'groupsNamed',
          this.groups.filter(({ group }) => names.includes(group.name)),
        ),
      instances: (_, ids) =>
        this.#call(
          'instances',
          this.machines.filter(({ id }) => ids.includes(id)),
        ),
      terminate: (_, id) => this.#call(`terminate ${id}`, undefined),
      detach: (_, id) => this.#call(`detach ${id}`, { desiredBefore: null }),
      resume: (_, processes) => this.#call(`resume ${processes.join()}`, undefined),
      resize: (_, { max }) => this.#call(`resize ${max}`, undefined),
      tagGroup: (_, key, value) => this.#call(`tagGroup ${key} ${value}`, undefined),
    }),
    store: {
      run: (id) => {
        const state = this.runs[id];
        const run = { id, state, finishedAt: this.finishedAt, steps: [] };
        return this.#call('run', state === undefined ? null : (run as unknown as Run));
      },
      lockGroup: (group) => this.#call('lock', this.locked ? null : { group, fence: 1 }),
      unlockGroup: () => this.#call('unlock', undefined),
    },
    ruleset: { current: () => ruleset([], this.policies) },
    clock: this.clock,
    metrics: this.metrics,
    log: rememberingLog(this.told),
  });

  async sweeps(count = 1): Promise<void> {
    if (this.calls.length === 0) this.janitor.start();
    await this.clock.advance((count - 1) * 10_000);
  }

  count(call: string): number {
    return this.calls.filter((one) => one.startsWith(call)).length;
  }

  stray(id = 'i-9', tags: Readonly<Record<string, string>> = {}): void {
    const launchedAt = this.clock.now() - 60_000;
    const own = { 'coppice:run': 'run_1', 'coppice:group': groupKey(WEB), 'coppice:replaces': 'i-1' };
    const machine = { launchedAt, tags: { ...own, ...tags } };
    this.machines.push(pair(id, spot('m5.large'), { machine }).machine);
  }

  hold(value = '{"run":"run_1","suspended":["AZRebalance"],"max":null}'): void {
    const tags = [{ key: 'coppice:hold', value, propagates: false }];
    this.groups = [planInput({ group: { tags, suspendedProcesses: ['AZRebalance', 'Launch'] } }).group];
  }

  async #call<T>(name: string, answer: T): Promise<T> {
    this.calls.push(name);
    const [operation = ''] = name.split(' ');
    this.on[operation]?.();
    return Promise.resolve(answer);
  }
}

async function orphansTerminated({ metrics }: House): Promise<number | undefined> {
  return (await metrics.orphansTerminated.get()).values[0]?.value;
}

test('the cloud is listed before the store is asked, machines before groups; then all is read again under the lock', async () => {
  const house = new House();
  house.stray();
  house.runs = { run_1: 'failed' };
  await house.sweeps();
  assert.deepEqual(house.calls, [
    ...['instancesTagged', 'groups', 'run', 'lock', 'instances', 'groupsNamed'],
    ...['terminate i-9', 'unlock'],
  ]);
  assert.equal(await orphansTerminated(house), 1);
});

test('what a run has left that has just ended waits until every reading shows what it has done', async () => {
  const house = new House();
  house.stray();
  house.hold();
  house.runs = { run_1: 'succeeded' };
  house.finishedAt = house.clock.now();
  await house.sweeps(3);
  assert.deepEqual([house.count('lock'), house.count('terminate')], [0, 0]);
  await house.clock.advance(10_000);
  assert.deepEqual([house.count('lock'), house.count('terminate')], [2, 1]);
});

const FATES: readonly (readonly [state: RunState | null, terminated: boolean])[] = [
  [null, true],
  ['succeeded', true],
  ['failed', true],
  ['rolled_back', true],
  ['cancelled', true],
  ['pending', false],
  ['running', false],
  ['recovering', false],
];

for (const [state, terminated] of FATES) {
  test(`a stray whose run is ${state ?? 'unknown'} ${terminated ? 'is terminated' : 'is left alone'}, and so is a hold`, async () => {
    const house = new House();
    house.runs = state === null ? {} : { run_1: state };
    house.stray();
    house.hold();
    await house.sweeps();
    assert.equal(house.count('terminate'), terminated ? 1 : 0);
    assert.equal(house.count('resume AZRebalance'), terminated ? 1 : 0);
    assert.equal(house.count('tagGroup coppice:hold null'), terminated ? 1 : 0);
    assert.equal(house.count('lock'), terminated ? 2 : 0);
  });
}

test('nothing is done in a group that a run holds at the moment', async () => {
  const house = new House();
  house.stray();
  house.hold();
  house.locked = true;
  await house.sweeps(3);
  assert.deepEqual(new Set(house.calls), new Set(['instancesTagged', 'groups', 'run', 'lock']));
});

const CHANGES: readonly (readonly [rule: string, change: (house: House) => unknown])[] = [
  ['joins its group', (house) => house.groups.splice(0, 1, joined(house))],
  ['is released', (house) => retag(house, { 'coppice:released': 'run_2' })],
  ['is attached by a person to another group', (house) => retag(house, { 'aws:autoscaling:groupName': 'b' })],
  ['is gone', (house) => house.machines.splice(0)],
];

for (const [rule, change] of CHANGES) {
  test(`an instance that ${rule} after it was listed is not terminated`, async () => {
    const house = new House();
    house.stray();
    house.on['lock'] = () => change(house);
    await house.sweeps();
    assert.equal(house.count('terminate'), 0);
    assert.equal(house.count('unlock'), 1);
  });
}

function joined({ groups }: House): GroupDetail {
  const [group = planInput().group] = groups;
  return { ...group, members: [...group.members, pair('i-9', spot('m5.large')).member] };
}

function retag(house: House, tags: Readonly<Record<string, string>>): void {
  house.machines = house.machines.map((machine) => ({ ...machine, tags: { ...machine.tags, ...tags } }));
}

test('a hold that another run has taken since it was listed is left alone', async () => {
  const house = new House();
  house.hold();
  house.on['lock'] = () => house.hold('{"run":"run_2","suspended":["AZRebalance"],"max":null}');
  await house.sweeps();
  assert.deepEqual([house.count('resume'), house.count('tagGroup')], [0, 0]);
});

test('law 4: without a run in the store a group that no policy selects is not touched; told once', async () => {
  const house = new House();
  house.stray();
  house.hold();
  house.policies = [lax({ groups: { names: ['other'] } })];
  await house.sweeps(5);
  assert.equal(house.count('lock'), 0);
  assert.deepEqual(
    house.told.map(({ fields }) => [fields['about'], fields['code']]),
    [
      [groupKey(WEB), 'not_found'],
      ['i-9', 'not_found'],
    ],
  );
});

test('what a run in the store has left is finished, whatever the policies say now', async () => {
  const house = new House();
  house.stray();
  house.runs = { run_1: 'failed' };
  house.policies = [];
  await house.sweeps();
  assert.equal(house.count('terminate i-9'), 1);
});

test('what was launched for a group that is gone is terminated when the store knows its run', async () => {
  const house = new House();
  house.stray();
  house.groups = [];
  house.runs = { run_1: 'rolled_back' };
  await house.sweeps();
  assert.equal(house.count('terminate i-9'), 1);
});

for (const mark of ['', 'mine', '{"run":1}']) {
  test(`a mark that cannot be read is told once and left: ${JSON.stringify(mark)}`, async () => {
    const house = new House();
    house.hold(mark);
    await house.sweeps(5);
    assert.deepEqual(new Set(house.calls), new Set(['instancesTagged', 'groups']));
    assert.deepEqual(
      house.told.map(({ fields }) => fields['code']),
      ['invalid_request'],
    );
  });
}

test('what fails is told once, tried at every sweep, and told again when it fails otherwise', async () => {
  const house = new House();
  house.stray();
  let failure = denied;
  house.on['terminate'] = () => {
    throw failure;
  };
  await house.sweeps(4);
  assert.equal(house.count('terminate'), 4);
  assert.deepEqual(house.count('unlock'), 4);
  assert.equal(house.told.length, 1);
  failure = new Failure('throttled', 'retry', 'slow down');
  await house.clock.advance(20_000);
  assert.deepEqual(
    house.told.map(({ fields }) => fields['code']),
    ['denied', 'throttled'],
  );
  assert.equal(await orphansTerminated(house), 0);
});

test('an instance that is gone when it is to be terminated is no failure', async () => {
  const house = new House();
  house.stray();
  house.on['terminate'] = () => {
    throw new Failure('not_found', 'done', 'gone');
  };
  await house.sweeps();
  assert.deepEqual(house.told, []);
  assert.equal(await orphansTerminated(house), 0);
});

test('the mark stays while something else of the hold could not be given back', async () => {
  const house = new House();
  house.hold('{"run":"run_1","suspended":["AZRebalance"],"max":{"from":7,"to":8}}');
  house.on['resume'] = () => {
    throw denied;
  };
  await house.sweeps();
  assert.deepEqual([house.count('resize 7'), house.count('tagGroup')], [1, 0]);
});

test('a sweep works on twenty cases at most, and those that failed do not keep the others waiting', async () => {
  const house = new House();
  const ids = Array.from({ length: 50 }, (_, index) => `i-${100 + index}`);
  for (const id of ids) house.stray(id);
  house.on['terminate'] = () => {
    throw denied;
  };
  await house.sweeps();
  assert.equal(house.count('terminate'), 20);
  await house.sweeps(3);
  const tried = new Set(house.calls.filter((call) => call.startsWith('terminate')));
  assert.equal(house.count('terminate'), 60);
  assert.equal(tried.size, 50);
});

test('sweeps come every ten seconds at first, twenty times, and then every two minutes', async () => {
  const house = new House();
  const begin = house.clock.now();
  const at: number[] = [];
  house.on['groups'] = () => void at.push((house.clock.now() - begin) / 1000);
  await house.sweeps();
  await house.clock.advance(600_000);
  const quick = Array.from({ length: 20 }, (_, index) => index * 10);
  assert.deepEqual(at, [...quick, 310, 430, 550]);
});

test('a sweep that could not list the cloud does not count among the quick ones, and does nothing', async () => {
  const house = new House();
  house.stray();
  house.on['groups'] = () => {
    throw new Failure('unavailable', 'retry', 'away');
  };
  await house.sweeps(60);
  assert.equal(house.count('instancesTagged'), 60);
  assert.equal(house.count('run'), 0);
  delete house.on['groups'];
  await house.clock.advance(10_000);
  assert.equal(house.count('terminate i-9'), 1);
});

test('a store that cannot be read lets nothing be done', async () => {
  const house = new House();
  house.stray();
  house.on['run'] = () => {
    throw new Failure('store_unavailable', 'retry', 'away');
  };
  await house.sweeps(3);
  assert.equal(house.count('lock'), 0);
});

test('a stop ends the work after the case in hand', async () => {
  const house = new House();
  for (const id of ['i-8', 'i-9']) house.stray(id);
  let stopped: Promise<void> | undefined;
  house.on['terminate'] = () => {
    stopped ??= house.janitor.stop();
  };
  await house.sweeps(10);
  await stopped;
  assert.deepEqual([house.count('terminate'), house.count('unlock')], [1, 1]);
});
