import type { Clock } from '../../base/clock.ts';
import { asFailure, Failure } from '../../base/failure.ts';
import { INSTANCE_ID } from '../../base/instance-id.ts';
import type { Log } from '../../telemetry/log.ts';

/** Values of the variables that say, to every AWS SDK, where the instance metadata service is; undefined when not set. */
export interface MetadataService {
  /** `AWS_EC2_METADATA_DISABLED`. */
  readonly disabled: string | undefined;
  /** `AWS_EC2_METADATA_SERVICE_ENDPOINT`: a URL. */
  readonly endpoint: string | undefined;
  /** `AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE`: `IPv4` or `IPv6`; the endpoint goes before it. */
  readonly mode: string | undefined;
}

/** What is known of the instance that this process runs on. */
export type OwnInstance =
  | { readonly kind: 'known'; readonly id: string }
  | {
      readonly kind: 'unknown';
      readonly because: string;
      /** A metadata service is there, so that this most likely is an instance. */
      readonly onInstance?: true;
    };

/** How it becomes known; `ask` has the metadata service tell it. */
export type OwnInstanceChoice = OwnInstance | { readonly kind: 'ask'; readonly service: MetadataService };

/** The service is on the same host: whoever does not get an answer within this time will get none. */
const ANSWER_MS = 1_000;
const TRIES = 2;
/** A token is used once, at once; the service does not take less than a second. */
const TOKEN_SECONDS = '60';
const ENDPOINTS: ReadonlyMap<string, string> = new Map([
  ['ipv4', 'http://169.254.169.254'],
  ['ipv6', 'http://[fd00:ec2::254]'],
]);

/**
 * Id of the instance that this process runs on; null when unknown. What came of it is logged: whoever relies on the
 * protection must be able to see that it is missing. Fails as `askOwnInstance`.
 */
export async function findOwnInstance(
  choice: OwnInstanceChoice,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<string | null> {
  const found = choice.kind === 'ask' ? await askOwnInstance(choice.service, clock) : choice;
  if (found.kind === 'known') {
    log.info({ ownInstance: found.id }, 'the instance that Coppice runs on is never swapped or ended');
    return found.id;
  }
  const fields = { because: found.because, setting: 'aws.ownInstance' };
  // Nobody to ask is what a laptop looks like; an answer without an id is not, and wants to be looked into.
  if (found.onInstance === true) log.warn(fields, UNPROTECTED);
  else log.info(fields, UNPROTECTED);
  return null;
}

const UNPROTECTED =
  'the instance that Coppice runs on is unknown, so nothing protects it from a swap; the setting can name it';

/**
 * Asks the instance metadata service (IMDSv2 only) for the id of the instance; takes four seconds at most. Outside of EC2,
 * and in containers that the service's hop limit keeps away, nobody answers. Throws `invalid_request` for variables that
 * make no sense. @internal
 */
export async function askOwnInstance(service: MetadataService, clock: Clock): Promise<OwnInstance> {
  // As the SDK for JavaScript has it: whatever is not `false` switches it off.
  if (isSet(service.disabled) && service.disabled.toLowerCase() !== 'false') {
    return { kind: 'unknown', because: 'AWS_EC2_METADATA_DISABLED is set' };
  }
  const base = baseOf(service);
  let last = await askOnce(base, clock);
  for (let tries = 1; tries < TRIES && last.kind === 'unknown'; tries++) last = await askOnce(base, clock);
  return last;
}

function baseOf({ endpoint, mode }: MetadataService): string {
  if (isSet(endpoint)) {
    const url = URL.parse(endpoint);
    if (url?.protocol === 'http:' || url?.protocol === 'https:') {
      return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
    }
    throw invalid('AWS_EC2_METADATA_SERVICE_ENDPOINT must be a URL such as http://169.254.169.254');
  }
  const known = ENDPOINTS.get(isSet(mode) ? mode.toLowerCase() : 'ipv4');
  if (known === undefined) throw invalid('AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE must be IPv4 or IPv6');
  return known;
}

/** An empty variable counts as absent. */
function isSet(variable: string | undefined): variable is string {
  return variable !== undefined && variable !== '';
}

function invalid(message: string): Failure {
  return new Failure('invalid_request', 'reject', message);
}

async function askOnce(base: string, clock: Clock): Promise<OwnInstance> {
  const token = await say(clock, `${base}/latest/api/token`, {
    method: 'PUT',
    headers: { 'x-aws-ec2-metadata-token-ttl-seconds': TOKEN_SECONDS },
  });
  if (token.kind === 'unknown') return token;
  const id = await say(clock, `${base}/latest/meta-data/instance-id`, {
    headers: { 'x-aws-ec2-metadata-token': token.text },
  });
  if (id.kind === 'unknown') return id;
  if (INSTANCE_ID.test(id.text)) return { kind: 'known', id: id.text };
  return { kind: 'unknown', because: 'the metadata service told no instance id', onInstance: true };
}

type Said = { readonly kind: 'said'; readonly text: string } | (OwnInstance & { readonly kind: 'unknown' });

/** One request; never throws. */
async function say(clock: Clock, url: string, request: RequestInit): Promise<Said> {
  const over = new AbortController();
  const timer = clock.after(ANSWER_MS, () => {
    over.abort(new Failure('timeout', 'retry', `no answer within ${ANSWER_MS} ms`));
  });
  try {
    // Whatever leads elsewhere is not the metadata service of this host.
    const response = await fetch(url, { ...request, redirect: 'error', signal: over.signal });
    const text = (await response.text()).trim();
    if (response.ok) return { kind: 'said', text };
    return { kind: 'unknown', because: `the metadata service answered ${response.status}`, onInstance: true };
  } catch (thrown) {
    return { kind: 'unknown', because: `the metadata service: ${reasonOf(thrown)}` };
  } finally {
    timer.cancel();
  }
}

/** `fetch` says only that it failed; its cause says how. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  return asFailure(cause).message;
}
