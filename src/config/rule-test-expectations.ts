import { z } from 'zod';
import { FAILURE_CODES, type FailureCode } from '../base/failure.ts';
import { OUTCOMES, type Outcome } from '../engine/decision.ts';
import { describeFact, FACTS, plainValue } from '../engine/facts.ts';
import { GROUP_FACTS, groupFactName, isGroupFact } from '../engine/group-facts.ts';
import {
  NOT_MATCHED_REASONS,
  OTHER_REASONS,
  REFUSAL_REASONS,
  type Reason,
  type RefusalReason,
} from '../engine/reason.ts';
import type { ActionSpec, Scalar } from '../engine/rule.ts';
import { closest, suggestion } from '../engine/suggest.ts';
import {
  type Expectation,
  type FactExpectation,
  type FactsExpectation,
  RUN_EXPECTATIONS,
} from './rule-test.ts';
import { moment } from './rule-test-events.ts';
import { instanceId } from './scene-schema.ts';
import { type Complaint, mistake, oneFormOf, unless } from './schema-issues.ts';

/** Keys of a table whose rows are the members of a union. */
function membersOf<T extends string>(table: Readonly<Record<T, unknown>>): [T, ...T[]] {
  return Object.keys(table) as [T, ...T[]];
}

const outcome = z.enum(membersOf<Outcome>(OUTCOMES));
const reason = reasonOf(
  'a reason of a decision',
  membersOf<Reason>({ ...REFUSAL_REASONS, ...NOT_MATCHED_REASONS, ...OTHER_REASONS }),
);
const runError = reasonOf(
  'a reason of a failed run',
  membersOf<RefusalReason | FailureCode>({ ...REFUSAL_REASONS, ...FAILURE_CODES }),
);

/** One of a set that is too large to be told whole. */
function reasonOf<T extends string>(what: string, known: [T, ...T[]]): z.ZodEnum<{ [K in T]: K }> {
  return z.enum(known, {
    error: ({ input }) => {
      const like = known.filter((name) => typeof input === 'string' && input !== '' && name.includes(input));
      const near = [...new Set([closest(String(input), known) ?? [], like].flat())];
      const advice = near.length === 0 ? '' : `; did you mean ${near.map((one) => `'${one}'`).join(' or ')}?`;
      return mistake('wrong-value', `must be ${what}, see docs/reasons.md${advice}`);
    },
  });
}
const actionKind = z.enum(
  membersOf<ActionSpec['kind']>({ swap: true, detach: true, terminate: true, http: true, plugin: true }),
);
const ruleName = z.string().min(1);
const group = z.string().min(1).describe('Name of the group, or account/region/name.');
const scalar: z.ZodType<Scalar> = z.union([z.string(), z.number(), z.boolean()]);

const fact = z.string().refine((name) => describeFact(name) !== null, {
  error: ({ input }) =>
    mistake('unknown-fact', `must be the name of a fact; ${suggestion(String(input), Object.keys(FACTS))}`),
});

const evidence = z
  .strictObject({
    fact: fact.describe('Fact of the condition.'),
    result: z
      .enum(['true', 'false', 'unknown'])
      .optional()
      .describe('What the condition came to, in quotes.'),
    actual: scalar.optional().describe('Value of the fact.'),
  })
  .transform((given) => ({ fact: given.fact, result: given.result ?? null, actual: given.actual ?? null }));

const decision = z
  .strictObject({
    at: moment,
    rule: ruleName.describe('Name of the rule.'),
    outcome: outcome.describe('What becomes of the rule.'),
    reason: reason.optional().describe('Why.'),
    group: group.optional().describe('Only of this group: its name, or account/region/name.'),
    instance: instanceId.optional().describe('The instance that is decided on.'),
    actions: z.array(actionKind).optional().describe('What is to be done: every action, in order.'),
    because: z.array(evidence).default([]).describe('Conditions, and what they came to.'),
  })
  .transform(
    ({ at, rule, because, ...rest }): Expectation => ({
      ...{ kind: 'decision', atMs: at, rule, outcome: rest.outcome, reason: rest.reason ?? null, because },
      ...{ group: rest.group ?? null, instance: rest.instance ?? null, actions: rest.actions ?? null },
    }),
  );

const run = z
  .strictObject({
    at: moment,
    run: z.enum(RUN_EXPECTATIONS).describe('State of the last run that fits; under_way: it is not over.'),
    rule: ruleName.optional().describe('Only runs of this rule.'),
    group: group.optional().describe('Only of this group: its name, or account/region/name.'),
    instance: instanceId.optional().describe('Only runs that replace or remove this instance.'),
    error: runError.optional().describe('Why it did not succeed.'),
  })
  .transform(
    ({ at, run: state, rule = null, ...rest }): Expectation => ({
      ...{ kind: 'run', atMs: at, run: state, rule, error: rest.error ?? null },
      ...{ group: rest.group ?? null, instance: rest.instance ?? null },
    }),
  );

const noBound = mistake('wrong-type', 'must be a number, or a percentage such as 20%');
const bound = z
  .union([z.number(), z.string({ error: noBound }).regex(/^\d+(?:\.\d+)?%$/, { error: noBound })], {
    error: noBound,
  })
  .transform((written) => (typeof written === 'number' ? written : Number(written.slice(0, -1)) / 100))
  .exactOptional();
const factExpectation: z.ZodType<FactExpectation> = z.union(
  [
    scalar,
    z.null(),
    z
      .strictObject({
        lessThan: bound.describe('Below this.'),
        lessThanInclusive: bound.describe('At most this.'),
        greaterThan: bound.describe('Above this.'),
        greaterThanInclusive: bound.describe('At least this.'),
      })
      .refine((bounds) => Object.keys(bounds).length > 0, {
        error: mistake('empty', 'must have a bound, e.g. lessThan: 5'),
        // A misspelled bound is told already.
        when: ({ issues }) => issues.length === 0,
      }),
  ],
  {
    error: ({ input }) =>
      typeof input === 'object' && input !== null && !Array.isArray(input)
        ? undefined
        : mistake('wrong-type', 'must be a value, null for a missing fact, or a bound such as {lessThan: 5}'),
  },
);

const groupFact = z.string().refine((name) => isGroupFact(name), {
  error: ({ input }) =>
    mistake('unknown-fact', `is no fact of a group; ${suggestion(String(input), GROUP_FACTS)}`),
});

const facts = z
  .strictObject({
    at: moment,
    group,
    facts: z
      .record(groupFact, factExpectation)
      .describe('Facts of the group by their names without `group.`.'),
  })
  .transform(unless((given) => mistakenFacts(given.facts)))
  .transform(
    ({ at, group: name, facts: values }): FactsExpectation => ({
      ...{ kind: 'facts', atMs: at, group: name },
      facts: Object.fromEntries(Object.entries(values).map(([one, value]) => [one, inUnit(one, value)])),
    }),
  );

/** Values that cannot be those of their facts. */
function mistakenFacts(facts: Readonly<Record<string, FactExpectation>>): readonly Complaint[] {
  return Object.entries(facts).flatMap(([name, written]) => {
    const type = describeFact(groupFactName(name))?.type;
    const value = inUnit(name, written);
    const found = typeof value === 'object' ? 'number' : typeof value;
    if (value === null || found === type) return [];
    return [{ path: ['facts', name], message: mistake('bad-value', `must be a ${type}, as the fact is`) }];
  });
}

/** `20%` as a share where the fact is one. */
function inUnit(name: string, value: FactExpectation): FactExpectation {
  if (typeof value === 'object') return value;
  const plain = plainValue(groupFactName(name), value);
  return typeof plain === 'object' ? value : plain;
}

/** One entry of `expect`. */
export const expectation: z.ZodType<Expectation> = z.union([decision, run, facts], {
  error: oneFormOf('outcome', 'run', 'facts'),
});
