import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HoldMark } from '../../../../src/actions/asg/hold-mark.ts';
import {
  type AbandonedHold,
  groupOf,
  isStray,
  type Remedy,
  remedyFor,
  straysAmong,
} from '../../../../src/actions/asg/orphans.ts';
import type { Run, StepRecord } from '../../../../src/actions/run.ts';
import type { Instance, Member } from '../../../../src/cloud/cloud.ts';
import { type Pair, pair, planInput, SPEC, spot, WEB } from './fixture.ts';

const NOW = Date.UTC(2026, 0, 1);
const PLACE = { account: WEB.account, region: WEB.region };
const KEY = '123456789012/eu-west-1/web';
const TAGS = { 'coppice:run': 'run_1', 'coppice:group': KEY, 'coppice:replaces': 'i-1' };
const MARKET = spot('m5.large');

function machine(rest: Partial<Instance> = {}): Instance {
  return pair('i-9', MARKET, { machine: { tags: TAGS, ...rest } }).machine;
}

const STRAYS: readonly (readonly [rule: string, what: Partial<Instance>, is: boolean])[] = [
  ['an instance of Coppice in no group is a stray', {}, true],
  ['one that still boots, too', { state: 'pending' }, true],
  ['one that somebody stopped, too', { state: 'stopped' }, true],
  ['an instance of somebody else is none', { tags: { team: 'web' } }, false],
  ['one that was launched 30 seconds ago is none yet', { launchedAt: NOW - 30_000 }, false],
  ['a moment later it is', { launchedAt: NOW - 30_001 }, true],
  ['one that is being terminated is none', { state: 'shutting-down' }, false],
  ['one that is terminated is none', { state: 'terminated' }, false],
  ['one that was released on purpose is none', { tags: { ...TAGS, 'coppice:released': 'run_2' } }, false],
  ['one that AWS says is a member is none', { tags: { ...TAGS, 'aws:autoscaling:groupName': 'x' } }, false],
];

for (const [rule, what, is] of STRAYS) {
  test(rule, () => assert.equal(isStray(machine(what), new Set(['i-1']), NOW), is));
}

test('a member of any group is no stray', () => {
  const { group } = planInput();
  const machines = ['i-1', 'i-9'].map((id) => ({ ...machine({ id }), place: PLACE }));
  assert.deepEqual(
    straysAmong(machines, [{ ...group, members: [] }, group], NOW).map(({ id }) => id),
    ['i-9'],
  );
});

const HOMES: readonly (readonly [rule: string, tag: string | undefined, home: object | null])[] = [
  ['a tag names the group', KEY, WEB],
  ['the name of a group may have slashes', `${KEY}/a/b`, { ...WEB, name: 'web/a/b' }],
  ['without the tag nobody knows', undefined, null],
  ['a text that is no key names none', 'web', null],
  ['a group of another region cannot be meant', KEY.replace('eu', 'us'), null],
];

for (const [rule, tag, home] of HOMES) {
  test(`the group that an instance was launched for: ${rule}`, () => {
    const tags: Record<string, string> = tag === undefined ? {} : { 'coppice:group': tag };
    assert.deepEqual(groupOf({ ...machine({ tags }), place: PLACE }), home);
  });
}

const REPLACEMENT = 'i-9';

/** The group with the replacement `i-9` of `i-1` in it, one larger. */
interface Scene {
  readonly rule: string;
  readonly replacement?: Partial<Member> | null;
  readonly replacementTags?: Readonly<Record<string, string>>;
  readonly old?: Partial<Member> | null;
  /** The machine of an old instance that is no member any more. */
  readonly oldMachine?: Partial<Instance>;
  readonly desired?: number;
  readonly group?: Partial<AbandonedHold['group']>;
  readonly mark?: Partial<HoldMark>;
  readonly details?: Readonly<Record<string, object>>;
  /** Of the steps with details. */
  readonly state?: StepRecord['state'];
  /** What an earlier attempt of the swap wrote down before it was undone. */
  readonly undone?: Readonly<Record<string, object>>;
  readonly remedy: Remedy;
}

const RAISED = { held: { suspended: [], max: { from: 4, to: 5 } } };
const back: Remedy = { kind: 'give-back', unprotect: null };
const takeOut: Remedy = { kind: 'take-out', instanceId: REPLACEMENT };
const terminateOld: Remedy = { kind: 'terminate-old', instanceId: 'i-1' };
const lower: Remedy = {
  kind: 'lower',
  surplus: { desired: 4, replacement: REPLACEMENT, since: NOW - 600_000 },
};
const RUNS_ON = { state: 'running' } as const;
const LEAVING = { instance: 'i-1', desired: 4, mayReturn: true };
const putBack: Remedy = { kind: 'put-back', desired: 4 };

const SCENES: readonly Scene[] = [
  { rule: 'without a replacement the hold is given back', replacement: null, remedy: back },
  {
    rule: 'an instance of another run is no replacement of this one',
    replacementTags: { ...TAGS, 'coppice:run': 'run_0' },
    remedy: back,
  },
  {
    rule: 'an instance for another group is no replacement in this one',
    replacementTags: { ...TAGS, 'coppice:group': 'x/y/z' },
    remedy: back,
  },
  {
    rule: 'a replacement on its way out needs nothing more',
    replacement: { lifecycleState: 'Detaching' },
    remedy: back,
  },
  { rule: 'with both in service the replacement is taken out again', remedy: takeOut },
  { rule: 'a protected one, too', replacement: { protectedFromScaleIn: true }, remedy: takeOut },
  {
    rule: 'a replacement cannot be taken out before it is in service',
    replacement: { lifecycleState: 'Pending' },
    remedy: { kind: 'wait', for: 'i-9 to be in service' },
  },
  {
    rule: 'a replacement that a person has put on standby is left in',
    replacement: { lifecycleState: 'Standby', protectedFromScaleIn: true },
    remedy: back,
  },
  {
    rule: 'when a person has put the old one on standby the replacement is left in, unprotected',
    old: { lifecycleState: 'Standby' },
    replacement: { protectedFromScaleIn: true },
    remedy: { kind: 'give-back', unprotect: REPLACEMENT },
  },
  {
    rule: 'an old one that was detached is waited for',
    old: { lifecycleState: 'Detaching' },
    desired: 4,
    remedy: { kind: 'wait', for: 'i-1 to leave the group' },
  },
  {
    rule: 'an old one that the group terminates is not waited for',
    old: { lifecycleState: 'Terminating:Wait' },
    desired: 4,
    remedy: back,
  },
  {
    rule: 'an old one that was detached and runs is terminated',
    oldMachine: RUNS_ON,
    desired: 4,
    remedy: terminateOld,
  },
  {
    rule: 'unless it was to be left running',
    oldMachine: RUNS_ON,
    desired: 4,
    mark: { keepOld: true },
    remedy: back,
  },
  {
    rule: 'or was released before',
    oldMachine: { ...RUNS_ON, tags: { 'coppice:released': 'run_1' } },
    desired: 4,
    remedy: back,
  },
  {
    rule: 'or is a member of another group by now',
    oldMachine: { ...RUNS_ON, tags: { 'aws:autoscaling:groupName': 'other' } },
    desired: 4,
    remedy: back,
  },
  { rule: 'or is stopped', oldMachine: { state: 'stopped' }, desired: 4, remedy: back },
  {
    rule: 'or left by itself, as the store knows',
    oldMachine: RUNS_ON,
    desired: 4,
    details: { 'release-old': { how: 'found-gone', lowered: true } },
    remedy: back,
  },
  {
    rule: 'an old one that the run detached, as the store knows, is terminated',
    oldMachine: RUNS_ON,
    desired: 4,
    details: { 'release-old': { how: 'detach', lowered: true } },
    remedy: terminateOld,
  },
  {
    rule: 'a protection of ours ends with the hold',
    old: null,
    desired: 4,
    replacement: { protectedFromScaleIn: true },
    remedy: { kind: 'give-back', unprotect: REPLACEMENT },
  },
  {
    rule: 'a protection that the group gives to all stays',
    old: null,
    desired: 4,
    replacement: { protectedFromScaleIn: true },
    group: { newInstancesProtected: true },
    remedy: back,
  },
  {
    rule: 'an old one that died by itself leaves the group one too large: told by the raised maximum',
    old: null,
    mark: RAISED,
    remedy: lower,
  },
  { rule: 'without a raised maximum nothing tells', old: null, remedy: back },
  {
    rule: 'or by the store',
    old: null,
    details: { attach: { desiredBefore: 4 }, 'release-old': { how: 'found-gone', lowered: false } },
    remedy: lower,
  },
  {
    rule: 'a size that somebody else chose after the release is left alone, where the store tells',
    old: null,
    mark: RAISED,
    details: { attach: { desiredBefore: 4 }, 'release-old': { how: 'detach', lowered: true } },
    remedy: back,
  },
  ...[
    { rule: 'comes back', remedy: { kind: 'take-back', instanceId: 'i-1' } as const },
    {
      rule: 'but is going away stays out',
      mark: { leaving: { ...LEAVING, mayReturn: false } },
      remedy: putBack,
    },
    { rule: 'and is stopped stays out', oldMachine: { state: 'stopped' } as const, remedy: putBack },
    {
      rule: 'and is a member of another group stays there',
      oldMachine: { ...RUNS_ON, tags: { 'aws:autoscaling:groupName': 'other' } },
      remedy: putBack,
    },
    { rule: 'into a group that has its size again is terminated', desired: 4, remedy: terminateOld },
    {
      rule: 'comes back also where its undoing failed',
      ...{ details: { 'detach-old': { how: 'detach', desiredBefore: 4 } }, state: 'undo_failed' as const },
      remedy: { kind: 'take-back', instanceId: 'i-1' } as const,
    },
    {
      rule: 'comes back also where an attempt before had put it back',
      undone: { 'detach-old': { how: 'detach', desiredBefore: 4 } },
      ...{ details: { 'detach-old': { how: 'detach', desiredBefore: 4 } }, state: 'undo_failed' as const },
      remedy: { kind: 'take-back', instanceId: 'i-1' } as const,
    },
    {
      rule: 'although the run had put it back, was taken out by a person',
      ...{ details: { 'detach-old': { how: 'detach', desiredBefore: 4 } }, state: 'undone' as const },
      remedy: back,
    },
    { rule: 'although the run never took it out, too', details: {}, remedy: back },
    { rule: 'of a group that a person has made smaller is terminated', desired: 2, remedy: terminateOld },
    {
      rule: 'of a group whose maximum leaves no room any more is terminated',
      group: { max: 3 },
      remedy: terminateOld,
    },
    {
      rule: 'and was to be left running is left, once the group has its size',
      desired: 4,
      mark: { leaving: LEAVING, keepOld: true } as const,
      remedy: back,
    },
  ].map(({ rule, ...but }) => ({
    ...{ rule: `an old one that left first, has no replacement and runs, ${rule}`, replacement: null },
    ...{ oldMachine: RUNS_ON, desired: 3, mark: { leaving: LEAVING }, ...but },
  })),
  {
    rule: 'an old one that was to leave first and has not left stays',
    ...{ replacement: null, desired: 4, mark: { leaving: LEAVING } },
    remedy: back,
  },
  {
    rule: 'one that is leaving first is waited for',
    ...{ replacement: null, old: { lifecycleState: 'Detaching' }, desired: 3, mark: { leaving: LEAVING } },
    remedy: { kind: 'wait', for: 'i-1 to leave the group' },
  },
  {
    rule: 'one that its group terminates is replaced by the group',
    ...{ replacement: null, old: { lifecycleState: 'Terminating:Wait' }, desired: 3 },
    mark: { leaving: LEAVING },
    remedy: putBack,
  },
  {
    rule: 'one that left first and has a replacement is terminated',
    ...{ oldMachine: RUNS_ON, desired: 4, mark: { leaving: LEAVING } },
    remedy: terminateOld,
  },
  {
    rule: 'one that a person took out is spared, also where an attempt before was about to detach it',
    ...{ oldMachine: RUNS_ON, desired: 4 },
    undone: { attach: { desiredBefore: 9 }, 'release-old': { how: 'detach', lowered: true } },
    details: { attach: { desiredBefore: 4 }, 'release-old': { how: 'found-gone', lowered: true } },
    remedy: back,
  },
  {
    rule: 'the size before the swap is that of the newest attempt',
    ...{ old: null, desired: 5 },
    undone: { attach: { desiredBefore: 9 }, 'give-back': { lowered: true } },
    details: { attach: { desiredBefore: 4 }, 'release-old': { how: 'found-gone', lowered: false } },
    remedy: lower,
  },
  {
    rule: 'a scale-out after the old one left first is not taken for one instance too many',
    ...{ old: null, desired: 5, mark: { ...RAISED, leaving: LEAVING } },
    remedy: back,
  },
];

for (const scene of SCENES) {
  test(`an abandoned hold: ${scene.rule}`, () => assert.deepEqual(remedyFor(holdOf(scene)), scene.remedy));
}

function holdOf(scene: Scene): AbandonedHold {
  const { replacement = {}, replacementTags = TAGS, desired = 5, details, oldMachine } = scene;
  const old = oldMachine === undefined ? (scene.old === undefined ? {} : scene.old) : null;
  const pairs: Pair[] = ['i-2', 'i-3', 'i-4'].map((id) => pair(id, MARKET));
  if (old !== null) pairs.push(pair('i-1', MARKET, { member: old }));
  if (replacement !== null) {
    const born = { tags: replacementTags, launchedAt: NOW - 600_000 };
    pairs.push(pair(REPLACEMENT, MARKET, { member: replacement, machine: born }));
  }
  const { group } = planInput({ pairs, group: { desired, max: 5, ...scene.group } });
  const outside = oldMachine === undefined ? [] : [pair('i-1', MARKET, { machine: oldMachine }).machine];
  return {
    group,
    mark: { run: 'run_1', held: { suspended: [], max: null }, ...scene.mark },
    run: details === undefined ? null : runWith(details, scene),
    machines: [...pairs.map((one) => one.machine), ...outside],
  };
}

function runWith(details: Readonly<Record<string, object>>, { state = 'done', undone = {} }: Scene): Run {
  const stepsWith = (attempt: number, ended: StepRecord['state'], all: typeof details): StepRecord[] =>
    Object.entries(all).map(([name, detail], position) => ({
      ...{ seq: 100 * attempt + position, action: 0, name, state: ended, attempt, error: null },
      ...{ startedAt: NOW, finishedAt: NOW, detail: { ...detail } },
    }));
  const before = stepsWith(1, 'undone', undone);
  const steps = [...before, ...stepsWith(before.length === 0 ? 1 : 2, state, details)];
  return {
    ...{ id: 'run_1', decisionId: 'dec_1', rule: 'r', group: WEB, instanceId: 'i-1', steps },
    actions: [{ kind: 'swap', swap: SPEC }],
    ...{ state: 'failed', dueAt: NOW, createdAt: NOW, finishedAt: NOW, attempt: 1, error: null },
  };
}
