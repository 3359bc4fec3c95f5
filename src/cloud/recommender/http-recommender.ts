import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import { asFailure, Failure } from '../../base/failure.ts';
import type { Log } from '../../telemetry/log.ts';
import { fetchJson } from '../fetch-json.ts';

/** A swap must not wait longer for a better order of its candidates. */
const TIMEOUT_MS = 2_000;
/** After a failure nobody is asked for so long: in a storm of interruptions each swap would wait in vain. */
const QUIET_MS = 30_000;
const MAX_BYTES = 4 * 1_048_576;

export interface HttpRecommenderOptions {
  /** Its address, to which `/api/v1/recommender/REGION` is added. */
  readonly url: string;
  readonly clock: Clock;
  readonly log: Log;
}

interface Question {
  readonly region: string;
  readonly baseType: string;
  readonly zones: readonly string[];
}

type Scores = ReadonlyMap<string, { readonly cost: number; readonly stability: number }>;

/** Hollowtrees' recommender, or a service that answers as it did, behind the port of actions/asg/recommender.ts. */
export function createHttpRecommender({ url, clock, log }: HttpRecommenderOptions): {
  advise(question: Question): Promise<ReadonlyMap<string, Scores>>;
} {
  let failed: { readonly at: number; readonly failure: Failure } | null = null;
  return {
    async advise(question) {
      if (failed !== null && clock.now() - failed.at < QUIET_MS) throw failed.failure;
      try {
        const limits = { clock, timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES };
        const scores = scoresIn(await fetchJson(addressOf(url, question), limits), question.zones);
        failed = null;
        return scores;
      } catch (thrown) {
        const failure = asFailure(thrown);
        failed = { at: clock.now(), failure };
        log.warn(
          { code: failure.code, error: failure.message },
          'the recommender cannot be followed for now',
        );
        throw failure;
      }
    },
  };
}

function addressOf(url: string, { region, baseType, zones }: Question): URL {
  const address = new URL(`${url.replace(/\/+$/, '')}/api/v1/recommender/${encodeURIComponent(region)}`);
  address.searchParams.set('baseInstanceType', baseType);
  address.searchParams.set('availabilityZones', zones.join(','));
  return address;
}

const fraction = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d+(?:\.\d+)?$/)
      .transform(Number),
  ])
  .pipe(z.number().min(0).max(1));
/** Every value is a text; in the earliest version some are numbers. Where all prices are equal it computes 0/0, and means 1. */
const entry = z
  .object({
    InstanceTypeName: z.string().min(1),
    CostScore: z.union([z.literal('NaN').transform(() => 1), fraction]),
    StabilityScore: fraction,
  })
  .transform(({ InstanceTypeName, CostScore, StabilityScore }) => {
    return [InstanceTypeName, { cost: CostScore, stability: StabilityScore }] as const;
  });
/** Zones of which it knows nothing are null or absent. */
const byZone = z.record(z.string(), z.array(entry).nullable());
/** The earliest version wraps its answer. */
const answer = z.union([
  z.object({ status: z.literal(200), data: byZone }).transform(({ data }) => data),
  byZone,
]);

/** Only of the zones that were asked for. Fails with `invalid_request` where they are not all there, or are empty. */
function scoresIn(raw: unknown, zones: readonly string[]): ReadonlyMap<string, Scores> {
  const read = answer.safeParse(raw);
  if (!read.success)
    throw new Failure('invalid_request', 'reject', 'its answer has not the shape that it should have');
  return new Map(
    zones.map((zone) => {
      const entries = read.data[zone] ?? [];
      if (entries.length > 0) return [zone, new Map(entries)];
      throw new Failure('invalid_request', 'reject', `its answer has nothing for ${zone}`);
    }),
  );
}
