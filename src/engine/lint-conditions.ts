import { namesOnCycles } from './cycles.ts';
import { MOST_NODES, type NamedConditions, nodeKind } from './inline.ts';
import { comparisonProblems } from './operators.ts';
import { MOST_PROBLEMS, type Problem } from './problem.ts';
import type { ConditionSpec } from './rule.ts';
import { suggestion } from './suggest.ts';

type Path = Problem['path'];

/** Each level of a tree adds at most two parts to the path. */
const DEEPEST = 2 * MOST_NODES;

/** What is wrong with a condition tree as it is written, without looking into the named conditions that it refers to. */
export function treeProblems(root: ConditionSpec, at: Path, named: NamedConditions): readonly Problem[] {
  const problems: Problem[] = [];
  const left: { readonly node: ConditionSpec; readonly path: Path }[] = [{ node: root, path: at }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (problems.length > MOST_PROBLEMS) break;
    // So deep a tree has too many nodes anyhow, and the paths alone would take memory by the square of the depth.
    if (next.path.length - at.length > DEEPEST) continue;
    problems.push(...nodeProblems(next.node, next.path, named));
    left.push(...partsOf(next.node, next.path).reverse());
  }
  return problems;
}

/** What is wrong with the named conditions themselves: each of their trees, and those that contain themselves. */
export function namedConditionProblems(named: NamedConditions): readonly Problem[] {
  const trees = Object.entries(named);
  const onCycles = namesOnCycles(new Map(trees.map(([name, tree]) => [name, referencesOf(tree)])));
  return trees.flatMap(([name, tree]) => {
    const path = ['conditions', name];
    const problems = treeProblems(tree, path, named);
    return onCycles.has(name) ? [...problems, cyclic(name, path)] : problems;
  });
}

function nodeProblems(node: ConditionSpec, path: Path, named: NamedConditions): readonly Problem[] {
  const kind = nodeKind(node);
  if (kind === null) {
    const message = 'a condition must have exactly one of all, any, not, condition and fact';
    return [{ severity: 'error', code: 'bad-condition', message, path }];
  }
  if ('condition' in node) return referenceProblems(node.condition, path, named);
  if ('fact' in node) {
    return comparisonProblems(node).map(({ code, key, message }) => ({
      severity: 'error',
      code,
      message,
      path: [...path, key],
    }));
  }
  if ('not' in node || partsOf(node, path).length > 0) return [];
  const message = `an empty '${kind}' says nothing; json-rules-engine would take it for true`;
  return [{ severity: 'error', code: 'empty-condition', message, path: [...path, kind] }];
}

function referenceProblems(name: string, path: Path, named: NamedConditions): readonly Problem[] {
  if (Object.hasOwn(named, name)) return [];
  const names = Object.keys(named);
  const hint = names.length === 0 ? 'no conditions are defined' : suggestion(name, names);
  const message = `there is no condition '${name}'; ${hint}`;
  return [{ severity: 'error', code: 'unknown-condition', message, path: [...path, 'condition'] }];
}

function partsOf(node: ConditionSpec, path: Path): { readonly node: ConditionSpec; readonly path: Path }[] {
  if ('all' in node) return node.all.map((part, index) => ({ node: part, path: [...path, 'all', index] }));
  if ('any' in node) return node.any.map((part, index) => ({ node: part, path: [...path, 'any', index] }));
  return 'not' in node ? [{ node: node.not, path: [...path, 'not'] }] : [];
}

function referencesOf(root: ConditionSpec): ReadonlySet<string> {
  const names = new Set<string>();
  const left = [root];
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    if ('condition' in node) names.add(node.condition);
    left.push(...partsOf(node, []).map((part) => part.node));
  }
  return names;
}

function cyclic(name: string, path: Path): Problem {
  return {
    severity: 'error',
    code: 'cyclic-condition',
    message: `the condition '${name}' contains itself`,
    path,
  };
}
