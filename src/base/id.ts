import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

/** Crockford's base 32: no i, l, o, u, so an id can be read over the phone. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
/** 32^9 ms after the epoch is the year 3084. */
const TIME_DIGITS = 9;
/** 32^11 = 2^55 possibilities within one millisecond. */
const CHANCE_DIGITS = 11;

/** What an id names; its prefix. */
export type IdKind = 'evt' | 'dec' | 'run';

/**
 * Makes ids such as `run_1k2m4v7qe3t9…`: sortable by the millisecond of their making, unique by chance within it.
 */
export function idMaker(clock: Clock, random: Random): (kind: IdKind) => string {
  return (kind) => {
    let time = clock.now();
    let digits = '';
    for (let i = 0; i < TIME_DIGITS; i++) {
      digits = ALPHABET.charAt(time % 32) + digits;
      time = Math.floor(time / 32);
    }
    for (let i = 0; i < CHANCE_DIGITS; i++) digits += ALPHABET.charAt(Math.floor(random.next() * 32));
    return `${kind}_${digits}`;
  };
}
