/**
 * Thrown by a handler that will not do what it was asked, now or later. The caller gets the message with
 * FAILED_PRECONDITION, and does not try again.
 */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/**
 * Thrown by a handler that cannot do it now. The caller gets the message with UNAVAILABLE; Coppice tries again, so what was
 * begun must not do harm when it is done twice.
 */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}
