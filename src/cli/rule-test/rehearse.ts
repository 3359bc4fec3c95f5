import { asFailure } from '../../base/failure.ts';
import { ManualClock } from '../../base/manual-clock.ts';
import { seededRandom } from '../../base/random.ts';
import { SimulatedCloud } from '../../cloud/simulated/simulated-cloud.ts';
import type { RuleTest } from '../../config/rule-test.ts';
import type { PreparedTest } from '../../config/rule-test-loader.ts';
import type { Decision } from '../../engine/decision.ts';
import type { FleetView } from '../../engine/fleet.ts';
import { compileRuleset } from '../../engine/ruleset.ts';
import { type Rehearsal, type RehearsedRun, startRehearsal } from '../../rehearsal.ts';
import { worldOf } from '../scene-world.ts';
import { bringAbout, type Stage } from './happenings.ts';

/** A decision belongs to the second that begins at the time of its expectation; ms. */
export const WINDOW_MS = 1000;
/** The walk stops within this time of its own clock. */
const STOPPED_MS = 60_000;
/** The same story every time: one seed for the cloud, one for the daemon. */
const CLOUD_SEED = 7;
const WALK_SEED = 8;

/** What came of a test's events. */
export interface TestRecord {
  /** Those about rules, in the order in which they were made. */
  readonly decisions: readonly RecordedDecision[];
  /** What was to be seen at the times of expectations of facts and runs, by ms after the start. */
  readonly moments: ReadonlyMap<number, Moment>;
  /** Events that could not happen. */
  readonly impossible: readonly { readonly event: number; readonly message: string }[];
  /** How the groups were at the beginning and at the end. */
  readonly fleets: readonly FleetView[];
}

export interface RecordedDecision extends Decision {
  /** ms after the start of the test. */
  readonly atMs: number;
}

export interface Moment {
  readonly fleet: FleetView;
  /** Every run so far as it is then, in the order in which they were begun. */
  readonly runs: readonly RehearsedRun[];
}

/**
 * Plays a test on the production walk, the simulated cloud and virtual time. It has a cloud, a state and a clock of its own, so
 * the same test gives the same record, whatever runs beside it.
 */
export async function rehearse({ test, lists }: PreparedTest): Promise<TestRecord> {
  let started: Rehearsal | null = null;
  const clock = new ManualClock(test.startsAt, () => started?.isBusy() ?? false);
  const cloud = new SimulatedCloud({ clock, random: seededRandom(CLOUD_SEED), world: worldOf(test.cloud) });
  const ruleset = compileRuleset({ ...lists, hash: '', generation: 1, loadedAt: test.startsAt });
  const decisions: RecordedDecision[] = [];
  const runs = new Map<string, RehearsedRun>();
  const rehearsal = await startRehearsal(
    { ruleset, cloud },
    {
      ...{ clock, random: seededRandom(WALK_SEED) },
      decided(decision) {
        decisions.push({ ...decision, atMs: decision.at - test.startsAt });
        const run = runOf(decision);
        if (run !== null) runs.set(run.id, run);
      },
      progressed: (run) => void runs.set(run.id, run),
    },
  );
  started = rehearsal;
  const played = await play({ test, cloud, clock, rehearsal, runs });
  await clock.during(STOPPED_MS, rehearsal.stop());
  return { ...played, decisions };
}

/** The run that a decision begins, which nobody tells of before it is taken up. */
function runOf({ runId, rule, subject }: Decision): RehearsedRun | null {
  const { group, instance } = subject;
  if (runId === null || rule === null || group === null || instance === null) return null;
  return { id: runId, rule, group, instanceId: instance, state: 'under_way', error: null };
}

interface Play extends Omit<Stage, 'alerts'> {
  readonly clock: ManualClock;
  readonly runs: ReadonlyMap<string, RehearsedRun>;
}

/** Goes from one time of the test to the next: first what time brings, then the events, then what is to be seen. */
async function play(given: Play): Promise<Omit<TestRecord, 'decisions'>> {
  const { test, clock, rehearsal, runs } = given;
  const stage: Stage = { ...given, alerts: new Map() };
  const moments = new Map<number, Moment>();
  const impossible: { event: number; message: string }[] = [];
  await clock.advance(0);
  const first = await rehearsal.look();
  for (const atMs of timesOf(test)) {
    await clock.advance(test.startsAt + atMs - clock.now());
    for (const [event, { what, atMs: due }] of test.events.entries()) {
      if (due !== atMs) continue;
      const message = await bringAbout(what, stage).catch((thrown: unknown) => asFailure(thrown).message);
      if (message !== null) impossible.push({ event, message });
      await clock.advance(0);
    }
    if (isLookedAt(test, atMs))
      moments.set(atMs, { fleet: await rehearsal.look(), runs: [...runs.values()] });
  }
  await clock.advance(WINDOW_MS);
  return { moments, impossible, fleets: [first, await rehearsal.look()] };
}

function timesOf({ events, expect }: RuleTest): readonly number[] {
  return [...new Set([...events, ...expect].map(({ atMs }) => atMs))].sort((a, b) => a - b);
}

function isLookedAt({ expect }: RuleTest, time: number): boolean {
  return expect.some(({ kind, atMs }) => kind !== 'decision' && atMs === time);
}
