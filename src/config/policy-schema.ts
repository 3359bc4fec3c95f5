import { z } from 'zod';
import { given } from '../base/given.ts';
import { type BudgetSpec, GENERATIONS, type PolicySpec } from '../engine/policy.ts';
import { headroom, lifecycleHooks, order, waits } from './action-schema.ts';
import { amount, duration, percent, relativeRange, share } from './quantities.ts';
import { description, name, texts } from './rule-schema.ts';
import { mistake } from './schema-issues.ts';

const groups = z
  .strictObject({
    names: texts.exactOptional().describe('Globs over group names; one must match.'),
    tags: z
      .record(z.string().min(1), z.string())
      .exactOptional()
      .describe('Tags of the group; all must match.'),
    regions: texts.exactOptional().describe('Regions, e.g. eu-west-1.'),
    accounts: z
      .array(
        z.string().regex(/^\d{12}$/, { error: mistake('wrong-value', 'must be twelve digits in quotes') }),
      )
      .min(1)
      .exactOptional()
      .describe('Account ids, in quotes.'),
  })
  .refine(
    ({ names, tags, regions, accounts }) => [names, regions, accounts].some(Boolean) || isFilled(tags),
    {
      error: mistake('selects-all', 'would select every group; to mean that, write names: ["*"]'),
    },
  );

function isFilled(tags: Readonly<Record<string, string>> | undefined): boolean {
  return tags !== undefined && Object.keys(tags).length > 0;
}

const onDemand = z
  .strictObject({
    base: z.int().min(0).default(0).describe('On-demand instances that are always kept.'),
    percentAboveBase: percent.default(0).describe('On-demand percentage of desired above base, rounded up.'),
  })
  .transform(({ base, percentAboveBase }) => ({ base, shareAboveBase: percentAboveBase }));

const diversity = z.strictObject({
  maxMarketShare: share
    .refine((value) => value > 0, { error: mistake('out-of-range', 'must be above 0') })
    .exactOptional()
    .describe('Largest share of the group that one market may hold; at least one instance.'),
  minMarkets: z.int().min(1).exactOptional().describe('Markets that the group must keep.'),
});

const instanceTypes = z.strictObject({
  allow: texts.exactOptional().describe('Globs; a replacement must match one.'),
  deny: texts.exactOptional().describe('Globs; a replacement must match none.'),
  architectures: z
    .array(z.enum(['x86_64', 'arm64', 'i386']))
    .min(1)
    .exactOptional()
    .describe('Processor architectures. Default: those of the own type of the group.'),
  generations: z
    .array(z.enum(GENERATIONS))
    .min(1)
    .exactOptional()
    .describe('Generations, as AWS calls a type: current or previous. Default: any.'),
  vcpus: relativeRange.exactOptional().describe('Range relative to the own type of the group, e.g. 1x..2x.'),
  memory: relativeRange.exactOptional().describe('Range relative to the own type of the group, e.g. 1x..2x.'),
  burstable: z
    .boolean()
    .exactOptional()
    .describe('Whether burstable types may replace a type that is not burstable.'),
  maxPriceRatio: z
    .number()
    .positive()
    .exactOptional()
    .describe('Highest price, as a multiple of the on-demand price of the own type of the group.'),
});

const weight = z.number().min(0).max(100);
const weights = z
  .strictObject({
    cost: weight.exactOptional().describe('For a low price.'),
    stability: weight.exactOptional().describe('For few interruptions and a calm price.'),
    diversity: weight.exactOptional().describe('For a market that holds little of the group.'),
  })
  .refine(({ cost, stability, diversity }) => [cost, stability, diversity].some((one) => one !== 0), {
    error: mistake('out-of-range', 'must not all be 0, or nothing would tell the candidates apart'),
  });

const UNLIMITED = mistake('bad-budget', "must be a list of {swaps, per}, or 'unlimited'");
const ENTRY = mistake('bad-budget', "must be {swaps, per}, {swaps, schedule, duration}, or 'unlimited'");
const NO_SPAN = "needs the key 'per', or 'schedule' and 'duration'";
const HALF_WINDOW = "needs both keys 'schedule' and 'duration', or neither";
const budget = z
  .strictObject({
    swaps: amount.describe('A number of swaps, or a share of desired such as 10%.'),
    per: duration(1)
      .optional()
      .describe('Length of the time that is counted, which slides. Default: from the opening of the window.'),
    schedule: z
      .string()
      .min(1)
      .optional()
      .describe('When a window opens: minute, hour, day, month, weekday. Default: the budget always holds.'),
    duration: duration(1).optional().describe('How long the window stays open.'),
    timezone: z
      .string()
      .min(1)
      .optional()
      .describe('IANA time zone of the schedule, e.g. Europe/Budapest. Default: UTC.'),
  })
  .refine(({ per, schedule }) => per !== undefined || schedule !== undefined, {
    error: mistake('missing-key', NO_SPAN),
  })
  .refine(({ schedule, duration: length }) => (schedule === undefined) === (length === undefined), {
    error: mistake('missing-key', HALF_WINDOW),
  })
  .refine(({ schedule, timezone }) => schedule !== undefined || timezone === undefined, {
    error: mistake('missing-key', "needs the key 'schedule', or no 'timezone'"),
  })
  .transform(
    ({ swaps, per, schedule, duration: durationMs, timezone = 'UTC' }): BudgetSpec => ({
      swaps,
      ...given({ perMs: per }),
      ...(schedule === undefined || durationMs === undefined
        ? {}
        : { window: { schedule, timezone, durationMs } }),
    }),
  );
const budgetEntry = z.union([z.literal('unlimited'), budget], {
  error: ({ input }) => (typeof input === 'object' && input !== null ? undefined : ENTRY),
});
// An empty list could be taken for "no limit" as well as for "none allowed".
const budgetList = z.array(budgetEntry).min(1, {
  error: mistake('bad-budget', "must not be empty; to switch the safety off, write 'unlimited'"),
});
const budgets = z.union([z.literal('unlimited'), budgetList], {
  error: ({ input }) => (Array.isArray(input) ? undefined : UNLIMITED),
});

const swap = z.strictObject({
  order: order
    .exactOptional()
    .describe('Whether the new instance serves before the old one leaves, or leaves first.'),
  headroom: headroom.exactOptional().describe('What to do when desired equals the maximum.'),
  fallbackToOnDemand: z
    .boolean()
    .exactOptional()
    .describe('Take on-demand when no spot candidate can be had. Default: for urgent swaps only.'),
  lifecycleHooks: lifecycleHooks.exactOptional().describe('What to do in a group with a launching hook.'),
  waits: waits.exactOptional().describe('How long a swap waits for each of its steps.'),
});

/** One entry of the list `policies`. */
export const policy: z.ZodType<PolicySpec> = z
  .strictObject({
    name: name.describe('Kebab-case, unique over all files.'),
    description: description.optional().describe('A sentence for people.'),
    groups: groups.describe('Which groups the policy selects: all that is given must match.'),
    paused: z.boolean().exactOptional().describe('A switch: nothing is done on these groups.'),
    onDemand: onDemand.exactOptional().describe('The on-demand floor, of desired.'),
    diversity: diversity.exactOptional().describe('How the group is spread over markets.'),
    instanceTypes: instanceTypes.exactOptional().describe('Which types may replace one.'),
    weights: weights
      .exactOptional()
      .describe('How much each score of a candidate counts; only their proportion matters.'),
    cooldown: duration().optional().describe('Shortest time between two voluntary swaps of a group.'),
    budgets: budgets
      .exactOptional()
      .describe('How many voluntary swaps may start; the strictest of those that hold at the time counts.'),
    minHealthy: share
      .exactOptional()
      .describe('Share of desired that must be in service before a voluntary swap.'),
    minInstanceAge: duration().optional().describe('A younger instance is not swapped voluntarily.'),
    swap: swap.exactOptional().describe('Defaults for the swaps of the group.'),
  })
  .transform(({ cooldown, minInstanceAge, ...rest }) => ({
    ...rest,
    description: rest.description ?? null,
    ...given({ cooldownMs: cooldown, minInstanceAgeMs: minInstanceAge }),
  }));
