import { randomFillSync } from 'node:crypto';

/** The only source of chance (law 8). */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
}

const BYTES_PER_NUMBER = 6;
/** Bytes fetched at once: a call to the operating system costs over 1 us, and an id takes eleven numbers. */
const POOL = Buffer.alloc(BYTES_PER_NUMBER * 512);
let used = POOL.length;

/** Chance from the operating system. */
export const systemRandom: Random = {
  next() {
    if (used === POOL.length) {
      randomFillSync(POOL);
      used = 0;
    }
    used += BYTES_PER_NUMBER;
    return POOL.readUIntBE(used - BYTES_PER_NUMBER, BYTES_PER_NUMBER) / 2 ** 48;
  },
};

/** The same sequence for the same seed (mulberry32, public domain, by Tommy Ettinger). For tests and the demo. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    next() {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}
