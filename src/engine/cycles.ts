/** What each name refers to. Names that are not keys of the map refer to nothing. */
export type References = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * The names that refer to themselves, directly or by way of others. Names from which no cycle can be reached are left out
 * first, in linear time, so that only who writes cycles pays for the search.
 */
export function namesOnCycles(references: References): ReadonlySet<string> {
  const suspects = withoutDeadEnds(references);
  return new Set([...suspects.keys()].filter((name) => reaches(name, name, suspects)));
}

/** Takes away, again and again, what refers to nothing that is left. */
function withoutDeadEnds(references: References): References {
  const referrers = reversed(references);
  const open = new Map([...references].map(([name, to]) => [name, [...to].filter(isIn(references)).length]));
  const ends = [...open].filter(([, count]) => count === 0).map(([name]) => name);
  for (let name = ends.pop(); name !== undefined; name = ends.pop()) {
    open.delete(name);
    for (const referrer of referrers.get(name) ?? []) {
      const count = (open.get(referrer) ?? 0) - 1;
      open.set(referrer, count);
      if (count === 0) ends.push(referrer);
    }
  }
  return new Map([...references].filter(([name]) => open.has(name)));
}

function reversed(references: References): ReadonlyMap<string, readonly string[]> {
  const referrers = new Map<string, string[]>();
  for (const [name, to] of references) {
    for (const other of to) {
      const known = referrers.get(other);
      if (known === undefined) referrers.set(other, [name]);
      else known.push(name);
    }
  }
  return referrers;
}

function reaches(start: string, goal: string, references: References): boolean {
  const seen = new Set<string>();
  const left = [start];
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    const to = references.get(name);
    if (to?.has(goal) === true) return true;
    for (const other of to ?? []) {
      if (seen.has(other)) continue;
      seen.add(other);
      left.push(other);
    }
  }
  return false;
}

function isIn(references: References): (name: string) => boolean {
  return (name) => references.has(name);
}
