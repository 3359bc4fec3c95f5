import type { ConditionLeaf, ConditionTree } from './inline.ts';
import { isReference, patternTest } from './operators.ts';
import type { Scalar } from './rule.ts';

/** What a part of a condition tree can come to at all; neither when it is always unknown. */
interface Possible {
  readonly beTrue: boolean;
  readonly beFalse: boolean;
}

/**
 * Whether the conditions can ever be true. Sound, not complete: false is a proof, true is none. `neverThere` tells of a
 * fact that no event which wakes the rule can have.
 */
export function canBeTrue(tree: ConditionTree, neverThere: (fact: string) => boolean): boolean {
  return possible(tree, neverThere).beTrue;
}

function possible(tree: ConditionTree, neverThere: (fact: string) => boolean): Possible {
  if (tree.kind === 'leaf') return possibleLeaf(tree, neverThere);
  if (tree.kind === 'not') {
    const { beTrue, beFalse } = possible(tree.part, neverThere);
    return { beTrue: beFalse, beFalse: beTrue };
  }
  const parts = tree.parts.map((part) => possible(part, neverThere));
  const some = (side: keyof Possible): boolean => parts.some((part) => part[side]);
  const every = (side: keyof Possible): boolean => parts.every((part) => part[side]);
  if (tree.kind === 'any') return { beTrue: some('beTrue'), beFalse: every('beFalse') };
  return { beTrue: every('beTrue') && !contradictory(tree), beFalse: some('beFalse') };
}

function possibleLeaf(leaf: ConditionLeaf, neverThere: (fact: string) => boolean): Possible {
  const { fact, operator, value } = leaf;
  if (operator === 'exists') {
    const wanted = value !== false;
    return neverThere(fact) ? { beTrue: !wanted, beFalse: wanted } : { beTrue: true, beFalse: true };
  }
  const unknown = neverThere(fact) || (isReference(value) && neverThere(value.fact));
  return { beTrue: !unknown, beFalse: !unknown };
}

/** Whether comparisons of one fact that must all hold exclude each other. */
function contradictory(tree: ConditionTree): boolean {
  const byFact = Map.groupBy(conjuncts(tree), ({ fact }) => fact);
  return [...byFact.values()].some((leaves) => leaves.length > 1 && !satisfiable(leaves));
}

/** The comparisons that must all hold: those of an `all`, and of every `all` directly inside it. */
function conjuncts(tree: ConditionTree): readonly ConditionLeaf[] {
  if (tree.kind === 'leaf') return isReference(tree.value) ? [] : [tree];
  return tree.kind === 'all' ? tree.parts.flatMap(conjuncts) : [];
}

function satisfiable(leaves: readonly ConditionLeaf[]): boolean {
  const [presence, comparisons] = [
    leaves.filter(({ operator }) => operator === 'exists').map(({ value }) => value !== false),
    leaves.filter(({ operator }) => operator !== 'exists'),
  ];
  if (presence.includes(false)) return !presence.includes(true) && comparisons.length === 0;
  const allowed = comparisons.map(allowedValues).find((values) => values !== null);
  if (allowed !== undefined) {
    return allowed.some((value) => comparisons.every((leaf) => holds(leaf, value)));
  }
  return rangeIsOpen(comparisons);
}

/** The only values that the comparison lets through; null when there is no such list. */
function allowedValues({ operator, value }: ConditionLeaf): readonly Scalar[] | null {
  if (operator === 'in' && Array.isArray(value)) return value as readonly Scalar[];
  return operator === 'equal' && typeof value !== 'object' && value !== undefined ? [value] : null;
}

type Test = (actual: Scalar, value: unknown) => boolean;

/** What the comparisons say of a value; one that is not in the table is taken to hold. */
const TESTS: Readonly<Record<string, Test>> = {
  equal: (actual, value) => actual === value,
  notEqual: (actual, value) => actual !== value,
  in: (actual, value) => Array.isArray(value) && value.includes(actual),
  notIn: (actual, value) => !(Array.isArray(value) && value.includes(actual)),
  lessThan: (actual, value) => Number(actual) < Number(value),
  lessThanInclusive: (actual, value) => Number(actual) <= Number(value),
  greaterThan: (actual, value) => Number(actual) > Number(value),
  greaterThanInclusive: (actual, value) => Number(actual) >= Number(value),
};

function holds(leaf: ConditionLeaf, actual: Scalar): boolean {
  const pattern = patternTest(leaf);
  if (pattern !== null) return typeof actual === 'string' && pattern(actual);
  return TESTS[leaf.operator]?.(actual, leaf.value) ?? true;
}

/** Whether the bounds leave a number: the ends that bounds name and the middle between them are enough to try. */
function rangeIsOpen(comparisons: readonly ConditionLeaf[]): boolean {
  const bounds = comparisons.filter(({ operator }) => /^(?:less|greater)Than/.test(operator));
  const ends = bounds.map(({ value }) => Number(value)).sort((a, b) => a - b);
  const tried = ends.flatMap((end, index) => [end - 1, end, (end + (ends[index + 1] ?? end + 2)) / 2]);
  return bounds.length === 0 || tried.some((value) => bounds.every((leaf) => holds(leaf, value)));
}
