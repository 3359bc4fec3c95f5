import { z } from 'zod';
import { ALERT_TYPE_PREFIX } from '../engine/event.ts';
import {
  type ActionSpec,
  type CooldownScope,
  type RuleLimits,
  type RuleSpec,
  TARGET_PICKS,
  type TargetPick,
  type TriggerSpec,
} from '../engine/rule.ts';
import { action } from './action-schema.ts';
import { condition } from './condition-schema.ts';
import { duration } from './quantities.ts';
import { mistake, oneFormOf } from './schema-issues.ts';

/** A name becomes a metric label and part of ids: 63 characters as in Kubernetes. */
const NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
const LONGEST_NAME = 63;
const noName = mistake('bad-name', 'must be in kebab-case, e.g. replace-terminating-spot');

/** Name of a rule, a policy or a condition. */
export const name = z
  .string()
  .regex(NAME, { error: noName })
  .max(LONGEST_NAME, { error: mistake('bad-name', `must have at most ${LONGEST_NAME} characters`) });

export const description = z.string().min(1);
/** Twice what AWS allows for the name of a group; no glob of that length is too large a pattern. */
const LONGEST_TEXT = 500;
const text = z.string().min(1).max(LONGEST_TEXT);
export const texts = z.array(text).min(1);

const alertName = z
  .string()
  .min(1)
  .regex(/^[^*?]+$/, {
    error: mistake('bad-alert', `names one alert; for several write type: ${ALERT_TYPE_PREFIX}Spot*`),
  });

const filters = {
  matchers: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe(
      'Label matchers in Alertmanager\'s syntax, e.g. cluster=~"prod-.*"; all must hold. RE2, anchored.',
    ),
  status: z
    .enum(['firing', 'resolved', 'any'])
    .default('firing')
    .describe('Which notifications of an alert count.'),
  repeats: z
    .boolean()
    .default(true)
    .describe('Whether a repeated notification of the same firing alert counts again.'),
};

const alertTrigger = z
  .strictObject({ alert: alertName.describe('Name of the alert (its label alertname).'), ...filters })
  .transform(({ alert, ...rest }) => typeTrigger(`${ALERT_TYPE_PREFIX}${alert}`, rest));
const eventTrigger = z
  .strictObject({ type: text.describe('Event type; * and ? make it a glob.'), ...filters })
  .transform(({ type, ...rest }) => typeTrigger(type, rest));
const timeTrigger = z
  .strictObject({ every: duration(1000).describe('Evaluated this often, for each managed group.') })
  .transform(({ every }): TriggerSpec => ({ kind: 'every', everyMs: every }));

const cronTrigger = z
  .strictObject({
    cron: z
      .string()
      .min(1)
      .describe('Evaluated at these times, for each managed group: minute, hour, day, month, weekday.'),
    timezone: z.string().min(1).default('UTC').describe('IANA time zone of the times, e.g. Europe/Budapest.'),
  })
  .transform(({ cron, timezone }): TriggerSpec => ({ kind: 'cron', cron, timezone }));

function typeTrigger(
  type: string,
  filter: {
    matchers?: readonly string[] | undefined;
    status: 'firing' | 'resolved' | 'any';
    repeats: boolean;
  },
): TriggerSpec {
  return {
    kind: 'type',
    type,
    matchers: filter.matchers ?? [],
    status: filter.status,
    repeats: filter.repeats,
  };
}

const trigger = z
  .union([alertTrigger, eventTrigger, timeTrigger, cronTrigger], {
    error: oneFormOf('alert', 'type', 'every', 'cron'),
  })
  .meta({ id: 'trigger', description: 'One of alert, type, every or cron.' });
const triggers: z.ZodType<readonly TriggerSpec[]> = z
  .union([trigger, z.array(trigger).min(1)])
  .transform((given) => (Array.isArray(given) ? given : [given]));

const subject = z
  .strictObject({
    instance: texts
      .optional()
      .describe('Label names that may hold the instance; the first present one counts.'),
    group: texts.optional().describe('Label names that may hold the group; the first present one counts.'),
  })
  .refine(({ instance, group }) => instance !== undefined || group !== undefined, {
    error: mistake('missing-key', "needs the key 'instance' or 'group'"),
  })
  .transform(({ instance, group }) => ({ instance: instance ?? [], group: group ?? [] }));

const target = z.strictObject({
  pick: z.enum(Object.keys(TARGET_PICKS) as [TargetPick, ...TargetPick[]]).describe(
    `Which instance: ${Object.entries(TARGET_PICKS)
      .map((pick) => pick.join(', '))
      .join('; ')}.`,
  ),
  limit: z.int().min(1).default(1).describe('How many instances at most.'),
});

const scope: z.ZodType<CooldownScope> = z.union(
  [z.enum(['group', 'instance', 'rule']), z.templateLiteral(['labels.', z.string().min(1)])],
  { error: mistake('wrong-value', 'must be one of group, instance, rule, labels.<name>') },
);

const cooldown = z
  .strictObject({
    for: duration(1).describe('How long the rule stays quiet for the same key after it acted.'),
    per: z
      .array(scope)
      .min(1)
      .default(['group'])
      .describe('What makes up the key: group, instance, rule, labels.<name>.'),
    after: z
      .enum(['dispatch', 'success'])
      .default('dispatch')
      .describe(
        'When it begins: with the decision; or once the run has succeeded, the rule being quiet meanwhile, too.',
      ),
  })
  .transform(({ for: forMs, per, after }) => ({ forMs, per, after }));

const most = z.int().min(1);
const limits = z
  .strictObject({
    concurrent: most.optional().describe('Most runs of the rule that are under way at a time.'),
    max: most.optional().describe('Most runs of the rule that are begun within the time of per.'),
    per: duration(1).optional().describe('Length of the window of max, which slides.'),
  })
  .refine(({ concurrent, max, per }) => [concurrent, max, per].some((one) => one !== undefined), {
    error: mistake('missing-key', "needs the key 'concurrent', or 'max' and 'per'"),
  })
  .refine(({ max, per }) => (max === undefined) === (per === undefined), {
    error: mistake('missing-key', "needs both keys 'max' and 'per', or neither"),
  })
  .transform(
    ({ concurrent, max, per }): RuleLimits => ({
      concurrent: concurrent ?? null,
      starts: max === undefined || per === undefined ? null : { max, perMs: per },
    }),
  );

/** As a constant, since the linter takes a literal `then` in an object for a promise. */
const ACTIONS = 'then';

/** One entry of the list `rules`. */
export const rule: z.ZodType<RuleSpec> = z
  .strictObject({
    name: name.describe('Kebab-case, unique over all files.'),
    description: description.optional().describe('A sentence for people.'),
    on: triggers.describe('What wakes the rule: one trigger or a list.'),
    subject: subject
      .optional()
      .describe('Label names that hold the instance and the group, instead of the usual ones.'),
    when: condition.optional().describe('What must be true. Default: nothing.'),
    target: target
      .optional()
      .describe('Which instance is meant when the event names only a group. Default: the one of the event.'),
    delay: duration()
      .optional()
      .describe(
        'Look again after so long, and act only if everything still holds and the alert still fires.',
      ),
    cooldown: cooldown.optional().describe('How long the rule stays quiet after it acted. Default: none.'),
    limits: limits.optional().describe('How much the rule may do, over all groups. Default: no limit.'),
    [ACTIONS]: z.array(action).min(1).describe('Actions, in order.'),
    mode: z
      .enum(['enforce', 'shadow'])
      .default('enforce')
      .describe('shadow decides and records, but does nothing.'),
    enabled: z.boolean().default(true).describe('A switch.'),
  })
  .transform(({ delay, ...given }) => ({
    ...given,
    delayMs: delay ?? 0,
    description: given.description ?? null,
    subject: given.subject ?? null,
    when: given.when ?? null,
    target: given.target ?? null,
    cooldown: given.cooldown ?? null,
    limits: given.limits ?? null,
    [ACTIONS]: given[ACTIONS].map((one) => worthwhile(one, given.target?.pick)),
  }));

/** A swap that saves less is not worth its risk, and the next one would follow soon (pitfall 35: 10-20 %). */
const WORTHWHILE_SAVING = 0.15;

/** What a rule picks an instance for is what its swap must achieve: to save something, or to spread the group. */
function worthwhile(given: ActionSpec, pick: TargetPick | undefined): ActionSpec {
  if (given.kind !== 'swap' || given.swap.urgent) return given;
  // Or a group that cannot be spread any further would be swapped to and fro for ever.
  if (pick === 'most-crowded-market') return { ...given, swap: { spreads: true, ...given.swap } };
  if (pick !== 'costliest-spot' || given.swap.to === 'on-demand') return given;
  return { ...given, swap: { minSaving: WORTHWHILE_SAVING, ...given.swap } };
}
