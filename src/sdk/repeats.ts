/** Ids that came last, which a plugin recognises repeats by: an hour of several events a second. */
const MOST_IDS = 10_000;

/** Tells whether an id has come before, of those that came last. The empty one is none. */
export function createRepeats(): { isRepeat(id: string): boolean } {
  const seen = new Set<string>();
  return {
    isRepeat(id) {
      if (id === '') return false;
      // Deleted first, so that it counts as the latest again.
      const before = seen.delete(id);
      seen.add(id);
      const [oldest] = seen;
      if (seen.size > MOST_IDS && oldest !== undefined) seen.delete(oldest);
      return before;
    },
  };
}
