import { type Clock, sleep } from '../../base/clock.ts';
import { Failure } from '../../base/failure.ts';
import type { Random } from '../../base/random.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { type AwsFault, classify } from '../fault.ts';
import type { Attempt } from './clients.ts';

/** Every operation that this adapter uses; the closed set of the metrics' label, and what an IAM policy must allow. */
export const OPERATIONS = [
  'AttachInstances',
  'CreateFleet',
  'CreateOrUpdateTags',
  'CreateTags',
  'DeleteTags',
  'DescribeAutoScalingGroups',
  'DescribeImages',
  'DescribeInstanceRefreshes',
  'DescribeInstances',
  'DescribeInstanceTypeOfferings',
  'DescribeInstanceTypes',
  'DescribeLaunchConfigurations',
  'DescribeLaunchTemplates',
  'DescribeLaunchTemplateVersions',
  'DescribeLifecycleHooks',
  'DescribeSpotPriceHistory',
  'DescribeInstanceHealth',
  'DescribeTargetHealth',
  'DetachInstances',
  'ResumeProcesses',
  'RunInstances',
  'SetInstanceProtection',
  'SuspendProcesses',
  'TerminateInstanceInAutoScalingGroup',
  'TerminateInstances',
  'UpdateAutoScalingGroup',
] as const;

export type Operation = (typeof OPERATIONS)[number];

/** The one door to the SDK: every request goes through it, is measured, and fails only with `Failure`. */
export interface Requests {
  /** The SDK has retried already. */
  read<T>(operation: Operation, send: () => Promise<T>): Promise<T>;
  /** Sent once, and for some seconds again when it was throttled, since then nothing has happened. */
  write<T>(operation: Operation, send: () => Promise<T>): Promise<T>;
}

/** Waits before a throttled write is sent again, ms. RunInstances refills at 2 tokens/s: 7 s cover a burst of 14. */
const THROTTLED_WAITS_MS = [1_000, 2_000, 4_000];
/**
 * How long after it was asked for a write may be sent again, ms. Whoever asks makes sure of its lease once, before; with the
 * wait of the pace, this stays below the margin that a lease keeps before its end. Who is throttled for longer asks again.
 */
const AGAIN_WITHIN_MS = 4_000;
/** These may come late: whoever has the group by then sends the same token, and there is one instance all the same. */
const WITH_TOKEN: ReadonlySet<Operation> = new Set(['RunInstances', 'CreateFleet']);

export interface RequestTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
}

export function createRequests({ clock, random, metrics }: RequestTools): Requests {
  for (const operation of OPERATIONS) {
    metrics.cloudRequests.inc({ operation, outcome: 'ok' }, 0);
    metrics.cloudThrottled.inc({ operation }, 0);
  }
  const measured = async <T>(operation: Operation, send: () => Promise<T>): Promise<T> => {
    const started = clock.now();
    const end = (outcome: string): void => {
      metrics.cloudRequests.inc({ operation, outcome });
      metrics.cloudRequestDuration.observe({ operation }, (clock.now() - started) / 1000);
    };
    try {
      const answer = await send();
      end('ok');
      return answer;
    } catch (thrown) {
      const failure = failureOf(operation, thrown);
      end(failure.code);
      throw failure;
    }
  };
  return {
    read: measured,
    async write(operation, send) {
      const latest = WITH_TOKEN.has(operation) ? Number.POSITIVE_INFINITY : clock.now() + AGAIN_WITHIN_MS;
      for (const wait of THROTTLED_WAITS_MS) {
        try {
          return await measured(operation, send);
        } catch (failure) {
          if (!isThrottled(failure) || clock.now() + wait > latest) throw failure;
        }
        // Equal jitter: at least half of the wait, so that many waiters neither stampede nor starve.
        await sleep(clock, (wait / 2) * (1 + random.next()));
      }
      return measured(operation, send);
    },
  };
}

/** Counts throttled attempts, those included that the SDK repeated with success. */
export function throttleCounter(metrics: Metrics): (attempt: Attempt) => void {
  return ({ operation, failed }) => {
    if (isThrottled(failureOf(operation, failed))) metrics.cloudThrottled.inc({ operation });
  };
}

function isThrottled(thrown: unknown): boolean {
  return thrown instanceof Failure && thrown.code === 'throttled';
}

/** What the SDK threw, as a Failure; its cause is the SDK's error. @internal */
export function failureOf(operation: string, thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  return classify(faultOf(operation, thrown), thrown);
}

/** The parts of the SDK's errors that matter here; none is sure to be there. */
interface SdkError extends Error {
  /** The wire code; `name` is the shape's name for declared errors. */
  readonly Code?: unknown;
  /** Node's code of an error of the connection, e.g. `ECONNRESET`. */
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
  /** Set when the answer could not be parsed. */
  readonly $responseBodyText?: unknown;
}

function faultOf(operation: string, thrown: unknown): AwsFault {
  if (!(thrown instanceof Error))
    return { operation, code: 'Unknown', message: String(thrown), status: null };
  const error: SdkError = thrown;
  const answered = error.$metadata?.httpStatusCode;
  // A 2xx that could not be read to its end took effect, and its answer is lost: as if none had come.
  const status = answered === undefined || answered < 300 ? null : answered;
  const connection = status === null ? error.code : undefined;
  const code = [error.Code, connection].find((candidate) => typeof candidate === 'string') ?? error.name;
  return { operation, code: String(code), message: error.message, status };
}

/**
 * True when the answer was a page for people instead of XML: what an emulator sends for an operation that it does not
 * have. XML that broke off is something else.
 */
export function answeredWithoutXml(failure: Failure): boolean {
  const error = failure.cause as SdkError | undefined;
  const body = error?.$responseBodyText;
  return typeof body === 'string' && /^\s*(?:<!doctype html|<html|[^<\s]|$)/i.test(body);
}

/** All pages of a list, in order. AWS ends a list with no token or an empty one; a page may be short or empty. */
export async function allPages<P extends { readonly NextToken?: string | undefined }>(
  fetch: (token: string | undefined) => Promise<P>,
): Promise<readonly P[]> {
  const pages: P[] = [];
  let token: string | undefined;
  do {
    const page = await fetch(token);
    pages.push(page);
    token = page.NextToken === '' ? undefined : page.NextToken;
  } while (token !== undefined);
  return pages;
}

/** The items in lists of at most `size`: every operation of AWS takes only so many ids. */
export function inBatches<T>(items: readonly T[], size: number): T[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, index) => items.slice(index * size, (index + 1) * size));
}
