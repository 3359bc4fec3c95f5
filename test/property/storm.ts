import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { markOn } from '../../src/actions/asg/hold-mark.ts';
import type { GroupSnapshot } from '../../src/cloud/simulated/snapshot.ts';
import { leftBehind } from '../../src/cloud/simulated/snapshot.ts';
import { Fuse } from '../acceptance/swap-fuse.ts';
import { type Happening, LAST_SECOND, quietRuleset, rulesetOf, type Story, story } from './storm-story.ts';
import { StormWorld } from './storm-world.ts';

/** Everything ends within so many seconds of peace: the longest undo, three rests, the janitor's rounds. */
const PEACE_SECONDS = 7200;
/** So long nothing may move any more before the world is looked at. */
const QUIET_SECONDS = 300;
/** Longest search; what could not be told by then is left, and fast-check says how many were. */
const LONGEST_MS = 480_000;
/** How often the runs under way are counted. */
const LOOK_SECONDS = 5;
const NAMES = ['web', 'api', 'job'];

/** What people have made of a group, where Coppice must leave it. */
interface Wishes {
  desired: number;
  /** How far desired may be off: a scaling and a loss at one moment cannot be told apart. */
  slack: number;
  readonly min: Set<number>;
  readonly max: Set<number>;
  readonly suspended: Map<string, boolean | 'either'>;
}

/** Lives a story to its end, looking at every step; answers what was wrong. */
export async function wrongIn(told: Story): Promise<readonly string[]> {
  const world = new StormWorld({
    groups: told.groups.map((spec, index) => ({ ...spec, name: NAMES[index] ?? '' })),
    ...{ ruleset: rulesetOf(told), readLagMs: told.readLagMs, launchVia: told.launchVia },
  });
  const wishes = new Map(world.before.groups.map((group) => [group.name, wishesOf(group)]));
  const lives = new Lives(world, told.losses);
  for (let second = 0; second <= LAST_SECOND; second++) {
    await lives.keepUp();
    for (const { second: at, what } of told.happenings) if (at === second) await happen(world, wishes, what);
    await world.clock.advance(1000);
    if (second % LOOK_SECONDS === 0) await world.insistOnOneRunAGroup();
  }
  await makePeace(world, wishes, told);
  await untilQuiet(world, lives);
  return [...world.crimes, ...(await leftWrong(world, wishes))];
}

/** The processes, one after the other: the next one comes when the one before is lost and the pause is over. */
class Lives {
  readonly #world: StormWorld;
  readonly #losses: Story['losses'][number][];
  #fuse: Fuse | null = null;
  #nextAt: number;

  constructor(world: StormWorld, losses: Story['losses']) {
    this.#world = world;
    this.#losses = [...losses];
    this.#nextAt = world.clock.now();
  }

  async keepUp(): Promise<void> {
    const now = this.#world.clock.now();
    if (this.#fuse?.lost === true) {
      this.#fuse = null;
      this.#nextAt = now + (this.#losses.shift()?.downSeconds ?? 0) * 1000;
    }
    if (this.#fuse !== null || now < this.#nextAt) return;
    this.#fuse = new Fuse(this.#losses[0]?.loss ?? null);
    await this.#world.start(this.#fuse);
  }
}

function wishesOf({ desired, min, max, suspendedProcesses }: GroupSnapshot): Wishes {
  return {
    desired,
    slack: 0,
    min: new Set([min]),
    max: new Set([max]),
    suspended: new Map(suspendedProcesses.map((process) => [process, true])),
  };
}

function groupAt(world: StormWorld, position: number): GroupSnapshot {
  const { groups } = world.cloud.snapshot();
  const group = groups[position % groups.length];
  assert.ok(group !== undefined);
  return group;
}

async function happen(
  world: StormWorld,
  wishes: ReadonlyMap<string, Wishes>,
  what: Happening,
): Promise<void> {
  if (what.kind === 'fault') {
    world.cloud.failNext(what.operation, { ...what.fault, times: what.times });
  } else if (what.kind === 'lost-answer') {
    world.cloud.loseAnswer(what.operation);
  } else if (what.kind === 'shortage') {
    for (const type of ['launch', 'launchFleet'] as const)
      world.cloud.failNext(type, {
        code: 'InsufficientInstanceCapacity',
        status: 500,
        times: what.seconds / 10,
      });
  } else {
    const group = groupAt(world, what.group);
    const wish = wishes.get(group.name);
    assert.ok(wish !== undefined);
    await toGroup(world, { group, wish }, what);
  }
}

type GroupHappening = Extract<Happening, { readonly group: number }>;

async function toGroup(
  world: StormWorld,
  { group, wish }: { readonly group: GroupSnapshot; readonly wish: Wishes },
  what: GroupHappening,
): Promise<void> {
  switch (what.kind) {
    case 'alert':
      return alert(world, group, what);
    case 'interrupt':
    case 'kill':
      return die(world, group, what);
    case 'scale':
      return scale(world, { group, wish }, what.by);
    case 'bound':
      return setBound(world, { group, wish }, what);
    case 'process':
      return setProcess(world, { group, wish }, what);
  }
}

async function alert(
  world: StormWorld,
  group: GroupSnapshot,
  { member, name }: Extract<Happening, { kind: 'alert' }>,
): Promise<void> {
  const instance = group.members[member % Math.max(1, group.members.length)]?.instanceId;
  if (instance === undefined) return;
  if (name === 'TakeOut') world.disturbed.add(group.name);
  await world.alert(name, { instance_id: instance, asg_name: group.name });
}

function die(
  world: StormWorld,
  group: GroupSnapshot,
  { kind, member }: { readonly kind: 'interrupt' | 'kill'; readonly member: number },
): void {
  const { instanceId, purchaseOption } = group.members[member % Math.max(1, group.members.length)] ?? {};
  if (instanceId === undefined) return;
  world.disturbed.add(group.name);
  const lives = world.cloud
    .snapshot()
    .instances.some(({ id, state }) => id === instanceId && state !== 'shutting-down');
  if (!lives) return;
  if (kind === 'kill') world.cloud.byHand.terminate(instanceId);
  else if (purchaseOption === 'spot') world.cloud.byHand.interrupt(instanceId);
}

interface About {
  readonly group: GroupSnapshot;
  readonly wish: Wishes;
}

/** Somebody, or an alarm, changes desired by so many, from what it sees. */
function scale(world: StormWorld, { group, wish }: About, by: number): void {
  const next = group.desired + by;
  const held = markOn({ tags: tagList(group) });
  // Room that a swap has made for itself is another matter: a bound cannot be given back while it is in use.
  const [low, high] = [held?.held.min?.from ?? group.min, held?.held.max?.from ?? group.max];
  if (next < Math.max(1, low) || next > high) return;
  world.cloud.byHand.setSizes(group.name, { desired: next });
  world.disturbed.add(group.name);
  wish.desired += by;
  wish.slack += 1;
}

/** A value that the group has already is no change that anybody could see. */
function setBound(
  world: StormWorld,
  { group, wish }: About,
  { bound, value }: { readonly bound: 'min' | 'max'; readonly value: number },
): void {
  if (group[bound] === value || (bound === 'min' && value > group.desired)) return;
  const held = markOn({ tags: tagList(group) })?.held[bound];
  world.cloud.byHand.setSizes(group.name, { [bound]: value });
  wish[bound].clear();
  wish[bound].add(value);
  // Set to the very value that Coppice has set for a while, it is taken for Coppice's own.
  if (held?.to === value) wish[bound].add(held.from);
}

function setProcess(
  world: StormWorld,
  { group, wish }: About,
  { name, on }: { readonly name: string; readonly on: boolean },
): void {
  if (group.suspendedProcesses.includes(name) !== on) return;
  const held = markOn({ tags: tagList(group) })?.held.suspended.includes(name) === true;
  if (on) world.cloud.byHand.resume(group.name, [name]);
  else world.cloud.byHand.suspend(group.name, [name]);
  wish.suspended.set(name, held && !on ? 'either' : !on);
  if (name === 'Launch' || name === 'Terminate') world.disturbed.add(group.name);
}

function tagList({ tags }: GroupSnapshot): { key: string; value: string; propagates: boolean }[] {
  return Object.entries(tags).map(([key, value]) => ({ key, value, propagates: false }));
}

/** No more trouble and no more rules; what keeps a group from mending itself is taken away, as its owner would. */
async function makePeace(world: StormWorld, wishes: ReadonlyMap<string, Wishes>, told: Story): Promise<void> {
  world.ruleset = quietRuleset(told);
  world.cloud.calm();
  for (const { name, suspendedProcesses } of world.cloud.snapshot().groups) {
    for (const process of ['Launch', 'Terminate']) {
      if (!suspendedProcesses.includes(process)) continue;
      world.cloud.byHand.resume(name, [process]);
      wishes.get(name)?.suspended.set(process, false);
    }
  }
  await Promise.resolve();
}

async function untilQuiet(world: StormWorld, lives: Lives): Promise<void> {
  let quiet = 0;
  for (let second = 0; second < PEACE_SECONDS && quiet < QUIET_SECONDS; second += LOOK_SECONDS) {
    await lives.keepUp();
    await world.clock.advance(LOOK_SECONDS * 1000);
    quiet = (await world.insistOnOneRunAGroup()) === 0 ? quiet + LOOK_SECONDS : 0;
  }
}

async function leftWrong(world: StormWorld, wishes: ReadonlyMap<string, Wishes>): Promise<readonly string[]> {
  const after = world.cloud.snapshot();
  const before = {
    ...world.before,
    groups: world.before.groups.map((group) => asWished(group, after.groups, wishes)),
  };
  const live = await world.store.liveRuns();
  return [
    ...live.map(({ id, state }) => `run ${id} is still ${state}`),
    ...leftBehind(before, after),
    ...after.groups.flatMap((group) => sizeWrong(group, wishes.get(group.name))),
    ...after.groups.flatMap((group) => suspensionWrong(group, wishes.get(group.name))),
  ];
}

/** The group as it was, with the bounds that it may have by now. */
function asWished(
  before: GroupSnapshot,
  after: readonly GroupSnapshot[],
  wishes: ReadonlyMap<string, Wishes>,
): GroupSnapshot {
  const [now, wish] = [after.find(({ name }) => name === before.name), wishes.get(before.name)];
  if (now === undefined || wish === undefined) return before;
  const bounded = (bound: 'min' | 'max'): number =>
    wish[bound].has(now[bound]) ? now[bound] : ([...wish[bound]][0] ?? 0);
  const suspendedProcesses = [...wish.suspended].filter(([, is]) => is !== false).map(([process]) => process);
  return { ...before, min: bounded('min'), max: bounded('max'), suspendedProcesses };
}

function sizeWrong({ name, desired, members }: GroupSnapshot, wish: Wishes | undefined): readonly string[] {
  const { desired: wanted = 0, slack = 0 } = wish ?? {};
  const serving = members.filter(({ lifecycleState }) => lifecycleState === 'InService').length;
  return [
    ...(Math.abs(desired - wanted) <= slack
      ? []
      : [`desired of ${name} is ${desired}, and ${wanted} was wished`]),
    ...(serving === desired ? [] : [`${serving} of ${desired} serve in ${name}`]),
  ];
}

/** What a person has suspended stays suspended. */
function suspensionWrong(
  { name, suspendedProcesses }: GroupSnapshot,
  wish: Wishes | undefined,
): readonly string[] {
  return [...(wish?.suspended ?? [])].flatMap(([process, is]) =>
    is === true && !suspendedProcesses.includes(process)
      ? [`${process} of ${name} is not suspended any more`]
      : [],
  );
}

/** In CI as many as the product has to stand up to, over both files; elsewhere enough to see that nothing is quite wrong. */
const RUNS = process.env['CI'] === 'true' ? 1000 : 100;

/** What a search was asked for, and what it found. */
export interface Search {
  readonly seed: number;
  readonly numRuns: number;
}

export interface Found {
  readonly lived: number;
  /** What fast-check reports of the smallest story that ended badly; null when there is none. */
  readonly report: string | null;
}

/** Searches for a story that ends badly, in this thread. */
export async function lookFor({ seed, numRuns }: Search): Promise<Found> {
  const details = await fc.check(
    fc.asyncProperty(story, async (told) => assert.deepEqual(await wrongIn(told), [])),
    { numRuns, seed, interruptAfterTimeLimit: LONGEST_MS, markInterruptAsFailure: false },
  );
  const report = details.failed ? (fc.defaultReportMessage(details) ?? 'a story ended badly') : null;
  return { lived: details.numRuns, report };
}

/** The usual one, so that a change is held against the same stories as the one before it; `random` is for the hunt. */
function seedOf(wish: string | undefined, usual: number): number {
  return wish === 'random' ? randomInt(2 ** 31) : Number(wish ?? usual);
}

/**
 * Searches in a thread of its own, where node's test runner does not follow every promise, which triples the time. The seed is
 * printed, and may be given, with the number of stories.
 */
export async function search(context: TestContext, usual: number): Promise<void> {
  const seed = seedOf(process.env['STORM_SEED'], usual);
  const numRuns = Number(process.env['STORM_RUNS'] ?? RUNS);
  context.diagnostic(`seed ${seed} (STORM_SEED, or random; STORM_RUNS)`);
  const worker = new Worker(new URL('./storm-worker.ts', import.meta.url), { workerData: { seed, numRuns } });
  const [found] = (await once(worker, 'message')) as [Found];
  context.diagnostic(`${found.lived} of ${numRuns} stories`);
  assert.equal(found.report, null, found.report ?? '');
}
