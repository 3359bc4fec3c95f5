import {
  type ConditionProperties,
  Engine,
  type NestedConditionResult,
  type TopLevelCondition,
} from 'json-rules-engine';
import { boundedValue, type Evidence } from './decision.ts';
import type { Facts } from './fact.ts';
import {
  type ConditionLeaf,
  type ConditionTree,
  inlineConditions,
  leavesOf,
  type NamedConditions,
} from './inline.ts';
import type { Parsed, TextTest } from './matcher.ts';
import { comparisonProblems, isReference, patternTest } from './operators.ts';
import type { ConditionSpec, Scalar } from './rule.ts';

/** Kleene's three values: a comparison of a fact that is not there is neither true nor false. */
export type Truth = 'true' | 'false' | 'unknown';

/** What a rule's conditions came to. */
export interface Evaluation {
  readonly truth: Truth;
  /** Every comparison, in the order in which they are written. */
  readonly evidence: readonly Evidence[];
  /** Those that made the truth what it is. */
  readonly decisive: readonly Evidence[];
}

/** The conditions of one rule, ready to be evaluated. */
export interface CompiledCondition {
  /** Names of the facts that `evaluate` wants, each once. */
  readonly facts: readonly string[];
  /** Never interferes with another evaluation, overlapping ones included. */
  evaluate(facts: Facts): Promise<Evaluation>;
}

/** The one fact that json-rules-engine sees: the dictionary of all facts, out of which paths pick. */
const DICTIONARY = 'facts';
/** Constant: json-rules-engine emits it as an event, and names such as `error` have side effects there. */
const MATCHED = { type: 'matched' };

/**
 * Compiles a rule's conditions. json-rules-engine evaluates the comparisons; the logic over them is Kleene's and is
 * applied here, since json-rules-engine takes a missing fact for false, or under a negation for true.
 */
export function compileCondition(when: ConditionSpec, named: NamedConditions): Parsed<CompiledCondition> {
  const inlined = inlineConditions(when, named);
  if (!inlined.ok) return inlined;
  const tree = inlined.value;
  const leaves = leavesOf(tree);
  const problem = leaves.flatMap(comparisonProblems)[0];
  if (problem !== undefined) return { ok: false, message: problem.message };
  return { ok: true, value: { facts: factsOf(leaves), evaluate: evaluator(tree, leaves) } };
}

/**
 * One engine a rule, with one rule and one priority. An engine keeps the state of its run in itself, and a run that
 * begins while another one ends is skipped in silence, even so; therefore the runs of one engine follow each other.
 */
function evaluator(tree: ConditionTree, leaves: readonly ConditionLeaf[]): CompiledCondition['evaluate'] {
  const engine = buildEngine(tree, leaves);
  let last: Promise<unknown> = Promise.resolve();
  return async (facts) => {
    const run = last.then(() => engine.run({ [DICTIONARY]: facts }));
    last = run.catch(() => undefined);
    const { results, failureResults } = await run;
    const [result] = [...results, ...failureResults];
    if (result === undefined) throw new Error('json-rules-engine skipped the rule');
    const holds = comparisonResults(result.conditions);
    const evidence = leaves.map((leaf, index) => evidenceOf(leaf, holds[index] === true, facts));
    const byLeaf = new Map(leaves.map((leaf, index) => [leaf, evidence.slice(index, index + 1)]));
    return { evidence, ...fold(tree, byLeaf) };
  };
}

function buildEngine(tree: ConditionTree, leaves: readonly ConditionLeaf[]): Engine {
  const engine = new Engine([], { allowUndefinedFacts: true, pathResolver: pick });
  engine.addOperator('exists', (fact: unknown, wanted: boolean) => (fact !== undefined) === wanted);
  for (const name of ['matches', 'glob']) {
    const tests = testsOf(name, leaves);
    engine.addOperator(
      name,
      (fact: unknown, pattern: string) => typeof fact === 'string' && tests.get(pattern)?.(fact) === true,
    );
  }
  const conditions = engineNode(tree);
  engine.addRule({ conditions: 'fact' in conditions ? { all: [conditions] } : conditions, event: MATCHED });
  return engine;
}

/** The path of a comparison is the whole name of a fact: none of it is code, and no prototype is looked into. */
function pick(dictionary: object, name: string): unknown {
  return Object.hasOwn(dictionary, name) ? Reflect.get(dictionary, name) : undefined;
}

/** The tree as json-rules-engine wants it: fresh objects, since it writes into what it is given. */
function engineNode(tree: ConditionTree): TopLevelCondition | ConditionProperties {
  switch (tree.kind) {
    case 'all':
      return { all: tree.parts.map(engineNode) };
    case 'any':
      return { any: tree.parts.map(engineNode) };
    case 'not':
      return { not: engineNode(tree.part) };
    case 'leaf': {
      const { fact, operator, value = true } = tree;
      const operand = isReference(value) ? { fact: DICTIONARY, path: value.fact } : value;
      return { fact: DICTIONARY, path: fact, operator, value: operand };
    }
  }
}

/** The result of each comparison, in the order in which they are written. */
function comparisonResults(node: NestedConditionResult): readonly (boolean | undefined)[] {
  if ('all' in node) return node.all.flatMap(comparisonResults);
  if ('any' in node) return node.any.flatMap(comparisonResults);
  return 'not' in node ? comparisonResults(node.not) : [node.result];
}

/** What json-rules-engine made of a missing fact does not count, whatever the operator; only `exists` asks for it. */
function evidenceOf(leaf: ConditionLeaf, holds: boolean, facts: Facts): Evidence {
  const { fact, path, operator, value = true } = leaf;
  const actual = factOf(facts, fact);
  const expected = isReference(value) ? (factOf(facts, value.fact) ?? value) : value;
  const missing = actual === null || (isReference(value) && expected === value);
  const result = missing && operator !== 'exists' ? 'unknown' : truthOf(holds);
  return { fact, path, operator, expected: boundedValue(expected), actual: boundedValue(actual), result };
}

interface Folded {
  readonly truth: Truth;
  readonly decisive: readonly Evidence[];
}

/** Kleene's logic: unknown stays unknown under `not`; `all` is false by one false part, `any` true by one true part. */
function fold(tree: ConditionTree, byLeaf: ReadonlyMap<ConditionLeaf, readonly Evidence[]>): Folded {
  if (tree.kind === 'leaf') {
    const decisive = byLeaf.get(tree) ?? [];
    return { truth: decisive[0]?.result ?? 'unknown', decisive };
  }
  if (tree.kind === 'not') {
    const { truth, decisive } = fold(tree.part, byLeaf);
    return { truth: NEGATED[truth], decisive };
  }
  const parts = tree.parts.map((part) => fold(part, byLeaf));
  const truth = PRECEDENCE[tree.kind].find((wanted) => parts.some((part) => part.truth === wanted));
  if (truth === undefined) return { truth: 'unknown', decisive: [] };
  return { truth, decisive: parts.flatMap((part) => (part.truth === truth ? part.decisive : [])) };
}

const NEGATED: Readonly<Record<Truth, Truth>> = { true: 'false', false: 'true', unknown: 'unknown' };
/** The first of these that a part has is the truth of the whole. */
const PRECEDENCE: Readonly<Record<'all' | 'any', readonly Truth[]>> = {
  all: ['false', 'unknown', 'true'],
  any: ['true', 'unknown', 'false'],
};

function truthOf(holds: boolean): Truth {
  return holds ? 'true' : 'false';
}

function factOf(facts: Facts, name: string): Scalar | null {
  return Object.hasOwn(facts, name) ? (facts[name] ?? null) : null;
}

function factsOf(leaves: readonly ConditionLeaf[]): readonly string[] {
  const names = leaves.flatMap(({ fact, value }) => (isReference(value) ? [fact, value.fact] : [fact]));
  return [...new Set(names)];
}

/** Compiled patterns of the rule by their text, so that evaluating compiles nothing. */
function testsOf(operator: string, leaves: readonly ConditionLeaf[]): ReadonlyMap<unknown, TextTest> {
  const tests = new Map<unknown, TextTest>();
  for (const leaf of leaves) {
    const test = leaf.operator === operator ? patternTest(leaf) : null;
    if (test !== null) tests.set(leaf.value, test);
  }
  return tests;
}
