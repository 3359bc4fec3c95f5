import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap } from 'yaml';
import { MOST_PROBLEMS } from '../engine/problem.ts';
import { shorten } from '../engine/shorten.ts';
import type { ProblemCode } from './file-problem.ts';

/** Nested collections; a condition takes two a level, so 29 levels of conditions fit. */
export const MAX_NESTING = 64;
/** Values that aliases stand for, in one file: a few small aliases of aliases can stand for billions. */
const MAX_COPIES = 10_000;
/** A name in a file can be as long as the file; a message is one line. */
const LONGEST_NAME = 60;

export const TOO_DEEP = `more than ${MAX_NESTING} levels are nested here; nothing needs that many`;
const TOO_LARGE = `the aliases of the file stand for more than ${MAX_COPIES} values; write what is meant`;

/** What is wrong with a text, at an offset into it. */
export interface Found {
  readonly code: ProblemCode;
  readonly offset: number;
  readonly message: string;
}

/** A value with its places as offsets into the text. Maps have no prototype. */
export interface Tree {
  readonly data: unknown;
  readonly at: number;
  readonly keyAt: number;
  readonly children: Children;
}

/** By key, or by position. A leaf has none, and most trees are leaves: one for all keeps a large file cheap. */
type Children = ReadonlyMap<string, Tree> | readonly Tree[];

const NO_CHILDREN: Children = [];

/** The data of a document, and what is wrong with it. `tree` is null when a limit kept values out of it. */
export function buildTree(contents: Node): { readonly tree: Tree | null; readonly found: readonly Found[] } {
  const builder = new Builder();
  const tree = builder.build(contents, contents.range?.[0] ?? 0);
  return { tree: builder.isCutOff() ? null : tree, found: builder.found };
}

/** The part of the tree under a key or a position. */
export function childAt({ children }: Tree, step: PropertyKey): Tree | undefined {
  return isList(children) ? children[Number(step)] : children.get(String(step));
}

function isList(children: Children): children is readonly Tree[] {
  return Array.isArray(children);
}

/** Turns nodes into plain data, strictly: text keys only, each once; aliases expanded up to a limit. */
class Builder {
  readonly found: Found[] = [];
  readonly #anchors = new Map<string, Node>();
  /** Nodes that are being built, from the outermost to the innermost. */
  readonly #open = new Set<Node>();
  /** Where the alias stands that is being expanded, perhaps with others within it. */
  #expanding: number | null = null;
  #copies = 0;
  #cutOff = false;

  build(node: Node | null, keyAt: number): Tree {
    if (node === null) return leaf(null, keyAt, keyAt);
    const at = node.range?.[0] ?? keyAt;
    if (this.#expanding !== null) this.#copies += 1;
    if (this.#copies > MAX_COPIES) return this.#cut('too-large', at, TOO_LARGE);
    if (isAlias(node)) return this.#alias(node.source, at, keyAt);
    this.#remember(node, at);
    if (isScalar(node)) return leaf(node.value, at, keyAt);
    if (this.#open.size >= MAX_NESTING) return this.#cut('too-deep', at, TOO_DEEP);
    this.#open.add(node);
    const tree = isMap(node) ? this.#map(node) : this.#list(node);
    this.#open.delete(node);
    return { ...tree, at, keyAt };
  }

  /** Whether a limit kept values of the file out of the data. */
  isCutOff(): boolean {
    return this.#cutOff;
  }

  #refuse(code: ProblemCode, offset: number, message: string): void {
    if (this.found.length < MOST_PROBLEMS) this.found.push({ code, offset, message });
  }

  /** The first limit that is reached is told, and then nothing more is built. */
  #cut(code: ProblemCode, at: number, message: string): Tree {
    if (!this.#cutOff) this.#refuse(code, this.#expanding ?? at, message);
    this.#cutOff = true;
    return leaf(null, at, at);
  }

  #alias(name: string, at: number, keyAt: number): Tree {
    const target = this.#anchors.get(name);
    if (target !== undefined && !this.#open.has(target)) {
      const outer = this.#expanding;
      this.#expanding = outer ?? at;
      const tree = this.build(target, keyAt);
      this.#expanding = outer;
      return tree;
    }
    const why =
      target === undefined
        ? `has no anchor '&${shorten(name, LONGEST_NAME)}' before it`
        : 'stands inside what it stands for';
    this.#refuse('bad-alias', at, `the alias '*${shorten(name, LONGEST_NAME)}' ${why}`);
    return leaf(null, at, keyAt);
  }

  #remember(node: Node, at: number): void {
    const name = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (name === undefined) return;
    const known = this.#anchors.get(name);
    if (known !== undefined && known !== node)
      this.#refuse(
        'bad-alias',
        at,
        `the anchor '&${shorten(name, LONGEST_NAME)}' is set twice; use two names`,
      );
    this.#anchors.set(name, node);
  }

  #map(map: YAMLMap): Pick<Tree, 'data' | 'children'> {
    const children = new Map<string, Tree>();
    const data = Object.create(null) as Record<string, unknown>;
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      const keyAt = pair.key.range?.[0] ?? 0;
      const key = isScalar(pair.key) ? pair.key.value : null;
      const mistake = keyMistake(key, children);
      if (mistake !== null) this.#refuse(mistake.code, keyAt, mistake.message);
      if (mistake !== null || typeof key !== 'string') continue;
      const child = this.build(pair.value, keyAt);
      children.set(key, child);
      data[key] = child.data;
    }
    return { data, children };
  }

  #list(list: Node): Pick<Tree, 'data' | 'children'> {
    const items = isSeq<Node>(list) ? list.items : [];
    const trees = items.map((item) => this.build(item, item.range?.[0] ?? 0));
    return { data: trees.map((tree) => tree.data), children: trees };
  }
}

function leaf(data: unknown, at: number, keyAt: number): Tree {
  return { data, at, keyAt, children: NO_CHILDREN };
}

const MERGE = 'YAML 1.2 has no merge keys (`<<`); write the keys out, or use an alias for a whole value';

function keyMistake(key: unknown, known: ReadonlyMap<string, Tree>): Pick<Found, 'code' | 'message'> | null {
  if (typeof key !== 'string') return { code: 'bad-key', message: 'a key must be text; put it in quotes' };
  if (key === '<<') return { code: 'bad-key', message: MERGE };
  // Libraries down the line take this one for the prototype, or skip it in silence.
  if (key === '__proto__') return { code: 'bad-key', message: "'__proto__' cannot be a key" };
  if (known.has(key))
    return {
      code: 'duplicate-key',
      message: `the key '${shorten(key, LONGEST_NAME)}' is given twice here; delete one of them`,
    };
  return null;
}
