import { Refusal } from './reading.ts';

/** Most lists and objects within each other. An alert has 3 levels; what is parsed may be walked by recursion later. */
const MOST_LEVELS = 32;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `[` and `{`, `]` and `}` differ in this bit only. */
const BRACE_BIT = 0x20;
const OPENING = 0x7b;
const CLOSING = 0x7d;

/**
 * Reads JSON of bounded depth; the bytes are looked through before anything is built. `what` is the name of the text in the
 * refusal, which is always `malformed`.
 */
export function parseJson(what: string, bytes: Buffer): unknown {
  const refusal = refuseDeep(what, bytes);
  if (refusal !== null) return refusal;
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    return new Refusal('malformed', `the ${what} is not JSON`);
  }
}

/** What is wrong with the depth of a JSON text; null when nothing is. */
export function refuseDeep(what: string, bytes: Buffer): Refusal | null {
  return isDeep(bytes)
    ? new Refusal('malformed', `the ${what} is nested deeper than ${MOST_LEVELS} levels`)
    : null;
}

/** Bytes of UTF-8 that are no ASCII are above 0x7f, so none is taken for a bracket or a quote. */
function isDeep(bytes: Buffer): boolean {
  let depth = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === QUOTE) at = endOfString(bytes, at);
    else if ((byte | BRACE_BIT) === OPENING) depth++;
    else if ((byte | BRACE_BIT) === CLOSING) depth--;
    if (depth > MOST_LEVELS) return true;
  }
  return false;
}

/** Where the string that begins at `start` ends; the end of the text when it does not. */
function endOfString(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (bytes[at] === QUOTE) return at;
    // Whatever is escaped, a quote above all, is part of the string.
    if (bytes[at] === BACKSLASH) at++;
  }
  return bytes.length;
}
