import { z } from 'zod';
import { plainValue } from '../engine/facts.ts';
import type { ConditionSpec, ConditionValue, Scalar } from '../engine/rule.ts';
import { mistake, oneFormOf } from './schema-issues.ts';

/**
 * A tree of conditions. json-rules-engine takes an empty list for true, prefers `any` where a node has `all` as well,
 * and ignores keys that it does not know; so each of these is a mistake here.
 */
export const condition: z.ZodType<ConditionSpec> = z
  .lazy(() =>
    // Most nodes are comparisons: each form that is tried in vain costs as much as the right one.
    z.union([comparison, all, any, not, named], {
      error: oneFormOf('all', 'any', 'not', 'condition', 'fact'),
    }),
  )
  .meta({
    id: 'condition',
    description: 'One of all, any, not, condition, or fact with operator and value.',
  });

const list = z.array(condition).min(1, {
  error: mistake('empty-condition', 'must have at least one condition; an empty list would always be true'),
});

const all = z.strictObject({ all: list.describe('True when every one of these is.') });
const any = z.strictObject({ any: list.describe('True when one of these is.') });
const not = z.strictObject({ not: condition.describe('True when this is false.') });
const named = z.strictObject({
  condition: z.string().min(1).describe('Name of a condition under the top-level key conditions.'),
});

const scalar: z.ZodType<Scalar> = z.union([z.string(), z.number(), z.boolean()]);
const NO_VALUE = mistake(
  'wrong-type',
  'must be a text, a number, true or false, a list of these, or {fact: name}',
);
const value: z.ZodType<ConditionValue> = z.union(
  [
    scalar,
    z.array(scalar),
    z.strictObject({ fact: z.string().min(1).describe('Another fact to compare with.') }),
  ],
  { error: NO_VALUE },
);

const comparison = z
  .strictObject({
    fact: z.string().min(1).describe('Name of the fact, e.g. group.diversityRatio or event.labels.cluster.'),
    operator: z.string().min(1).describe('How the fact is compared with the value, e.g. lessThan.'),
    value: value
      .exactOptional()
      .describe('What the fact is compared with. Seconds may be written 15m, ratios 20%.'),
  })
  .transform((node) =>
    node.value === undefined ? node : { ...node, value: plainValue(node.fact, node.value) },
  );
