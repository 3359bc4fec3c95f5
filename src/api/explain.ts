import type { FastifyInstance } from 'fastify';
import type { Sample } from '../engine/explain.ts';
import { presentExplanations } from '../engine/present-explanation.ts';
import { didYouMean } from '../engine/suggest.ts';
import { type Answer, ok, refused } from './answer.ts';
import type { ApiDeps } from './deps.ts';
import { post } from './http.ts';
import { EXPLAIN } from './parameters.ts';

/** Most conclusions of one answer, events times rules; one event is explained whatever the number of rules. */
const MOST_CONCLUSIONS = 10_000;

type ExplainDeps = Pick<ApiDeps, 'readSample' | 'explain' | 'ruleset'>;

/** What every rule would conclude of an event that has not happened. Nothing is recorded, started or taken. */
export function registerExplain(scope: FastifyInstance, deps: ExplainDeps): void {
  post(scope, { path: '/api/v1/explain', access: 'read' }, EXPLAIN, ({ alert, event, rule = null }) =>
    answerTo(alert === undefined ? { event } : { alert }, rule, deps),
  );
}

async function answerTo(sample: Sample, rule: string | null, deps: ExplainDeps): Promise<Answer> {
  const { rules } = deps.ruleset.current();
  const names = rules.map(({ spec }) => spec.name);
  if (rule !== null && !names.includes(rule))
    return refused('invalid_request', `rule: there is no rule '${rule}' in force${didYouMean(rule, names)}`);
  const reading = deps.readSample(sample);
  if ('error' in reading) return refused('invalid_request', reading.error);
  const { events, rejected } = reading;
  if (events.length > 1 && events.length * rules.length > MOST_CONCLUSIONS)
    return refused('invalid_request', tooMany(events.length, rules.length));
  return ok(presentExplanations(await deps.explain(events), rejected, rule));
}

function tooMany(events: number, rules: number): string {
  const most = Math.max(1, Math.floor(MOST_CONCLUSIONS / rules));
  return `${events} events for ${rules} rules are too much for one answer; ask about at most ${most} of them at a time`;
}
