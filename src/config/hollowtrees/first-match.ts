import { matcherText, type WantedLabel } from './flow.ts';

/** What decides in v1 which flow takes an event. */
export interface Chooser {
  readonly title: string;
  readonly type: string;
  /** Null when it never matches. */
  readonly labels: readonly WantedLabel[] | null;
}

/** Which events are left to a flow by those before it. */
export type Share =
  /** Matchers; those of any list must all hold. */
  | {
      readonly kind: 'some';
      readonly alternatives: readonly (readonly string[])[];
      readonly after: readonly string[];
    }
  /** `by` takes every event that it would take. */
  | { readonly kind: 'none'; readonly by: string }
  | { readonly kind: 'too-many' };

/** Triggers of a rule that nobody can read any more, and characters of them. */
const MOST_ALTERNATIVES = 16;
const LONGEST = 10_000;

/**
 * In v1 only the first flow that matches runs, but every rule that matches does. So a rule gets what is left: its own labels,
 * and of each flow before it that could take the same events at least one label that differs. By De Morgan that is a
 * list of alternatives. An absent label differs, too: in v1 it failed to match, and `!=` holds for it.
 */
export function leftTo(flow: Chooser, earlier: readonly Chooser[]): Share {
  const own = new Map(flow.labels?.map(({ name, value }) => [name, value]));
  let alternatives = [(flow.labels ?? []).map(({ name, value }) => matcherText(name, '=', value))];
  const after: string[] = [];
  for (const { title, type, labels } of earlier) {
    if (type !== flow.type || labels === null) continue;
    if (labels.some(({ name, value }) => own.has(name) && own.get(name) !== value)) continue;
    const differing = labels.filter(({ name }) => !own.has(name));
    if (differing.length === 0) return { kind: 'none', by: title };
    after.push(title);
    alternatives = alternatives.flatMap((matchers) =>
      differing.map(({ name, value }) => [...matchers, matcherText(name, '!=', value)]),
    );
    if (alternatives.length > MOST_ALTERNATIVES || alternatives.flat().join('').length > LONGEST)
      return { kind: 'too-many' };
  }
  return { kind: 'some', alternatives: alternatives.map((matchers) => [...new Set(matchers)]), after };
}
