import { asFailure } from '../base/failure.ts';

/** Every way in which sending can fail without an answer, with what it means. */
export const SEND_ERRORS = {
  cancelled: 'the signal aborted, or the client was closed',
  invalid_request: 'an option, a file or the event is wrong; trying again cannot help',
  timeout:
    'there was no answer in time; nobody knows whether the event was taken, so send it again with the same id',
  unavailable: 'nothing answers at the address, or it answers that it cannot now; try again later',
} as const;

export type SendErrorCode = keyof typeof SEND_ERRORS;

/** What `createClient` and `send` fail with. The message holds no token. */
export class SendError extends Error {
  override readonly name = 'SendError';
  readonly code: SendErrorCode;

  constructor(code: SendErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** Of anything that was thrown on the way. */
export function asSendError(thrown: unknown): SendError {
  if (thrown instanceof SendError) return thrown;
  const { code, message } = asFailure(thrown);
  return new SendError(isSendErrorCode(code) ? code : 'invalid_request', message, thrown);
}

function isSendErrorCode(code: string): code is SendErrorCode {
  return Object.hasOwn(SEND_ERRORS, code);
}
