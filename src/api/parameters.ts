import { z } from 'zod';
import { RUN_STATES } from '../actions/run.ts';
import { parseDuration } from '../base/duration.ts';
import { INSTANCE_ID } from '../base/instance-id.ts';
import { OUTCOMES } from '../engine/decision.ts';
import { NOT_MATCHED_REASONS, OTHER_REASONS, REFUSAL_REASONS } from '../engine/reason.ts';
import { SWAP_TARGETS } from '../engine/rule.ts';

const DEFAULT_LIMIT = 50;
/** As the store's `PageQuery` allows. */
const LARGEST_LIMIT = 1000;
/** Longest reason of a pause: it is shown in tables and kept for good. */
const LONGEST_REASON = 500;

const limitText = `must be a whole number from 1 to ${LARGEST_LIMIT}`;
const sinceText =
  'must be a time in RFC 3339 (2026-01-31T12:00:00Z) or a duration before now (90s, 15m, 1h30m, 7d)';

const text = z.string('must be given once').min(1, 'must not be empty');

const group = text.exactOptional();
const rule = text.exactOptional();

const paging = {
  limit: z
    .string(limitText)
    .regex(/^\d{1,4}$/, limitText)
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= LARGEST_LIMIT, limitText)
    .default(DEFAULT_LIMIT),
  cursor: text.exactOptional(),
};

/** A moment: so long before now, or a time; both in ms. */
export type Since = { readonly ago: number } | { readonly at: number };

const rfc3339 = z.iso.datetime({ offset: true });

const since = text
  .transform((written, context): Since => {
    const ago = parseDuration(written.replace(/ ago$/, ''));
    if (ago !== null) return { ago };
    if (!rfc3339.safeParse(written).success) context.addIssue({ code: 'custom', message: sinceText });
    return { at: Date.parse(written) };
  })
  .exactOptional();

/** The moment in ms since the epoch, as a part of a store's query; nothing when there is none. */
export function sinceOf(moment: Since | undefined, now: number): { readonly since?: number } {
  if (moment === undefined) return {};
  return { since: 'ago' in moment ? now - moment.ago : moment.at };
}

/** Parameters of routes that take none. */
export const NONE = z.strictObject({});

/** Parameters of lists that have no filters. */
export const PAGE = z.strictObject(paging);

/** What tells groups of the same name apart. */
export const GROUP = z.strictObject({ region: text.exactOptional(), account: text.exactOptional() });

/** Parameters of the list of groups; `group` is a name or a key. */
export const GROUPS = z.strictObject({ ...paging, ...GROUP.shape, group });

/** Parameters of the list of decisions. */
export const DECISIONS = z.strictObject({
  ...paging,
  group,
  rule,
  event: text.exactOptional(),
  outcome: oneOf(namesOf(OUTCOMES)),
  reason: oneOf([...namesOf(OTHER_REASONS), ...namesOf(REFUSAL_REASONS), ...namesOf(NOT_MATCHED_REASONS)]),
  since,
});

/** Parameters of the list of runs. */
export const RUNS = z.strictObject({ ...paging, group, rule, state: oneOf(RUN_STATES), since });

/** Most zones of one question: each costs requests to AWS. */
const MOST_ZONES = 10;
const zonesText = `must be 1 to ${MOST_ZONES} zones, parted by commas`;

/** Parameters of the recommender's route, with Hollowtrees' names and default. */
export const RECOMMENDER = z.strictObject({
  baseInstanceType: text.default('m4.xlarge'),
  availabilityZones: text
    .transform((written) => written.split(',').map((zone) => zone.trim()))
    .refine((zones) => zones.length <= MOST_ZONES && !zones.includes(''), zonesText)
    .exactOptional(),
});

const reasonText = `must say why, in 1 to ${LONGEST_REASON} characters`;
const why = z.string(reasonText).trim().min(1, reasonText).max(LONGEST_REASON, reasonText);
const onGroup = { ...GROUP.shape, group };

/** Without this a slip would be dangerous: `{region}` alone would pause, or resume, every group of every region. */
function placeHasGroup(body: {
  readonly group?: string;
  readonly region?: string;
  readonly account?: string;
}): boolean {
  return body.group !== undefined || (body.region === undefined && body.account === undefined);
}
const placeText = { error: 'must be given when region or account are', path: ['group'] };

/** Body of a pause: all groups when none is named. */
export const PAUSE = z.strictObject({ ...onGroup, reason: why }).refine(placeHasGroup, placeText);

/** Body of a resume; its reason is only logged. */
export const RESUME = z
  .strictObject({ ...onGroup, reason: why.exactOptional() })
  .refine(placeHasGroup, placeText);

/** Body of a request for an explanation: a sample of one kind, and the one rule that is asked about where it is not all. */
export const EXPLAIN = z
  .strictObject({ alert: z.unknown().exactOptional(), event: z.unknown().exactOptional(), rule })
  .refine(({ alert, event }) => (alert === undefined) !== (event === undefined), {
    error: 'must hold either alert or event',
  });

const instanceText = 'must be the id of an instance, such as i-0123456789abcdef0';

/** Body of a request for a swap. */
export const SWAP = z.strictObject({
  instance: z.string(instanceText).regex(INSTANCE_ID, instanceText),
  to: z.enum(SWAP_TARGETS, `must be one of ${SWAP_TARGETS.join(', ')}`).default('auto'),
  dryRun: z.boolean('must be true or false').default(false),
});

/** The values of a closed set; the message names them all. */
function oneOf<T extends string>(values: readonly T[]): z.ZodExactOptional<z.ZodType<T>> {
  return z.enum(values, `must be one of ${values.join(', ')}`).exactOptional();
}

function namesOf<T extends string>(table: Readonly<Record<T, unknown>>): T[] {
  return Object.keys(table) as T[];
}
