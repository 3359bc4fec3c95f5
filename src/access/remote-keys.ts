import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import type { Log } from '../telemetry/log.ts';

/** An issuer that takes longer is taken for one that does not answer. */
const TIMEOUT_MS = 5_000;
/** Keys that an issuer has withdrawn go on for so long at most while it answers; jose's own default. */
const FRESH_MS = 10 * 60_000;
/** A token with a key that is not in the set asks the issuer at most so often, whoever sends it; jose's own default. */
const COOLDOWN_MS = 30_000;
/** How long an issuer that could not be read is left alone. */
const RETRY_MS = 5_000;

/** Issuers have a few keys of about 1 KiB; as much as a file of keys may have. */
const MOST_BYTES = 1_048_576;

/** A set of keys that is read again when it is old, or when it may lack a new one. */
interface KeySet {
  readonly keys: JWTVerifyGetKey;
  /** Whether the last reading failed. */
  failing(): boolean;
  /** Resolves when the keys are as fresh as they can be had. Fails with `unavailable` when there are none. */
  beFresh(): Promise<void>;
  /** Reads again, unless that was done a short while ago. Never fails. */
  lookAgain(): Promise<void>;
}

/**
 * The keys of an issuer, read from its URL when they are needed. When it cannot be read, the last good ones go on; where there are none, or
 * where the one that is asked for may be new, it fails with `unavailable`.
 */
export function createRemoteKeys(deps: { clock: Clock; log: Log }, url: string): JWTVerifyGetKey {
  const set = createKeySet(deps, url);
  return async (header, token) => {
    await set.beFresh();
    try {
      return await set.keys(header, token);
    } catch (thrown) {
      if (!(thrown instanceof errors.JWKSNoMatchingKey)) throw thrown;
    }
    await set.lookAgain();
    if (set.failing()) throw unavailable();
    return set.keys(header, token);
  };
}

/** jose fetches and checks the set; when that is done is decided here, by the clock. */
function createKeySet({ clock, log }: { clock: Clock; log: Log }, url: string): KeySet {
  const keys = createRemoteJWKSet(new URL(url), {
    timeoutDuration: TIMEOUT_MS,
    cacheMaxAge: Number.POSITIVE_INFINITY,
    cooldownDuration: Number.POSITIVE_INFINITY,
    [customFetch]: fetchBounded,
  });
  let goodAt: number | null = null;
  let triedAt: number | null = null;
  let failing = false;
  let reading: Promise<void> | null = null;

  // Without one, or with a clock that was put back, it is too long ago.
  const isWithin = (ms: number, since: number | null): boolean => {
    const elapsed = since === null ? ms : clock.now() - since;
    return elapsed >= 0 && elapsed < ms;
  };
  const read = async (): Promise<void> => {
    triedAt = clock.now();
    try {
      await keys.reload();
      goodAt = clock.now();
      if (failing) log.info({ url }, 'the keys of an issuer can be read again');
      failing = false;
    } catch (thrown) {
      if (!failing)
        log.warn({ url, error: asFailure(thrown).message }, 'the keys of an issuer cannot be read');
      failing = true;
    } finally {
      reading = null;
    }
  };
  const readUnlessWithin = async (cooldownMs: number): Promise<void> => {
    if (!isWithin(failing ? RETRY_MS : cooldownMs, triedAt)) reading ??= read();
    if (reading !== null) await reading;
  };

  return {
    keys,
    failing: () => failing,
    async beFresh() {
      if (isWithin(FRESH_MS, goodAt)) return;
      // Nobody waits for an issuer that did not answer last time, as long as there are keys to go on with.
      const needsNoWait = failing && goodAt !== null;
      const fresh = readUnlessWithin(0);
      if (!needsNoWait) await fresh;
      if (goodAt === null) throw unavailable();
    },
    lookAgain: () => readUnlessWithin(COOLDOWN_MS),
  };
}

function unavailable(): Failure {
  return new Failure('unavailable', 'retry', 'the keys of the issuer cannot be read');
}

/** As `fetch`, but an answer that is too long fails before it is held. */
async function fetchBounded(url: string, options: RequestInit): Promise<Response> {
  const response = await fetch(url, options);
  if (response.status !== 200) {
    await response.body?.cancel();
    return response;
  }
  const body: AsyncIterable<Uint8Array> | null = response.body;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES)
      throw new Failure('unavailable', 'retry', `the answer is larger than ${MOST_BYTES / 1_048_576} MiB`);
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks));
}
