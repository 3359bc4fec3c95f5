/**
 * Letters of the word times known words; above it nothing is compared. Enough for a thousand names or all time zones, and
 * short of what a file of nothing but long unknown names would cost.
 */
const MOST_COMPARED = 20_000;
/** Words that a message lists at most. */
const MOST_LISTED = 30;

/** The known word that `word` is most likely a misspelling of, or null when none is near. */
export function closest(word: string, known: readonly string[]): string | null {
  if (word.length * known.length > MOST_COMPARED) return null;
  const limit = Math.max(1, Math.floor(word.length / 3));
  let best: { name: string; distance: number } | null = null;
  for (const name of known) {
    if (Math.abs(name.length - word.length) > limit) continue;
    const distance = editDistance(word.toLowerCase(), name.toLowerCase());
    if (distance <= limit && (best === null || distance < best.distance)) best = { name, distance };
  }
  return best?.name ?? null;
}

/** What to add to a message about an unknown word: the one that was probably meant, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const name = closest(word, known);
  return name === null ? '' : `; did you mean '${name}'?`;
}

/** What to tell of an unknown word: the one that was probably meant, else all that are known. */
export function suggestion(word: string, known: readonly string[]): string {
  const name = closest(word, known);
  return name === null ? `known are ${listed(known)}` : `did you mean '${name}'?`;
}

function listed(known: readonly string[]): string {
  const more = known.length - MOST_LISTED;
  return `${known.slice(0, MOST_LISTED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Levenshtein's distance: inserted, deleted and replaced letters, one row of the table at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [index, letter] of [...a].entries()) {
    const next = [index + 1];
    for (let column = 1; column <= b.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (b[column - 1] === letter ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
