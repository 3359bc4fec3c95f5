import { groupKey } from '../../base/group-name.ts';
import type {
  DecisionExpectation,
  Expectation,
  FactsExpectation,
  RunExpectation,
} from '../../config/rule-test.ts';
import type { PreparedTest } from '../../config/rule-test-loader.ts';
import { type GroupReference, groupIn } from '../../config/scene.ts';
import type { Evidence } from '../../engine/decision.ts';
import { effectivePolicy } from '../../engine/policies.ts';
import type { RehearsedRun } from '../../rehearsal.ts';
import { type Moment, type RecordedDecision, type TestRecord, WINDOW_MS } from './rehearse.ts';
import { asExpected, asFound, atTime } from './sentences.ts';
import { wrongFacts } from './wrong-facts.ts';

/** An expectation that was not met, or an event that could not happen. */
export interface Finding {
  readonly line: number;
  readonly column: number;
  /** What was expected, in a sentence. */
  readonly expected: string;
  /** What happened instead, a line each. */
  readonly found: readonly string[];
}

/** Decisions that are shown where none fits; those of one moment, or the nearest one. */
const SHOWN = 3;

/** Everything in which the record of a test is not what the test expects; in the order of the file. */
export function judge(prepared: PreparedTest, record: TestRecord): readonly Finding[] {
  const { test, place } = prepared;
  const impossible = record.impossible.map(({ event, message }) => ({
    ...place(['events', event]),
    ...{ expected: `${atTime(test.events[event]?.atMs ?? 0)}: this happens`, found: [message] },
  }));
  const unmet = test.expect.flatMap((expectation, index) => {
    const found = foundInstead(expectation, prepared, record);
    const expected = asExpected(expectation);
    return found === null ? [] : [{ ...place(['expect', index]), expected, found }];
  });
  return [...impossible, ...unmet, ...unexpected(prepared, record)];
}

/** What was to be seen in the place of what is expected; null when it is as expected. */
function foundInstead(
  expectation: Expectation,
  prepared: PreparedTest,
  record: TestRecord,
): readonly string[] | null {
  if (expectation.kind === 'decision') return otherDecisions(expectation, prepared, record);
  const moment = record.moments.get(expectation.atMs);
  if (moment === undefined) return ['the test did not come so far'];
  return expectation.kind === 'run'
    ? otherRun(expectation, prepared, moment)
    : otherFacts(expectation, prepared, moment);
}

function otherDecisions(
  expectation: DecisionExpectation,
  prepared: PreparedTest,
  { decisions }: TestRecord,
): readonly string[] | null {
  const ofRule = decisions.filter(({ rule }) => rule === expectation.rule);
  const then = ofRule.filter((decision) => isThen(decision, expectation));
  if (then.some((decision) => fits(decision, expectation, prepared))) return null;
  if (then.length > 0) return then.slice(0, SHOWN).flatMap(asFound);
  const [nearest] = ofRule.toSorted((a, b) => distance(a, expectation) - distance(b, expectation));
  const nothing = `nothing was decided on ${expectation.rule} then`;
  if (nearest !== undefined) return [`${nothing}; the nearest time is`, ...asFound(nearest)];
  const unheard = decisions.find((decision) => decision.rule === null && isThen(decision, expectation));
  const hint = unheard === undefined ? [] : [`no rule listens to events of type ${unheard.event.type}`];
  return [`nothing was decided on ${expectation.rule} in the whole test`, ...hint];
}

function distance({ atMs }: RecordedDecision, expectation: DecisionExpectation): number {
  return Math.abs(atMs - expectation.atMs);
}

function isThen({ atMs }: RecordedDecision, expectation: DecisionExpectation): boolean {
  return atMs >= expectation.atMs && atMs < expectation.atMs + WINDOW_MS;
}

function fits(decision: RecordedDecision, wanted: DecisionExpectation, prepared: PreparedTest): boolean {
  const { subject, actions, because } = decision;
  return (
    decision.outcome === wanted.outcome &&
    (wanted.reason === null || decision.reason === wanted.reason) &&
    isGroup(subject.group, wanted.group, prepared) &&
    (wanted.instance === null || subject.instance === wanted.instance) &&
    (wanted.actions === null ||
      sameList(
        actions.map(({ kind }) => kind),
        wanted.actions,
      )) &&
    wanted.because.every((condition) => because.some((evidence) => isEvidence(evidence, condition)))
  );
}

function isEvidence(evidence: Evidence, wanted: DecisionExpectation['because'][number]): boolean {
  return (
    evidence.fact === wanted.fact &&
    (wanted.result === null || evidence.result === wanted.result) &&
    (wanted.actual === null || evidence.actual === wanted.actual)
  );
}

function isGroup(
  group: RehearsedRun['group'] | null,
  wanted: GroupReference | null,
  { test }: PreparedTest,
): boolean {
  if (wanted === null) return true;
  const meant = groupIn(test.cloud, wanted);
  return group !== null && meant !== null && groupKey(group) === groupKey(meant);
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, index) => one === b[index]);
}

function otherRun(
  wanted: RunExpectation,
  prepared: PreparedTest,
  { runs }: Moment,
): readonly string[] | null {
  const last = runs.findLast(
    (run) =>
      (wanted.rule === null || run.rule === wanted.rule) &&
      (wanted.instance === null || run.instanceId === wanted.instance) &&
      isGroup(run.group, wanted.group, prepared),
  );
  if (last === undefined) return ['no such run had been begun'];
  const { rule, instanceId, state, error } = last;
  if (state === wanted.run && (wanted.error === null || error?.reason === wanted.error)) return null;
  const why = error === null ? '' : `, ${error.reason}: ${error.message}`;
  return [`the run of ${rule} for ${instanceId} is ${state}${why}`];
}

function otherFacts(
  wanted: FactsExpectation,
  prepared: PreparedTest,
  { fleet }: Moment,
): readonly string[] | null {
  const { test, lists } = prepared;
  const meant = groupIn(test.cloud, wanted.group);
  const group = meant === null ? undefined : fleet.groups.get(groupKey(meant));
  if (group === undefined) return ['the group is not there'];
  const policy = effectivePolicy(lists.policies, group);
  const wrong = wrongFacts(wanted.facts, { group, policy });
  return wrong.length === 0 ? null : wrong;
}

/** Decisions of outcomes of which the test means to name all. */
function unexpected(prepared: PreparedTest, { decisions }: TestRecord): readonly Finding[] {
  const { test, place } = prepared;
  const wanted = test.expect.filter((one): one is DecisionExpectation => one.kind === 'decision');
  const surplus = decisions.filter(
    (decision) =>
      test.exact.includes(decision.outcome) &&
      !wanted.some(
        (one) => one.rule === decision.rule && isThen(decision, one) && fits(decision, one, prepared),
      ),
  );
  if (surplus.length === 0) return [];
  const more = surplus.length > SHOWN ? [`and ${surplus.length - SHOWN} more`] : [];
  const expected = `no other decisions than those expected (exact: ${test.exact.join(', ')})`;
  return [{ ...place(['exact']), expected, found: [...surplus.slice(0, SHOWN).flatMap(asFound), ...more] }];
}
