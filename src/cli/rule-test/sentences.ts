import { formatDuration } from '../../base/duration.ts';
import type { DecisionExpectation, Expectation, RunExpectation } from '../../config/rule-test.ts';
import type { Evidence } from '../../engine/decision.ts';
import type { RecordedDecision } from './rehearse.ts';
import { factText } from './wrong-facts.ts';

/** A time of a test, e.g. `at 5m`. */
export function atTime(ms: number): string {
  return `at ${formatDuration(ms)}`;
}

/** What is expected, in a sentence. */
export function asExpected(expectation: Expectation): string {
  const time = atTime(expectation.atMs);
  switch (expectation.kind) {
    case 'decision':
      return `${time}: ${decisionText(expectation)}`;
    case 'run':
      return `${time}: ${runText(expectation)}`;
    case 'facts': {
      const facts = Object.entries(expectation.facts).map(([name, wanted]) => `${name} ${factText(wanted)}`);
      return `${time}: ${expectation.group} has ${facts.join(', ')}`;
    }
  }
}

function decisionText({ rule, outcome, reason, actions, because, ...where }: DecisionExpectation): string {
  return [
    `${rule} is ${outcome}${reason === null ? '' : ` (${reason})`}${whereText(where)}`,
    ...(actions === null ? [] : [`with the actions ${actions.join(', ')}`]),
    ...because.map(({ fact, result, actual }) => {
      const value = actual === null ? '' : ` ${JSON.stringify(actual)}`;
      return `where ${fact} is${value}${result === null ? '' : ` (${result})`}`;
    }),
  ].join(', ');
}

function runText({ run, rule, error, ...where }: RunExpectation): string {
  const whose = rule === null ? 'the last run' : `the last run of ${rule}`;
  return `${whose}${whereText(where)} is ${run}${error === null ? '' : ` (${error})`}`;
}

function whereText({ group, instance }: Pick<RunExpectation, 'group' | 'instance'>): string {
  return `${instance === null ? '' : ` for ${instance}`}${group === null ? '' : ` in ${group}`}`;
}

/** A decision that was made, with what its conditions came to: a line each. */
export function asFound(decision: RecordedDecision): readonly string[] {
  const { atMs, rule, outcome, reason, detail, subject, because } = decision;
  const instance = subject.instance === null ? '' : ` for ${subject.instance}`;
  const what = `${atTime(atMs)}: ${rule ?? 'no rule'} was ${outcome} (${reason})${instance}: ${detail}`;
  return [what, ...because.map((evidence) => `  ${evidenceText(evidence)}`)];
}

function evidenceText({ fact, operator, expected, actual, result }: Evidence): string {
  const value = actual === undefined || actual === null ? 'missing' : JSON.stringify(actual);
  return `${fact} is ${value}; ${operator} ${JSON.stringify(expected)} is ${result}`;
}
