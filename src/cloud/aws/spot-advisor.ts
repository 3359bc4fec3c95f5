import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import { formatDuration } from '../../base/duration.ts';
import { asFailure, Failure } from '../../base/failure.ts';
import type { Log } from '../../telemetry/log.ts';
import { INTERRUPTION_BANDS, type InterruptionBand } from '../cloud.ts';
import { fetchJson, parsed } from '../fetch-json.ts';
import type { SpotProduct } from './spot-product.ts';

/** The feed covers a month and changes some times a day at most. */
const FRESH_MS = 12 * 3_600_000;
/** Until the next try after a failure. */
const RETRY_MS = 10 * 60_000;
const TIMEOUT_MS = 30_000;
/** The public feed has some 5 MB. */
const MAX_BYTES = 64 * 1_048_576;

/** Interruption bands by type name. */
type Bands = ReadonlyMap<string, InterruptionBand>;

/** How often AWS says that spot instances of each type are interrupted. */
export interface SpotAdvisor {
  /**
   * The bands of a region as last read, for a product; empty while nothing is known. Never waits and never fails: when the
   * last reading is old, a new one is begun in the background, and until it has come the old one holds.
   */
  bands(region: string, product: SpotProduct | null): Bands;
}

export interface SpotAdvisorOptions {
  /** Reads the feed as JSON; null where there is none. */
  readonly read: (() => Promise<unknown>) | null;
  /** Only these are kept: the feed has all of AWS. */
  readonly regions: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

const NOTHING: Bands = new Map();

/** AWS's Spot Advisor feed, or a copy of it, read in the background when somebody asks what it says. */
export function createSpotAdvisor({ read, regions, clock, log }: SpotAdvisorOptions): SpotAdvisor {
  if (read === null) return { bands: () => NOTHING };
  let last: { readonly feed: Feed; readonly at: number } | null = null;
  let dueAt = Number.NEGATIVE_INFINITY;
  const refresh = async (): Promise<void> => {
    // Nobody begins a second reading while this one is under way.
    dueAt = Number.POSITIVE_INFINITY;
    try {
      const feed = feedOf(await read(), regions);
      last = { feed, at: clock.now() };
      dueAt = clock.now() + FRESH_MS;
    } catch (thrown) {
      dueAt = clock.now() + RETRY_MS;
      const age = last === null ? null : formatDuration(clock.now() - last.at);
      log.warn(
        { age, error: asFailure(thrown).message },
        'the Spot Advisor feed cannot be read; what was known holds',
      );
    }
  };
  return {
    bands(region, product) {
      if (clock.now() >= dueAt) void refresh();
      const system = product === 'Windows' ? 'Windows' : 'Linux';
      return last?.feed.get(`${region}/${system}`) ?? NOTHING;
    },
  };
}

/** By region and operating system, e.g. `eu-west-1/Linux`. */
type Feed = ReadonlyMap<string, Bands>;

/** Reads the feed at a path or an address. What it returns fails as `fetchJson` does. */
export function feedReader(source: string, clock: Clock): () => Promise<unknown> {
  if (!URL.canParse(source)) return async () => parsed(await textOf(source));
  return () => fetchJson(new URL(source), { clock, timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES });
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    throw unreadable(thrown);
  }
}

function unreadable(thrown: unknown): Failure {
  return new Failure('unavailable', 'retry', asFailure(thrown).message, thrown);
}

/** `r` is the index of a band; what else the feed has is not looked at. */
const rating = z.object({ r: z.literal(INTERRUPTION_BANDS) });
const systems = z.object({
  Linux: z.record(z.string(), rating).optional(),
  Windows: z.record(z.string(), rating).optional(),
});
const feedShape = z.object({ spot_advisor: z.record(z.string(), z.unknown()) });

/** Takes all of the wanted regions or nothing: half a feed would make the other half look bad. */
function feedOf(raw: unknown, regions: readonly string[]): Feed {
  const feed = new Map<string, Bands>();
  const byRegion = checked(feedShape, raw).spot_advisor;
  for (const region of regions) {
    if (!Object.hasOwn(byRegion, region)) continue;
    for (const [system, ratings] of Object.entries(checked(systems, byRegion[region]))) {
      const bands = Object.entries(ratings ?? {}).map(([type, { r }]) => [type, r] as const);
      feed.set(`${region}/${system}`, new Map(bands));
    }
  }
  return feed;
}

function checked<T>(schema: z.ZodType<T>, raw: unknown): T {
  const read = schema.safeParse(raw);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const detail = `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`;
  throw new Failure('invalid_request', 'reject', `it is not the feed that AWS publishes: ${detail}`);
}
