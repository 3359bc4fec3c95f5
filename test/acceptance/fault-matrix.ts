import { RUN_TAG } from '../../src/actions/asg/tags.ts';
import { createJanitor } from '../../src/actions/janitor.ts';
import { isOver, type Run } from '../../src/actions/run.ts';
import type { GroupSnapshot, Snapshot } from '../../src/cloud/simulated/snapshot.ts';
import { template } from '../../src/cloud/simulated/world.ts';
import type { ActionSpec, SwapSpec } from '../../src/engine/rule.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { ruleset } from '../unit/engine/build.ts';
import { lostAnswersOf, type Mishap, mishapsOf } from './error-classes.ts';
import { FaultyCloud, type Trouble } from './faulty-cloud.ts';
import { LENIENT, Site, type SiteOptions, SPOT_SWAP, stepsOf } from './swap-site.ts';

interface Scenario {
  readonly name: string;
  readonly options: SiteOptions;
  readonly action: ActionSpec;
  readonly before?: (site: Site) => void;
  /** What happens to the cloud whenever something else does. */
  readonly meanwhile?: (site: Site) => void;
  /** How many members serve at the least, at any time. */
  readonly least: number;
  /** How the run ends when nothing goes wrong, and where what goes wrong passes. */
  readonly ends: Run['state'];
}

const swapping = (but: Partial<SwapSpec> = {}): ActionSpec => ({
  kind: 'swap',
  swap: { ...SPOT_SWAP, ...but },
});

const HOOK = { launching: false, terminating: true };
const FLEET_TYPES = ['m6i.large', 'm5a.large'];
/** Nothing but the two types may come, so that their capacity can be taken away. */
const FEW = [{ ...LENIENT, instanceTypes: { allow: ['m5.large', ...FLEET_TYPES] } }];
/** So long a replacement may be unhealthy: every look at it is one more call to go through. */
const SOON = { healthyTargetMs: 5000 };

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'a swap that launches first, in a full group with target groups',
    options: { spec: { max: 4, targetGroups: ['arn:a'] } },
    action: swapping(),
    least: 4,
    ends: 'succeeded',
  },
  {
    name: 'a swap that launches first, in a group with a terminating hook and readings that lag behind',
    options: { spec: { max: 4, hooks: HOOK }, rest: { readLagMs: 3000 } },
    action: swapping(),
    least: 4,
    ends: 'succeeded',
  },
  {
    name: 'a swap that launches first, and whose replacement never becomes healthy',
    options: { spec: { max: 4, targetGroups: ['arn:a'] } },
    action: swapping({ waits: SOON }),
    meanwhile: breakOurs,
    least: 4,
    ends: 'rolled_back',
  },
  {
    name: 'a swap that detaches first, in a full group at its minimum',
    options: { spec: { min: 4, max: 4 } },
    action: swapping({ order: 'detach-first' }),
    least: 3,
    ends: 'succeeded',
  },
  {
    name: 'a swap that detaches first, in a group at its minimum, and finds no capacity',
    options: { spec: { min: 4, max: 4 }, policies: FEW },
    action: swapping({ order: 'detach-first' }),
    before: dryFleet,
    least: 3,
    ends: 'rolled_back',
  },
  {
    name: 'a swap that detaches first, in a group with room, and whose replacement never becomes healthy',
    options: { spec: { targetGroups: ['arn:a'] } },
    action: swapping({ order: 'detach-first', waits: SOON }),
    meanwhile: breakOurs,
    least: 3,
    ends: 'rolled_back',
  },
  {
    name: 'a swap whose fleet finds no capacity and that falls back to on-demand',
    options: { spec: { max: 4, launch: template('m5.large') }, policies: FEW, launchVia: 'auto' },
    action: swapping({ fallbackToOnDemand: true }),
    before: dryFleet,
    least: 4,
    ends: 'succeeded',
  },
  {
    name: 'a removal that is not replaced',
    options: {},
    action: { kind: 'terminate', terminate: { replace: false, urgent: false } },
    least: 3,
    ends: 'succeeded',
  },
];

function dryFleet(site: Site): void {
  for (const type of FLEET_TYPES) {
    site.cloud.byHand.setCapacity({ type, zone: 'eu-west-1a', purchaseOption: 'spot' }, 0);
  }
}

function breakOurs(site: Site): void {
  const [ours] = membersOfOurs(site.cloud.snapshot());
  if (ours !== undefined) site.cloud.byHand.breakApplication(ours);
}

/** Ids of the members that Coppice launched. */
function membersOfOurs({ instances }: Snapshot): readonly string[] {
  return instances.filter(({ group, tags }) => group !== null && RUN_TAG in tags).map(({ id }) => id);
}

/** Longer than everything that a run may undo or clean up, each with all its patience. */
const LONGEST_S = 6 * 3600;
const PEACE_S = 3600;
/** Cases played at the same time, each on its own clock: turns of the event loop are what virtual time costs most. */
const AT_ONCE = 40;

/** What a search through all the cases of a scenario has found; plain data. */
export interface Found {
  readonly calls: number;
  /** How many cases ended in each state of a run. */
  readonly ends: Readonly<Record<string, number>>;
  /** One sentence for each case that ended badly. */
  readonly wrong: readonly string[];
}

/** Plays the scenario once without trouble, and then once for each trouble that its calls can meet. */
export async function search(name: string): Promise<Found> {
  const scenario = SCENARIOS.find((one) => one.name === name);
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  const calm = await play(scenario, null);
  const wrong = wrongIn(scenario, calm, null).map((problem) => `without any trouble: ${problem}`);
  const ends: Record<string, number> = {};
  const queue = troublesOf(calm).values();
  const work = async (): Promise<void> => {
    for (const trouble of queue) {
      const played = await play(scenario, trouble);
      ends[played.run.state] = (ends[played.run.state] ?? 0) + 1;
      const problems = wrongIn(scenario, played, trouble);
      if (problems.length > 0) wrong.push(`${textOf(trouble)}: ${problems.join(', ')}; ${runText(played)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { calls: calm.cloud.calls.length, ends, wrong };
}

/** Every call of the run times every class of errors that it can meet times how long that lasts. */
function troublesOf({ cloud }: Played): readonly Trouble[] {
  const seen = new Map<string, number>();
  return cloud.calls.flatMap((operation) => {
    const from = (seen.get(operation) ?? 0) + 1;
    seen.set(operation, from);
    const lasting = (times: number, mishaps: readonly Mishap[]): Trouble[] =>
      mishaps.map((mishap) => ({ operation, from, times, mishap }));
    const mishaps = mishapsOf(operation);
    const passing = [...mishaps, ...lostAnswersOf(operation)];
    return [
      ...[1, 3].flatMap((times) => lasting(times, passing)),
      ...lasting(Number.POSITIVE_INFINITY, lastingAmong(mishaps)),
    ];
  });
}

/** What lasts for ever and is no more than tried again is the same whatever it is called, and takes the longest to play. */
function lastingAmong(mishaps: readonly Mishap[]): readonly Mishap[] {
  const first = mishaps.find(({ failure }) => failure?.disposition === 'retry');
  return mishaps.filter((mishap) => mishap === first || mishap.failure?.disposition !== 'retry');
}

function textOf({ operation, from, times, mishap }: Trouble): string {
  const often = Number.isFinite(times) ? `${times} times` : 'for ever';
  return `${operation} ${from}, ${mishap.what}, ${often}`;
}

function runText({ run }: Played): string {
  return `${run.state} (${run.error?.message}): ${stepsOf(run).join(', ')}`;
}

interface Played {
  readonly site: Site;
  readonly before: Snapshot;
  readonly after: Snapshot;
  readonly old: string;
  readonly run: Run;
  readonly cloud: FaultyCloud;
  /** How many members were in service at the worst moment. */
  readonly fewest: number;
}

/** The run with its trouble and a janitor beside it, until it is over; then an hour in which nothing goes wrong any more. */
async function play(scenario: Scenario, trouble: Trouble | null): Promise<Played> {
  const site = new Site({ ...scenario.options, concurrency: 1 });
  scenario.before?.(site);
  site.cloud.byHand.suspend('web', ['AlarmNotification']);
  const before = site.cloud.snapshot();
  const old = site.member(0);
  const watch = new Watch(site, scenario.meanwhile);
  const cloud = new FaultyCloud(site.cloud, trouble, () => watch.look());
  const { store, clock } = site;
  const { worker, told, metrics } = await site.process({ cloud: cloud.ofRun() });
  const rules = { current: () => ruleset([], [LENIENT]) };
  const janitor = createJanitor({
    store,
    cloud: cloud.beside(),
    ruleset: rules,
    clock,
    metrics,
    log: silentLog,
  });
  janitor.start();
  const runId = await site.orderActions(old, [scenario.action]);
  await watch.until(LONGEST_S, () => isOver(told.at(-1)?.run.state ?? 'pending'));
  cloud.heal();
  await worker.stop();
  await watch.until(PEACE_S, () => false);
  void janitor.stop();
  const run = await store.run(runId);
  await store.close();
  if (run === null) throw new Error(`run ${runId} is not in the store`);
  return { site, before, after: site.cloud.snapshot(), old, run, cloud, fewest: watch.fewest };
}

/** Lets time pass and counts who is in service: after each request, and each second while something is going on. */
class Watch {
  fewest = Number.POSITIVE_INFINITY;
  readonly #site: Site;
  readonly #meanwhile: Scenario['meanwhile'];
  #atRest = false;

  constructor(site: Site, meanwhile: Scenario['meanwhile']) {
    this.#site = site;
    this.#meanwhile = meanwhile;
  }

  look(): void {
    this.#meanwhile?.(this.#site);
    const { members, desired } = this.#site.web();
    const serving = members.filter(isInService).length;
    this.fewest = Math.min(this.fewest, serving);
    this.#atRest = serving === members.length && serving === desired;
  }

  async until(seconds: number, done: () => boolean): Promise<void> {
    const { clock } = this.#site;
    const end = clock.now() + seconds * 1000;
    while (clock.now() < end && !done()) {
      // In a group at rest nothing happens but by a request, after which it is looked at.
      if (this.#atRest) await clock.advanceUntil(() => !this.#atRest || done(), end - clock.now());
      await clock.advance(Math.min(1000, end - clock.now()));
      this.look();
    }
  }
}

function isInService({ lifecycleState }: GroupSnapshot['members'][number]): boolean {
  return lifecycleState === 'InService';
}

function wrongIn(scenario: Scenario, played: Played, trouble: Trouble | null): readonly string[] {
  const { site, before, run, fewest, cloud } = played;
  if (!isOver(run.state)) return [`the run is still ${run.state}`];
  return [
    ...(trouble !== null && cloud.met === 0 ? ['the trouble was never met'] : []),
    ...site.leftBehind(before),
    ...(fewest < scenario.least ? [`only ${fewest} served`] : []),
    ...groupWrong(played),
    ...endWrong(scenario, played, trouble),
    ...outsideWrong(played),
  ];
}

/** Its bounds and processes are told by `leftBehind`, but for what a person had suspended. */
function groupWrong({ before, site }: Played): readonly string[] {
  const web = site.web();
  const serving = web.members.filter(isInService).length;
  const suspended = web.suspendedProcesses.join();
  return [
    ...(serving === web.members.length && serving === web.desired
      ? []
      : [`${serving} of ${web.members.length} members serve, desired ${web.desired}`]),
    ...(suspended === before.groups[0]?.suspendedProcesses.join() ? [] : [`suspended: ${suspended}`]),
  ];
}

function endWrong(scenario: Scenario, played: Played, trouble: Trouble | null): readonly string[] {
  const { run, after } = played;
  return [
    ...(passes(trouble) && run.state !== scenario.ends ? [`it should have ${scenario.ends}`] : []),
    ...(run.state === 'failed' && !mayFail(scenario, run, trouble) ? ['it must not fail'] : []),
    ...(isRightFor(scenario, played) ? [] : [`its members are ${idsIn(after).join()}`]),
  ];
}

/** What passes by itself, or was the case already, is no reason to give up. */
function passes(trouble: Trouble | null): boolean {
  if (trouble === null) return true;
  const { disposition = 'retry' } = trouble.mishap.failure ?? {};
  return Number.isFinite(trouble.times) && (disposition === 'retry' || disposition === 'done');
}

/** Whether the group shows the good end that the run tells of; where the run has failed on its way, either of them. */
function isRightFor(scenario: Scenario, played: Played): boolean {
  const { run } = played;
  if (run.state === 'succeeded') return isChanged(scenario, played);
  const wentBack = run.state === 'rolled_back' || run.steps.length === 1;
  return isSame(scenario, played) || (!wentBack && isChanged(scenario, played));
}

function isChanged(scenario: Scenario, { after, old }: Played): boolean {
  const ids = idsIn(after);
  const came = isRemoval(scenario) ? 0 : 1;
  return !ids.includes(old) && membersOfOurs(after).length === came && ids.length === 3 + came;
}

/** Whoever left first and could not come back may have a substitute that the group has launched. */
function isSame(scenario: Scenario, { before, after }: Played): boolean {
  const ids = idsIn(after);
  const substituted = isDetachFirst(scenario) && membersOfOurs(after).length === 0 && ids.length === 4;
  return ids.join() === idsIn(before).join() || substituted;
}

function idsIn({ groups }: Snapshot): readonly string[] {
  return (groups[0]?.members ?? []).map(({ instanceId }) => instanceId).sort();
}

function isDetachFirst({ action }: Scenario): boolean {
  return action.kind === 'swap' && action.swap.order === 'detach-first';
}

function isRemoval({ action }: Scenario): boolean {
  return action.kind !== 'swap';
}

/** Steps behind the last one that can be undone; and a removal is no more than one request. */
const FORWARD = ['take-out', 'await-left', 'await-released', 'terminate-old', 'give-back'];

/**
 * Only so may a run fail: its plan did, or undoing was given up, or cleaning up was. The group is right all the same, and the
 * error tells what the run met, or waited for in vain, or why the swap had to be undone in the first place.
 */
function mayFail({ ends }: Scenario, { steps, error }: Run, trouble: Trouble | null): boolean {
  const plan = steps.length === 1;
  const stuck = steps.some(({ state }) => state === 'undo_failed');
  const untidy = steps.some(({ name, state }) => state === 'failed' && FORWARD.includes(name));
  const met = [trouble?.mishap.failure?.code, 'timeout'].includes(error?.reason);
  return (plan || stuck || untidy) && (met || (stuck && ends === 'rolled_back'));
}

/** Nothing runs outside of the group but the old instance where terminating it has failed; the run's error tells. */
function outsideWrong({ after, old, run }: Played): readonly string[] {
  const mayRun = run.steps.some(({ name, state }) => name === 'terminate-old' && state === 'failed');
  return after.instances
    .filter(({ group, id }) => group === null && !(id === old && mayRun))
    .map(({ id }) => `${id === old ? 'the old instance' : id} runs outside of the group`);
}
