import { z } from 'zod';
import type { Labels } from '../engine/event.ts';
import { duration } from './quantities.ts';
import { texts } from './rule-schema.ts';
import type { TestEvent, TestHappening } from './rule-test.ts';
import { instanceId, market, marketOfName, price } from './scene-schema.ts';
import { mistake } from './schema-issues.ts';

/** Longest time within a test: all that rules and policies remember fades within a day. */
const LONGEST_TEST_MS = 86_400_000;

/** A time within a test, from its beginning. */
export const moment = duration()
  .refine((ms) => ms <= LONGEST_TEST_MS, {
    error: mistake('out-of-range', 'must be at most 1d: a test lasts no longer; begin it later with start'),
  })
  .describe('Time after the start of the test, e.g. 0s or 5m.');

const labels: z.ZodType<Labels> = z.record(z.string().min(1), z.string());
const status = z.enum(['firing', 'resolved']).default('firing');

const NO_ALERT = mistake('wrong-type', 'must be a map of labels, or {labels, annotations, status}');
const NAMELESS = mistake('missing-key', "needs the label 'alertname'");

const named = labels.refine((given) => 'alertname' in given, { error: NAMELESS });
const fullAlert = z.strictObject({
  labels: named.describe('Labels of the alert, alertname among them.'),
  annotations: labels.default({}).describe('Annotations of the alert.'),
  status: status.describe('firing or resolved.'),
});

/** With all that an alert has; or the labels alone, as most tests need no more. */
const alert = z
  .union([fullAlert, named], { error: ({ input }) => (isMap(input) ? undefined : NO_ALERT) })
  .transform((given): TestHappening => {
    const full = isFull(given) ? given : { labels: given, annotations: {}, status: 'firing' as const };
    return { kind: 'alert', alert: full };
  });

function isFull(given: Labels | z.output<typeof fullAlert>): given is z.output<typeof fullAlert> {
  return isMap(given['labels']);
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const event = z
  .strictObject({
    type: z.string().min(1).describe('Type of the event.'),
    source: z.string().min(1).default('rule-test').describe('Who sends it.'),
    subject: z.string().min(1).optional().describe("The CloudEvent's subject."),
    labels: labels.default({}).describe('Labels of the event.'),
    annotations: labels.default({}).describe('Annotations of the event.'),
    status: status.describe('For forwarded alerts: firing or resolved.'),
  })
  .transform(
    ({ subject, ...rest }): TestHappening => ({
      kind: 'event',
      event: { ...rest, subject: subject ?? null },
    }),
  );

const group = z.string().min(1).describe('Name of the group, or account/region/name.');
const size = (what: string) => z.int().min(0).exactOptional().describe(what);

const resize = z
  .strictObject({
    group,
    desired: size('Desired capacity.'),
    min: size('Minimum size.'),
    max: size('Maximum size.'),
  })
  .transform(({ group: name, ...sizes }): TestHappening => ({ kind: 'resize', group: name, sizes }));

const tag = z
  .strictObject({
    group,
    key: z.string().min(1).describe('Key of the tag.'),
    value: z.string().nullable().describe('Its value; null takes it away.'),
  })
  .transform((given): TestHappening => ({ kind: 'tag', ...given }));

const capacity = z
  .strictObject({
    market: market.describe('Market, e.g. m6i.large/eu-west-1a/spot.'),
    launches: z.int().min(0).nullable().describe('How many more can be launched; null is plenty.'),
  })
  .transform(
    (given): TestHappening => ({
      kind: 'capacity',
      market: marketOfName(given.market),
      launches: given.launches,
    }),
  );

const ofInstance = (kind: 'interrupt' | 'terminate' | 'stop' | 'break' | 'mend', does: string) =>
  instanceId
    .transform((instance): TestHappening => ({ kind, instance }))
    .optional()
    .describe(does);

const ofProcesses = (kind: 'suspend' | 'resume', does: string) =>
  z
    .strictObject({ group, processes: texts.describe('Processes, e.g. Launch.') })
    .transform((given): TestHappening => ({ kind, ...given }))
    .optional()
    .describe(does);

/** What a moment of a test may bring, by key. */
const HAPPENINGS = {
  alert: alert
    .optional()
    .describe('Alertmanager notifies of an alert: its labels, or {labels, annotations, status}.'),
  event: event.optional().describe('A CloudEvent comes in.'),
  interrupt: ofInstance(
    'interrupt',
    'AWS gives the spot instance of this id its two minutes; nobody tells Coppice.',
  ),
  terminate: ofInstance('terminate', 'Somebody terminates the instance of this id.'),
  stop: ofInstance('stop', 'Somebody stops the instance of this id.'),
  break: ofInstance('break', 'The application on the instance of this id fails its health checks.'),
  mend: ofInstance('mend', 'The application on the instance of this id recovers.'),
  resize: resize.optional().describe('Somebody sets sizes of a group.'),
  tag: tag.optional().describe('Somebody sets a tag of a group, or with null takes it away.'),
  suspend: ofProcesses('suspend', 'Somebody suspends processes of a group.'),
  resume: ofProcesses('resume', 'Somebody resumes processes of a group.'),
  capacity: capacity.optional().describe('A market runs short, or has plenty again.'),
  price: price
    .transform((given): TestHappening => ({ kind: 'price', price: given }))
    .optional()
    .describe('A price changes; Coppice reads prices every five minutes.'),
};

const KEYS = Object.keys(HAPPENINGS).join(', ');

/** One entry of `events`. */
export const testEvent: z.ZodType<TestEvent> = z
  .strictObject({ at: moment, ...HAPPENINGS })
  .transform(({ at, ...given }) => ({
    atMs: at,
    happenings: Object.values(given).filter((one) => one !== undefined),
  }))
  .transform(({ atMs, happenings }, context): TestEvent => {
    const [what, ...others] = happenings;
    if (what !== undefined && others.length === 0) return { atMs, what };
    const message =
      what === undefined
        ? mistake('missing-key', `needs one of the keys ${KEYS}`)
        : mistake('mixed-keys', `must have only one of the keys ${KEYS}`);
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });
