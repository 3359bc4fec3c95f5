import { RUN_TAG } from '../../src/actions/asg/tags.ts';
import { createJanitor } from '../../src/actions/janitor.ts';
import { isOver, type Run } from '../../src/actions/run.ts';
import type { GroupSnapshot, Snapshot } from '../../src/cloud/simulated/snapshot.ts';
import { template } from '../../src/cloud/simulated/world.ts';
import type { ActionSpec, SwapSpec } from '../../src/engine/rule.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { ruleset } from '../unit/engine/build.ts';
import { lostAnswerOf, type Mishap, mishapsOf } from './error-classes.ts';
import { FaultyCloud, type Trouble } from './faulty-cloud.ts';
import { LENIENT, Site, type SiteOptions, SPOT_SWAP, stepsOf } from './swap-site.ts';

interface Scenario {
  readonly name: string;
  readonly options: SiteOptions;
  readonly action: ActionSpec;
  readonly before?: (site: Site) => void;
  /** What happens every second while the run goes on. */
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

const FLEET_TYPES = ['m6i.large', 'm5a.large'];
const HOOK = { launching: false, terminating: true };

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'launch-first with a raised maximum and target groups',
    options: { spec: { max: 4, targetGroups: ['arn:a'] } },
    action: swapping(),
    least: 4,
    ends: 'succeeded',
  },
  {
    name: 'launch-first with a terminating hook',
    options: { spec: { max: 4, hooks: HOOK } },
    action: swapping(),
    least: 4,
    ends: 'succeeded',
  },
  {
    name: 'launch-first whose replacement never becomes healthy',
    options: { spec: { max: 4, targetGroups: ['arn:a'] } },
    action: swapping(),
    meanwhile: breakOurs,
    least: 4,
    ends: 'rolled_back',
  },
  {
    name: 'detach-first at the minimum',
    options: { spec: { min: 4, max: 4 } },
    action: swapping({ order: 'detach-first' }),
    least: 3,
    ends: 'succeeded',
  },
  {
    name: 'detach-first at the minimum with no capacity',
    options: {
      spec: { min: 4, max: 4 },
      policies: [{ ...LENIENT, instanceTypes: { allow: ['m5.large', ...FLEET_TYPES] } }],
    },
    action: swapping({ order: 'detach-first' }),
    before: dryFleet,
    least: 3,
    ends: 'rolled_back',
  },
  {
    name: 'a fleet without capacity that falls back to on-demand',
    options: {
      spec: { max: 4, launch: template('m5.large') },
      policies: [{ ...LENIENT, instanceTypes: { allow: ['m5.large', ...FLEET_TYPES] } }],
      launchVia: 'auto',
    },
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
/** Nothing happens in a group at rest but by a request, so it is looked at in longer steps. */
const RESTING_STEP_S = 20;
/** Cases played at the same time, each on its own clock: turns of the event loop are what virtual time costs most. */
const AT_ONCE = 40;

/** What a search through all the cases of a scenario has found; plain data. */
export interface Found {
  readonly calls: number;
  readonly cases: number;
  /** One sentence for each case that ended badly. */
  readonly wrong: readonly string[];
}

/** Plays the scenario once without trouble, and then once for each trouble that its calls can meet. */
export async function search(name: string): Promise<Found> {
  const scenario = SCENARIOS.find((one) => one.name === name);
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  const calm = await play(scenario, null);
  const troubles = troublesOf(calm);
  const wrong = wrongIn(scenario, calm, null).map((problem) => `without any trouble: ${problem}`);
  const queue = troubles.values();
  const work = async (): Promise<void> => {
    for (const trouble of queue) {
      const played = await play(scenario, trouble);
      const problems = wrongIn(scenario, played, trouble);
      if (problems.length > 0) wrong.push(`${textOf(trouble)}: ${problems.join(', ')}; ${runText(played)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { calls: calm.cloud.calls.length, cases: troubles.length, wrong };
}

/** Every call of the run times every class of errors that it can meet times how long that lasts. */
function troublesOf({ cloud }: Played): readonly Trouble[] {
  const seen = new Map<string, number>();
  return cloud.calls.flatMap((operation) => {
    const from = (seen.get(operation) ?? 0) + 1;
    seen.set(operation, from);
    const lost = lostAnswerOf(operation);
    const lasting = (mishap: Mishap, ...all: readonly number[]): Trouble[] =>
      all.map((times) => ({ operation, from, times, mishap }));
    return [
      ...mishapsOf(operation).flatMap((mishap) => lasting(mishap, 1, 3, Number.POSITIVE_INFINITY)),
      ...(lost === null ? [] : lasting(lost, 1, 3)),
    ];
  });
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
  const watch = new Watch(site);
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
  await watch.until(LONGEST_S, () => {
    scenario.meanwhile?.(site);
    return isOver(told.at(-1)?.run.state ?? 'pending');
  });
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
  #atRest = false;

  constructor(site: Site) {
    this.#site = site;
  }

  look(): void {
    const { members, desired } = this.#site.web();
    const serving = members.filter(isInService).length;
    this.fewest = Math.min(this.fewest, serving);
    this.#atRest = serving === members.length && serving === desired;
  }

  /** Tells what is going on each second, but not while the group is at rest: there nothing happens but by a request. */
  async until(seconds: number, done: () => boolean): Promise<void> {
    const { clock } = this.#site;
    for (const end = clock.now() + seconds * 1000; clock.now() < end && !done(); this.look()) {
      const next = clock.now() + (this.#atRest ? RESTING_STEP_MS : 1000);
      if (this.#atRest) await clock.advanceUntil(() => !this.#atRest || done(), RESTING_STEP_MS);
      if (this.#atRest || next - clock.now() <= 1000) await clock.advance(next - clock.now());
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
  const { run } = played;
  const { changed, same } = stateOf(scenario, played);
  const wrong: string[] = [];
  if (passes(trouble) && run.state !== scenario.ends) wrong.push(`it should have ${scenario.ends}`);
  if (run.state === 'succeeded' ? !changed : isBack(run) ? !same : !changed && !same)
    wrong.push(
      `members ${played.site
        .web()
        .members.map(({ instanceId }) => instanceId)
        .join()}`,
    );
  if (run.state === 'failed' && !mayFail(run, trouble)) wrong.push('it must not fail');
  return wrong;
}

/** What passes by itself, or was the case already, is no reason to give up. */
function passes(trouble: Trouble | null): boolean {
  if (trouble === null) return true;
  const { disposition = 'retry' } = trouble.mishap.failure ?? {};
  return Number.isFinite(trouble.times) && (disposition === 'retry' || disposition === 'done');
}

/** Undone, or refused by its plan. */
function isBack({ state, steps }: Run): boolean {
  return state === 'rolled_back' || (state === 'failed' && steps.length === 1);
}

/** Which of the two good ends of the scenario the group shows; of the second there are two kinds where the old one left first. */
function stateOf(scenario: Scenario, { before, after, old }: Played): { changed: boolean; same: boolean } {
  const idsIn = ({ groups }: Snapshot): string[] =>
    (groups[0]?.members ?? []).map(({ instanceId }) => instanceId).sort();
  const ids = idsIn(after);
  const ours = membersOfOurs(after).length;
  const size = isRemoval(scenario) ? 3 : 4;
  const changed = !ids.includes(old) && ours === size - 3 && ids.length === size;
  const substituted = scenario.least === 3 && ours === 0 && ids.length === 4;
  return { changed, same: ids.join() === idsIn(before).join() || substituted };
}

function isRemoval({ action }: Scenario): boolean {
  return action.kind !== 'swap';
}

/** Steps behind the last one that can be undone; and a removal is no more than one request. */
const FORWARD = ['take-out', 'await-left', 'await-released', 'terminate-old', 'give-back'];

/**
 * A run fails, and says so with the error that it met, where its plan did, where undoing was given up, and where cleaning up
 * was: then the group is right all the same.
 */
function mayFail({ steps, error }: Run, trouble: Trouble | null): boolean {
  const code = trouble?.mishap.failure?.code ?? 'timeout';
  const told = [code, 'timeout', 'market_unavailable'].includes(error?.reason ?? '');
  const failed = steps.some(({ name, state }) => state === 'failed' && FORWARD.includes(name));
  const stuck = steps.some(({ state }) => state === 'undo_failed');
  return told && (steps.length === 1 || failed || stuck);
}

/** Nothing runs outside of the group but the old instance where terminating it has failed; the run's error tells. */
function outsideWrong({ after, old, run }: Played): readonly string[] {
  const mayRun = run.steps.some(({ name, state }) => name === 'terminate-old' && state === 'failed');
  return after.instances
    .filter(({ group, id }) => group === null && !(id === old && mayRun))
    .map(({ id }) => `${id === old ? 'the old instance' : id} runs outside of the group`);
}
