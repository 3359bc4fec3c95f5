import type { Parsed } from './matcher.ts';
import type { Comparison } from './operators.ts';
import type { ConditionSpec } from './rule.ts';

/** Conditions that rules refer to by name. */
export type NamedConditions = Readonly<Record<string, ConditionSpec>>;

/** A condition tree with every named condition put in its place. */
export type ConditionTree =
  | { readonly kind: 'all' | 'any'; readonly parts: readonly ConditionTree[] }
  | { readonly kind: 'not'; readonly part: ConditionTree }
  | ConditionLeaf;

export interface ConditionLeaf extends Comparison {
  readonly kind: 'leaf';
  /** Place in the rule's `when`, e.g. `all[0]`; inside a named condition e.g. `all[1].healthy.any[0]`. */
  readonly path: string;
}

/**
 * Most nodes of one rule after inlining. Named conditions that refer to each other twice double with every level, so a
 * few lines of YAML could otherwise ask for more than the memory holds; nobody can read a rule of a thousand.
 */
export const MOST_NODES = 1000;

/** Most named conditions of a ruleset: they are for what several rules share. */
export const MOST_NAMED = 1000;

/** The keys of which a node has exactly one. */
const KINDS = ['all', 'any', 'not', 'condition', 'fact'] as const;
type NodeKind = (typeof KINDS)[number];

/** Where the walk through the tree stands. */
interface Walk {
  readonly named: NamedConditions;
  /** Names that are being put in place, outermost first. */
  readonly within: readonly string[];
  readonly path: string;
  /** Nodes built so far, over the whole tree. */
  readonly built: { nodes: number };
}

/** Why the tree cannot be built, instead of a part of it. */
interface Flaw {
  readonly flaw: string;
}

/** Puts the named conditions in their places. The message says what is wrong when a tree cannot be built. */
export function inlineConditions(when: ConditionSpec, named: NamedConditions): Parsed<ConditionTree> {
  const tree = build(when, { named, within: [], path: '', built: { nodes: 0 } });
  return 'flaw' in tree ? { ok: false, message: tree.flaw } : { ok: true, value: tree };
}

function build(node: ConditionSpec, walk: Walk): ConditionTree | Flaw {
  walk.built.nodes++;
  if (walk.built.nodes > MOST_NODES) {
    return { flaw: `the conditions of the rule have more than ${MOST_NODES} nodes` };
  }
  if (nodeKind(node) === null) return { flaw: `a condition must have exactly one of ${KINDS.join(', ')}` };
  if ('condition' in node) return buildNamed(node.condition, walk);
  if ('not' in node) return buildNot(node.not, walk);
  if ('all' in node) return buildList('all', node.all, walk);
  if ('any' in node) return buildList('any', node.any, walk);
  return { ...node, kind: 'leaf', path: walk.path === '' ? 'when' : walk.path };
}

function buildNamed(name: string, walk: Walk): ConditionTree | Flaw {
  const target = Object.hasOwn(walk.named, name) ? walk.named[name] : undefined;
  if (target === undefined) return { flaw: `there is no condition '${name}'` };
  const within = [...walk.within, name];
  if (walk.within.includes(name)) {
    return { flaw: `the condition '${name}' contains itself (${within.join(' -> ')})` };
  }
  return build(target, { ...inside(walk, name), within });
}

function buildNot(node: ConditionSpec, walk: Walk): ConditionTree | Flaw {
  const part = build(node, inside(walk, 'not'));
  return 'flaw' in part ? part : { kind: 'not', part };
}

function buildList(kind: 'all' | 'any', nodes: readonly ConditionSpec[], walk: Walk): ConditionTree | Flaw {
  if (nodes.length === 0) return { flaw: `an empty '${kind}' says nothing` };
  const parts: ConditionTree[] = [];
  for (const [index, node] of nodes.entries()) {
    const part = build(node, inside(walk, `${kind}[${index}]`));
    if ('flaw' in part) return part;
    parts.push(part);
  }
  return { kind, parts };
}

/** Which kind of node it is; null when it has none of the keys, or several. */
export function nodeKind(node: ConditionSpec): NodeKind | null {
  const [kind, ...more] = KINDS.filter((key) => Object.hasOwn(node, key));
  return kind === undefined || more.length > 0 ? null : kind;
}

/** All comparisons of the tree, in the order in which they are written. */
export function leavesOf(tree: ConditionTree): readonly ConditionLeaf[] {
  if (tree.kind === 'leaf') return [tree];
  return tree.kind === 'not' ? leavesOf(tree.part) : tree.parts.flatMap(leavesOf);
}

function inside(walk: Walk, step: string): Walk {
  return { ...walk, path: walk.path === '' ? step : `${walk.path}.${step}` };
}
