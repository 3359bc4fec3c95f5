import { type Clock, sleep } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { type GroupName, groupKey } from '../base/group-name.ts';
import type { Cloud, Group } from '../cloud/cloud.ts';
import type { Ruleset } from '../engine/ruleset.ts';
import { selects } from '../engine/selection.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { finishHold, unlessDone } from './asg/finish-hold.ts';
import { markOn, markTextOn } from './asg/hold-mark.ts';
import { groupOrNull, READ_LAG_MS } from './asg/membership.ts';
import { groupOf, isStray, type PlacedInstance, straysAmong } from './asg/orphans.ts';
import { RUN_TAG } from './asg/tags.ts';
import { fencedCloud } from './fenced-cloud.ts';
import { groupView } from './fleet.ts';
import { isOver, type Run } from './run.ts';
import type { LockStore, QueryStore } from './store.ts';

/** Quick at first: what a crash left behind is there when the daemon starts (figures of Karpenter's collector). */
const QUICK_SWEEPS = 20;
const QUICK_MS = 10_000;
const SLOW_MS = 120_000;
/** A sweep works on no more than so many cases; the rest waits for the next one. */
const CASES_PER_SWEEP = 20;
/** Longer than the work on one case; after it no write goes out. */
const LEASE_MS = 60_000;
/** A request may wait for its turn, and be on its way: none is begun so near to the end. */
const MARGIN_MS = 15_000;
const HOLDER = 'janitor';

/** Finishes what runs have left behind, and what runs have left of which nobody knows any more. */
export interface Janitor {
  start(): void;
  /** Ends the loop between two cases. */
  stop(): Promise<void>;
}

export interface JanitorDeps {
  readonly store: LockStore & Pick<QueryStore, 'run'>;
  readonly cloud: Cloud;
  readonly ruleset: { current(): Ruleset };
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
}

export function createJanitor(deps: JanitorDeps): Janitor {
  const stopping = new AbortController();
  let loop: Promise<void> = Promise.resolve();
  return {
    start() {
      loop = sweepForEver(deps, stopping.signal);
    },
    stop() {
      stopping.abort();
      return loop;
    },
  };
}

async function sweepForEver(deps: JanitorDeps, signal: AbortSignal): Promise<void> {
  const troubles = new Troubles(deps.log);
  let sweeps = 0;
  while (!signal.aborted) {
    if (await sweep(deps, troubles, signal)) sweeps += 1;
    await sleep(deps.clock, sweeps < QUICK_SWEEPS ? QUICK_MS : SLOW_MS, signal);
  }
}

/** False when the cloud could not be listed, so that the sweep does not count. */
async function sweep(deps: JanitorDeps, troubles: Troubles, signal: AbortSignal): Promise<boolean> {
  const cases = await casesIn(deps).catch((thrown: unknown) => {
    const { code, message } = asFailure(thrown);
    deps.log.warn({ code, error: message }, 'the cloud could not be searched for what was left behind');
    return null;
  });
  if (cases === null) return false;
  troubles.keepOnly(cases.map(({ about }) => about));
  let worked = 0;
  // What could not be done last time comes last: it must not keep the others waiting for ever.
  for (const one of cases.toSorted((a, b) => troubles.has(a.about) - troubles.has(b.about))) {
    if (signal.aborted || worked >= CASES_PER_SWEEP) break;
    if (await workOn(deps, one, troubles)) worked += 1;
  }
  return true;
}

/** One thing that looks left behind. */
type Case =
  | { readonly kind: 'stray'; readonly about: string; readonly machine: PlacedInstance; readonly home: Home }
  | { readonly kind: 'hold'; readonly about: string; readonly home: Home };

/** The group that a case belongs to, and the run that its tag names; what the tags do not tell is null. */
interface Home {
  readonly group: GroupName | null;
  readonly run: string | null;
  /** As it was listed; undefined when it is gone, or of another place. */
  readonly listed: Group | undefined;
}

/**
 * Lists the cloud, machines before groups: one that joins in between is a member then. The store is asked later, case by
 * case, so that whatever was there to be listed has its run there, too.
 */
async function casesIn({ cloud, clock }: JanitorDeps): Promise<readonly Case[]> {
  const machines = await cloud.instancesTagged(RUN_TAG);
  const groups = await cloud.groups();
  const byKey = new Map(groups.map((group) => [groupKey(group.group), group]));
  const strays = straysAmong(machines, groups, clock.now()).map((machine): Case => {
    const group = groupOf(machine);
    const listed = group === null ? undefined : byKey.get(groupKey(group));
    const home = { group, run: machine.tags[RUN_TAG] ?? null, listed };
    return { kind: 'stray', about: machine.id, machine, home };
  });
  const holds = groups
    .filter((group) => markTextOn(group) !== undefined)
    .map((listed): Case => {
      const home = { group: listed.group, run: markOn(listed)?.run ?? null, listed };
      return { kind: 'hold', about: groupKey(listed.group), home };
    });
  return [...holds, ...strays];
}

/** Whether there was something to do, done or not. Never throws. */
async function workOn(deps: JanitorDeps, one: Case, troubles: Troubles): Promise<boolean> {
  const { group, run } = one.home;
  const fields = { about: one.about, group: group?.name, run };
  try {
    if (group === null || run === null)
      throw new Failure('invalid_request', 'reject', `the tags of this ${one.kind} cannot be read`);
    const owner = await ownerOf(deps, run, one.home.listed);
    if (owner === 'live') return false;
    const done = await underLock(deps, group, (cloud) => settle(deps, one, { cloud, owner, group, run }));
    if (done !== null) deps.log.info({ ...fields, ...done }, 'the janitor finished what a run had left');
    troubles.forget(one.about);
    return done !== null;
  } catch (thrown) {
    troubles.tell(one.about, fields, asFailure(thrown));
    return true;
  }
}

/**
 * The run when it is over, null when the store does not know it. One that has only just ended counts as live: readings may
 * still show its group in the middle of the swap. Only a group that a policy selects is worked on without a run in
 * the store: what is in other groups may belong to another Coppice.
 */
async function ownerOf(
  deps: JanitorDeps,
  runId: string,
  listed: Group | undefined,
): Promise<Run | null | 'live'> {
  const run = await deps.store.run(runId);
  if (run !== null) return isSettled(run, deps.clock.now()) ? run : 'live';
  const { policies } = deps.ruleset.current();
  const view = listed === undefined ? null : groupView(listed, new Map(), () => null);
  if (view !== null && policies.some((policy) => selects(policy, view))) return null;
  throw new Failure(
    'not_found',
    'reject',
    'its run is unknown, and no policy selects its group: it may be of another Coppice',
  );
}

/** Over, and for so long that every reading shows what it has done. */
function isSettled({ state, finishedAt }: Run, now: number): boolean {
  return isOver(state) && now - (finishedAt ?? now) >= READ_LAG_MS;
}

/**
 * Works on the group while no run can be claimed for it: else a swap that begins at this moment could write its own mark
 * between a reading and what is done about it. Null when a run has the group; it will be free at a later sweep.
 */
async function underLock<T>(
  deps: JanitorDeps,
  group: GroupName,
  work: (cloud: Cloud) => Promise<T | null>,
): Promise<T | null> {
  const now = deps.clock.now();
  const lock = await deps.store.lockGroup(group, HOLDER, now, LEASE_MS);
  if (lock === null) return null;
  try {
    return await work(fencedCloud(deps.cloud, () => deps.clock.now() < now + LEASE_MS - MARGIN_MS));
  } finally {
    await deps.store.unlockGroup(lock);
  }
}

interface Work {
  readonly cloud: Cloud;
  readonly owner: Run | null;
  readonly group: GroupName;
  readonly run: string;
}

/** What was done, for the log; null when a fresh look shows that there is nothing to do, or not yet. */
function settle(deps: JanitorDeps, one: Case, work: Work): Promise<object | null> {
  return one.kind === 'stray' ? endStray(deps, one.machine, work) : endHold(work);
}

async function endStray(
  { clock, metrics }: JanitorDeps,
  { id, place }: PlacedInstance,
  { cloud, group, run }: Work,
): Promise<object | null> {
  const [machine] = await cloud.instances(place, [id]);
  const home = await groupOrNull(cloud, group);
  const members = new Set(home?.members.map(({ instanceId }) => instanceId));
  if (machine?.tags[RUN_TAG] !== run || !isStray(machine, members, clock.now())) return null;
  if (!(await unlessDone(cloud.terminate(place, id)))) return null;
  metrics.orphansTerminated.inc();
  return { terminated: id };
}

async function endHold({ cloud, owner, group: name, run }: Work): Promise<object | null> {
  const group = await groupOrNull(cloud, name);
  const mark = group === null ? null : markOn(group);
  if (group === null || mark?.run !== run) return null;
  const remedy = await finishHold(cloud, { group, mark, run: owner });
  return remedy === null ? null : { remedy };
}

/** What could not be done: told once, and again only when the reason changes. Holds the cases of one sweep at most. */
class Troubles {
  readonly #log: Log;
  readonly #told = new Map<string, string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** 1 or 0, to sort by. */
  has(about: string): 0 | 1 {
    return this.#told.has(about) ? 1 : 0;
  }

  tell(about: string, fields: object, { code, message }: Failure): void {
    if (this.#told.get(about) !== code)
      this.#log.warn({ ...fields, code, error: message }, 'what a run has left could not be finished yet');
    this.#told.set(about, code);
  }

  forget(about: string): void {
    this.#told.delete(about);
  }

  keepOnly(abouts: readonly string[]): void {
    const still = new Set(abouts);
    for (const about of this.#told.keys()) if (!still.has(about)) this.#told.delete(about);
  }
}
