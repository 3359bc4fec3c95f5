/** The codes of answers that are the API's own; those of failures are added to them. Documented in docs/http.md. */
export const API_ERRORS = {
  ambiguous_group: { status: 409, meaning: 'several groups have the name; say which' },
  groups_unread: { status: 503, meaning: 'the groups have not been read from the cloud yet' },
  invalid_request: { status: 400, meaning: 'a parameter or the body is not as the route wants it' },
  not_found: { status: 404, meaning: 'there is no such thing' },
  not_ready: { status: 503, meaning: 'the daemon cannot do its work yet, or not any more' },
  run_over: { status: 409, meaning: 'the run has ended' },
  rules_rejected: { status: 422, meaning: 'the rule files have errors; the rules in force stay' },
  too_late: {
    status: 409,
    meaning: 'the run has begun to release the old instance, from where it only goes on',
  },
} as const;

export type ApiError = keyof typeof API_ERRORS;

/** What a handler gives back; the body is plain JSON, or text with a content type of its own. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

/** Seconds after which a caller may try again; the store and the cloud are back within seconds, or not for long. */
const RETRY_AFTER = { 'retry-after': '5' };

/** 200 with the body. */
export function ok(body: unknown): Answer {
  return { status: 200, body, headers: {} };
}

/** The answer of a request that is not fulfilled; `more` adds fields beside `error` and `detail`. */
export function refused(
  error: ApiError,
  detail: string,
  more: Readonly<Record<string, unknown>> = {},
): Answer {
  const { status } = API_ERRORS[error];
  return { status, body: { error, detail, ...more }, headers: status === 503 ? RETRY_AFTER : {} };
}
