import type { ConditionLeaf, ConditionTree } from './inline.ts';
import { type Comparison, isReference, patternTest } from './operators.ts';
import type { Scalar } from './rule.ts';

/** What a part of a condition tree can come to at all; neither when it is always unknown. */
interface Possible {
  readonly beTrue: boolean;
  readonly beFalse: boolean;
}

/** What is known of facts without an event. */
export interface Reach {
  /** Whether no event which wakes the rule can have the fact. */
  readonly neverThere: (fact: string) => boolean;
  /** Comparisons that hold of the fact whenever it is there. */
  readonly truisms: (fact: string) => readonly Comparison[];
}

/** Whether the conditions can ever be true. Sound, not complete: false is a proof, true is none. */
export function canBeTrue(tree: ConditionTree, reach: Reach): boolean {
  return possible(tree, reach).beTrue;
}

function possible(tree: ConditionTree, reach: Reach): Possible {
  if (tree.kind === 'leaf') return possibleLeaf(tree, reach);
  if (tree.kind === 'not') {
    const { beTrue, beFalse } = possible(tree.part, reach);
    return { beTrue: beFalse, beFalse: beTrue };
  }
  const parts = tree.parts.map((part) => possible(part, reach));
  const some = (side: keyof Possible): boolean => parts.some((part) => part[side]);
  const every = (side: keyof Possible): boolean => parts.every((part) => part[side]);
  if (tree.kind === 'any') return { beTrue: some('beTrue'), beFalse: every('beFalse') };
  return { beTrue: every('beTrue') && !contradictory(tree, reach), beFalse: some('beFalse') };
}

function possibleLeaf(leaf: ConditionLeaf, { neverThere, truisms }: Reach): Possible {
  const { fact, operator, value } = leaf;
  if (operator === 'exists') {
    const wanted = value !== false;
    return neverThere(fact) ? { beTrue: !wanted, beFalse: wanted } : { beTrue: true, beFalse: true };
  }
  if (neverThere(fact) || (isReference(value) && neverThere(value.fact))) {
    return { beTrue: false, beFalse: false };
  }
  if (isReference(value)) return { beTrue: true, beFalse: true };
  const opposite = OPPOSITES[operator];
  const always = truisms(fact);
  return {
    beTrue: satisfiable([leaf], always),
    beFalse: opposite === undefined || satisfiable([{ ...leaf, operator: opposite }], always),
  };
}

/** The comparison that holds of a fact that is there just when the other does not. */
const OPPOSITES: Readonly<Record<string, string>> = {
  equal: 'notEqual',
  notEqual: 'equal',
  in: 'notIn',
  notIn: 'in',
  lessThan: 'greaterThanInclusive',
  lessThanInclusive: 'greaterThan',
  greaterThan: 'lessThanInclusive',
  greaterThanInclusive: 'lessThan',
};

/** Whether comparisons of one fact that must all hold exclude each other. */
function contradictory(tree: ConditionTree, { truisms }: Reach): boolean {
  const byFact = Map.groupBy(conjuncts(tree), ({ fact }) => fact);
  return [...byFact].some(([fact, leaves]) => leaves.length > 1 && !satisfiable(leaves, truisms(fact)));
}

/** The comparisons that must all hold: those of an `all`, and of every `all` directly inside it. */
function conjuncts(tree: ConditionTree): readonly ConditionLeaf[] {
  if (tree.kind === 'leaf') return isReference(tree.value) ? [] : [tree];
  return tree.kind === 'all' ? tree.parts.flatMap(conjuncts) : [];
}

/** What is always so of a fact counts only where it is there. */
function satisfiable(leaves: readonly ConditionLeaf[], always: readonly Comparison[]): boolean {
  const [presence, comparisons] = [
    leaves.filter(({ operator }) => operator === 'exists').map(({ value }) => value !== false),
    leaves.filter(({ operator }) => operator !== 'exists'),
  ];
  if (presence.includes(false)) return !presence.includes(true) && comparisons.length === 0;
  const all = [...comparisons, ...always];
  const allowed = all.map(allowedValues).find((values) => values !== null);
  if (allowed !== undefined) return allowed.some((value) => all.every((one) => holds(one, value)));
  return rangeIsOpen(all);
}

/** The only values that the comparison lets through; null when there is no such list. */
function allowedValues({ operator, value }: Comparison): readonly Scalar[] | null {
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

function holds(leaf: Comparison, actual: Scalar): boolean {
  const pattern = patternTest(leaf);
  if (pattern !== null) return typeof actual === 'string' && pattern(actual);
  return TESTS[leaf.operator]?.(actual, leaf.value) ?? true;
}

/** Whether the bounds leave a number: the ends that bounds name and the middle between them are enough to try. */
function rangeIsOpen(comparisons: readonly Comparison[]): boolean {
  const bounds = comparisons.filter(({ operator }) => /^(?:less|greater)Than/.test(operator));
  const ends = bounds.map(({ value }) => Number(value)).sort((a, b) => a - b);
  const tried = ends.flatMap((end, index) => [end - 1, end, (end + (ends[index + 1] ?? end + 2)) / 2]);
  return bounds.length === 0 || tried.some((value) => bounds.every((leaf) => holds(leaf, value)));
}
