import { z } from 'zod';
import { given } from '../base/given.ts';
import {
  type ActionSpec,
  type ChainedSpec,
  HEADROOMS,
  type InChain,
  LIFECYCLE_HOOKS,
  type RemovalSpec,
  SWAP_ORDERS,
  SWAP_TARGETS,
  type SwapSpec,
  type SwapWaits,
} from '../engine/rule.ts';
import { duration, share } from './quantities.ts';
import { keysElsewhere, mistake, oneFormOf } from './schema-issues.ts';

export const order = z.enum(SWAP_ORDERS);
export const headroom = z.enum(HEADROOMS);
export const lifecycleHooks = z.enum(LIFECYCLE_HOOKS);

const wait = duration(1000).optional();

/** How long a swap waits for each of its steps; in a rule, in place of what the policy says. */
export const waits = z
  .strictObject({
    running: wait.describe('Until the new instance runs.'),
    inService: wait.describe('Until it is in service, above the grace period of the group.'),
    healthyTarget: wait.describe(
      'Until it is healthy wherever the group sends traffic, above the grace period of the group.',
    ),
    beforeRelease: wait.describe('Until the actions of beforeRelease are done.'),
    release: wait.describe('Until the old instance has left the group.'),
  })
  .transform(
    ({ running, inService, healthyTarget, beforeRelease, release }): SwapWaits =>
      given({
        runningMs: running,
        inServiceMs: inService,
        healthyTargetMs: healthyTarget,
        beforeReleaseMs: beforeRelease,
        releaseMs: release,
      }),
  );

const noUrl = mistake('bad-url', 'must be a URL that begins with http:// or https://');
const header = z.string().regex(/^[\t -~]*$/, {
  error: mistake('bad-header', 'must be one line of printable ASCII characters'),
});

/** What the connection itself needs, and the client refuses or breaks on (RFC 9110, sections 7.6 and 10.1). */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  ...[
    'connection',
    'content-length',
    'expect',
    'keep-alive',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
  ],
]);
/** What a value here would only seem to change: the request's own comes after it. */
const COPPICE_HEADERS: ReadonlySet<string> = new Set(['content-type', 'idempotency-key']);
const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, {
    error: mistake('bad-header', 'must be the name of an HTTP header'),
  })
  .refine((name) => !OWN_HEADERS.has(name.toLowerCase()), {
    error: mistake('bad-header', 'is set by HTTP itself'),
  })
  .refine((name) => !COPPICE_HEADERS.has(name.toLowerCase()), {
    error: mistake('bad-header', 'is set by Coppice'),
  });

const http = z
  .strictObject({
    url: z.url({ protocol: /^https?$/, error: noUrl }).describe('Where the request goes.'),
    headers: z
      .record(headerName, header)
      .default({})
      .describe('Headers that are sent along; secrets belong into bearerTokenFile.'),
    bearerTokenFile: z
      .string()
      .min(1)
      .optional()
      .describe('A file whose text is sent as a bearer token; read anew for each request.'),
  })
  // Said of the map: of a value the message would show the password.
  .refine(({ url }) => !hasCredentials(url), {
    error: mistake('bad-url', 'must not have a password in its url; bearerTokenFile is for secrets'),
  })
  .refine(({ headers, bearerTokenFile }) => bearerTokenFile === undefined || !hasAuthorization(headers), {
    error: mistake('mixed-keys', 'must have only one of a header Authorization and the key bearerTokenFile'),
  })
  .transform((given) => ({ ...given, bearerTokenFile: given.bearerTokenFile ?? null }));

function hasAuthorization(headers: Readonly<Record<string, string>>): boolean {
  return Object.keys(headers).some((name) => name.toLowerCase() === 'authorization');
}

function hasCredentials(url: string): boolean {
  const { username = '', password = '' } = URL.parse(url) ?? {};
  return username !== '' || password !== '';
}

/** Runs that are tried again more often than this keep their group from everything else. */
export const MOST_RETRIES = 5;

/** What every action of a chain takes. */
const inChain = {
  onFailure: z
    .enum(['stop', 'continue'])
    .default('stop')
    .describe('Whether the actions after this one are performed although it failed.'),
  timeout: duration(1000)
    .optional()
    .describe('Longest time for the action, all attempts together. Default: those of its steps.'),
  retries: z
    .int()
    .min(0)
    .max(MOST_RETRIES)
    .default(0)
    .describe('How often it is tried again, whole, after it failed and left nothing behind.'),
};

const plugin = z
  .strictObject({
    name: z.string().min(1).describe('Which one: a name of the setting plugins.'),
    timeout: duration(1000).optional().describe('Longest time for one call. Default: that of the setting.'),
  })
  .transform(({ name, timeout }) => ({ name, timeoutMs: timeout ?? null }));

const ASKS = {
  http: http.describe('Ask another system, and go on when it agrees.'),
  plugin: plugin.describe('Send the event on to an external plugin, and go on when it has done its part.'),
};

const notInSwap = {
  error: keysElsewhere(
    Object.keys(inChain),
    'only actions of then have it, and those of beforeRelease share the time of waits.beforeRelease, and fail and are tried again with their swap',
  ),
};
const chainedAction: z.ZodType<ChainedSpec> = z.union(
  [
    z
      .strictObject({ http: ASKS.http }, notInSwap)
      .transform((given): ChainedSpec => ({ kind: 'http', http: given.http })),
    z
      .strictObject({ plugin: ASKS.plugin }, notInSwap)
      .transform((given): ChainedSpec => ({ kind: 'plugin', plugin: given.plugin })),
  ],
  { error: oneFormOf('http', 'plugin') },
);

const swap: z.ZodType<SwapSpec> = z
  .strictObject({
    to: z
      .enum(SWAP_TARGETS)
      .default('auto')
      .describe(
        'Purchase option of the replacement; auto is on-demand while the floor is not met, else spot.',
      ),
    order: order
      .optional()
      .describe('Whether the new instance serves before the old one leaves. Default: the policy.'),
    headroom: headroom
      .optional()
      .describe('What to do when desired equals the maximum. Default: the policy.'),
    terminate: z
      .boolean()
      .default(true)
      .describe('Terminate the old instance; false leaves it detached and running.'),
    urgent: z
      .boolean()
      .default(false)
      .describe(
        'The old instance is going away anyway; cooldown, budgets, minHealthy and minInstanceAge do not bind.',
      ),
    beforeRelease: z
      .array(chainedAction)
      .default([])
      .describe('Actions to run, in order, before the old instance leaves.'),
    fallbackToOnDemand: z
      .boolean()
      .optional()
      .describe('Take on-demand when no spot candidate can be had. Default: the policy.'),
    lifecycleHooks: lifecycleHooks
      .optional()
      .describe('What to do in a group with a launching hook. Default: the policy.'),
    waits: waits.optional().describe('How long the swap waits for its steps. Default: the policy.'),
    minSaving: share
      .exactOptional()
      .describe(
        'Least saving, as a share of what the old instance costs, of a swap to spot. Default: 15% where the rule picks costliest-spot.',
      ),
    spreads: z
      .boolean()
      .exactOptional()
      .describe(
        'Only into a market that afterwards holds less of the group than the one that is left held. Default: true where the rule picks most-crowded-market.',
      ),
  })
  .transform((given) => ({
    ...given,
    order: given.order ?? null,
    headroom: given.headroom ?? null,
    fallbackToOnDemand: given.fallbackToOnDemand ?? null,
    lifecycleHooks: given.lifecycleHooks ?? null,
    waits: given.waits ?? {},
  }));

const removal: z.ZodType<RemovalSpec> = z.strictObject({
  replace: z
    .boolean()
    .default(true)
    .describe('Let the group launch another one; false lowers its desired capacity by one.'),
  urgent: z
    .boolean()
    .default(false)
    .describe(
      'The instance is going away anyway; cooldown, budgets, minHealthy and minInstanceAge do not bind.',
    ),
});

interface ChainKeys {
  readonly onFailure: 'stop' | 'continue';
  readonly timeout?: number | undefined;
  readonly retries: number;
}

/** Only what differs from the usual. */
function chained({ onFailure, timeout, retries }: ChainKeys): InChain {
  return {
    ...(onFailure === 'continue' ? { onFailure } : {}),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    ...(retries === 0 ? {} : { retries }),
  };
}

const swapAction = z
  .strictObject({ swap: swap.describe('Replace the instance by one of another market.'), ...inChain })
  .transform((given): ActionSpec => ({ kind: 'swap', swap: given.swap, ...chained(given) }));
const detachAction = z
  .strictObject({
    detach: removal.describe('Take the instance out of its group, and leave it running.'),
    ...inChain,
  })
  .transform((given): ActionSpec => ({ kind: 'detach', detach: given.detach, ...chained(given) }));
const terminateAction = z
  .strictObject({
    terminate: removal.describe('Terminate the instance through its group, with its hooks and draining.'),
    ...inChain,
  })
  .transform((given): ActionSpec => ({ kind: 'terminate', terminate: given.terminate, ...chained(given) }));
const httpInChain = z
  .strictObject({ http: ASKS.http, ...inChain })
  .transform((given): ActionSpec => ({ kind: 'http', http: given.http, ...chained(given) }));
const pluginInChain = z
  .strictObject({ plugin: ASKS.plugin, ...inChain })
  .transform((given): ActionSpec => ({ kind: 'plugin', plugin: given.plugin, ...chained(given) }));

/** One entry of a rule's `then`. */
export const action: z.ZodType<ActionSpec> = z
  .union([swapAction, detachAction, terminateAction, httpInChain, pluginInChain], {
    error: oneFormOf('swap', 'detach', 'terminate', 'http', 'plugin'),
  })
  .meta({ id: 'action', description: 'One of swap, detach, terminate, http or plugin.' });
