/**
 * What the caller of a failed request does next.
 * - `retry`: the same request again, after a backoff
 * - `next`: another candidate; this one is not to be had
 * - `reject`: give up and undo; repeating cannot help
 * - `done`: it is already the case; go on
 */
export type Disposition = 'retry' | 'next' | 'reject' | 'done';

/** Every way in which something can fail, with what it means. Documented in docs/reasons.md; never reused. */
export const FAILURE_CODES = {
  ambiguous: 'the request may have taken effect; only sending the very same request again can tell',
  already_member: 'the instance is in the group already',
  cancelled: 'a person or a shutdown stopped it',
  denied: 'credentials are missing or lack a permission',
  group_changed: 'the group changed while it was being worked on, so that going on is not safe',
  inbox_full: 'the inbox holds as many undecided events as inbox.limit allows',
  instance_lost: 'an instance ended while it was waited for',
  internal: 'a defect of Coppice; please report it',
  invalid_request: 'the other side will never accept this request',
  lease_lost: 'another holder owns the group now; this one must not act any more',
  market_unavailable: 'the market has no capacity, or cannot serve this launch',
  no_longer_member: 'the instance is not in the group any more',
  not_found: 'the group, instance or template does not exist',
  own_instance: 'it would have ended, or taken out of its group, the instance that Coppice itself runs on',
  quota_exceeded: 'an account limit, not a shortage of the market',
  refused_elsewhere: 'another system did not agree to a request',
  size_refused: 'minimum or maximum of the group do not allow the step',
  state_refused: 'the group or the instance is in a state that does not allow the step',
  store_unavailable: 'the state store cannot be read or written',
  throttled: 'too many requests; slow down',
  timeout: 'it did not happen within the time allowed',
  unavailable: 'the other side did not answer, or answered that it cannot serve now',
} as const;

/** The name of a failure; the closed set that reaches logs, metrics and the API. */
export type FailureCode = keyof typeof FAILURE_CODES;

/**
 * An error whose handling has been decided where it was classified: no one further up looks at foreign codes or
 * texts. `cause` is the foreign error, for the log.
 */
export class Failure extends Error {
  readonly code: FailureCode;
  readonly disposition: Disposition;

  constructor(code: FailureCode, disposition: Disposition, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'Failure';
    this.code = code;
    this.disposition = disposition;
  }
}

/** Any thrown value as a Failure; what was not classified at its source is `internal`. */
export function asFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new Failure('internal', 'reject', message, thrown);
}
