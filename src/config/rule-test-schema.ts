import { z } from 'zod';
import { OUTCOMES, type Outcome } from '../engine/decision.ts';
import { closest } from '../engine/suggest.ts';
import { policy } from './policy-schema.ts';
import { texts } from './rule-schema.ts';
import type { RuleTest } from './rule-test.ts';
import { testEvent } from './rule-test-events.ts';
import { expectation } from './rule-test-expectations.ts';
import { type GroupReference, groupIn, type Scene } from './scene.ts';
import { scene } from './scene-schema.ts';
import { type Complaint, mistake, unless } from './schema-issues.ts';

/** A Monday at midnight UTC: outside of office hours, and all periods of `every` begin there. */
const DEFAULT_START = '2026-01-05T00:00:00Z';

const OUTCOME_NAMES = Object.keys(OUTCOMES) as [Outcome, ...Outcome[]];
const ACTING = OUTCOME_NAMES.filter((outcome) => outcome !== 'not_matched');

const noStart = mistake('wrong-value', 'must be a time such as 2026-01-05T09:00:00Z');
const start = z.iso
  .datetime({ offset: true, error: noStart })
  .transform((text) => Date.parse(text))
  .refine(Number.isFinite, { error: noStart });

const policies = z.union([z.enum(['inherit', 'own']), z.array(policy).min(1)], {
  error: ({ input }) =>
    Array.isArray(input) ? undefined : mistake('wrong-value', 'must be inherit, own, or a list of policies'),
});

const exact = z
  .union([z.boolean(), z.array(z.enum(OUTCOME_NAMES)).min(1)])
  .transform((given): readonly Outcome[] => {
    if (typeof given === 'boolean') return given ? ACTING : [];
    return given;
  });

const ruleTest: z.ZodType<RuleTest> = z
  .strictObject({
    name: z.string().min(1).describe('What the rules do, in a sentence; unique in the file.'),
    start: start
      .default(Date.parse(DEFAULT_START))
      .describe(`What the clock shows at the beginning. Default: ${DEFAULT_START}, a Monday.`),
    policies: policies
      .default('inherit')
      .describe('inherit (the policies of the directory), own (those of the rule file), or a list.'),
    rules: texts.default([]).describe('Further rule files, relative to this one.'),
    cloud: scene.describe('The groups, and what else is to be known of the cloud.'),
    events: z.array(testEvent).default([]).describe('What happens, and when.'),
    expect: z.array(expectation).min(1).describe('What must be so, and when.'),
    exact: exact
      .default([])
      .describe('true, or the outcomes of which no other decisions may be made than the expected ones.'),
  })
  .transform(({ start: startsAt, ...rest }): RuleTest => ({ ...rest, startsAt }))
  .transform(unless(strangers));

/** Groups and instances that are named and not there. */
function strangers({ cloud, events, expect }: RuleTest): readonly Complaint[] {
  const ofEvents = events.flatMap(({ what }, index): Complaint[] => {
    const path = ['events', index, what.kind];
    if ('group' in what) return strangeGroup(cloud, what.group, [...path, 'group']);
    const isStrange = 'instance' in what && !idsOf(cloud).includes(what.instance);
    return isStrange ? [{ path, message: STRANGE_INSTANCE }] : [];
  });
  const expected = expect.flatMap(({ group }, index) =>
    group === null ? [] : strangeGroup(cloud, group, ['expect', index, 'group']),
  );
  return [...ofEvents, ...expected];
}

const STRANGE_INSTANCE = mistake('wrong-value', 'must be the id of an instance of the cloud');

function idsOf({ groups }: Scene): readonly string[] {
  return groups.flatMap(({ instances }) => instances.flatMap(({ ids }) => ids));
}

function strangeGroup(cloud: Scene, group: GroupReference, path: Complaint['path']): Complaint[] {
  if (groupIn(cloud, group) !== null) return [];
  const names = cloud.groups.map(({ name }) => name);
  if (names.includes(group)) return [{ path, message: AMBIGUOUS }];
  const near = closest(group, names);
  const advice = near === null ? `there are ${names.join(', ')}` : `did you mean '${near}'?`;
  return [{ path, message: mistake('wrong-value', `must be a group of the cloud; ${advice}`) }];
}

const AMBIGUOUS = mistake('wrong-value', 'names several groups of the cloud; write account/region/name');

/** What a file of tests of rules holds. */
export const ruleTestFileSchema: z.ZodType<{ readonly tests: readonly RuleTest[] }> = z
  .strictObject({
    tests: z.array(ruleTest).min(1).describe('Tests of the rule file of the same name, each by itself.'),
  })
  .transform(unless(({ tests }) => sameNames(tests)));

function sameNames(tests: readonly RuleTest[]): readonly Complaint[] {
  const names = tests.map(({ name }) => name);
  const message = mistake('duplicate-name', 'has the name of another test of the file');
  return names.flatMap((name, index) =>
    names.indexOf(name) === index ? [] : [{ path: ['tests', index], message }],
  );
}
