import type { Page } from '../actions/store.ts';
import { Failure } from '../base/failure.ts';

/** Most rows of a page; the bound of `PageQuery`. */
const LONGEST_PAGE = 1000;

/**
 * A place in a list that is ordered by time and, within one millisecond, by sequence number. What is written meanwhile
 * moves no row to the other side of it.
 */
export interface Place {
  readonly at: number;
  readonly seq: number;
}

/** The page that starts behind a cursor: what to read, and how to cut it. */
export interface PageRequest {
  readonly limit: number;
  /** Null for the first page. */
  readonly after: Place | null;
}

/** Checks what was asked for. Throws Failure `invalid_request` for a limit out of bounds or a cursor that is none. */
export function pageRequest(asked: { readonly limit: number; readonly cursor?: string }): PageRequest {
  const { limit, cursor } = asked;
  if (!Number.isInteger(limit) || limit < 1 || limit > LONGEST_PAGE) {
    throw new Failure('invalid_request', 'reject', `limit must be a whole number from 1 to ${LONGEST_PAGE}`);
  }
  return { limit, after: cursor === undefined ? null : placeOf(cursor) };
}

/** The page made of `rows`, newest first, of which one more than `limit` was read if there is one. */
export function pageOf<Row extends Place, Item>(
  rows: readonly Row[],
  limit: number,
  itemOf: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(itemOf),
    next: rows.length > limit && last !== undefined ? cursorOf(last) : null,
  };
}

/** Encoded, so that nobody is tempted to compute with it. */
function cursorOf({ at, seq }: Place): string {
  return Buffer.from(`${at}:${seq}`).toString('base64url');
}

function placeOf(cursor: string): Place {
  const text = Buffer.from(cursor, 'base64url').toString();
  const match = /^(?<at>\d+(?:\.\d+)?):(?<seq>\d+)$/.exec(text);
  if (match?.groups === undefined) {
    throw new Failure('invalid_request', 'reject', 'cursor must be the `next` of an earlier page');
  }
  return { at: Number(match.groups['at']), seq: Number(match.groups['seq']) };
}
