import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  Parser,
  type YAMLMap,
} from 'yaml';
import { type FileProblem, type ProblemCode, wholeFile } from './file-problem.ts';

/** Rule files are written by people; 1 MiB is some 20 000 lines. */
export const MAX_FILE_BYTES = 1_048_576;
/** Nested collections; a condition takes two a level, so 29 levels of conditions fit. */
const MAX_NESTING = 64;
/** Values in one file once its aliases are expanded: a few small aliases of aliases can stand for billions. */
const MAX_VALUES = 250_000;
/** Syntax errors reported for one file; the rest follow from the first ones. */
const MAX_SYNTAX_PROBLEMS = 10;

/** Leads from the top of a file's data to a value. */
export type Path = readonly PropertyKey[];

/** The data of one YAML file, and where in the file each value stands. */
export interface YamlSource {
  readonly file: string;
  /** Maps have no prototype, so no key of a file can mean anything to JavaScript. */
  readonly data: unknown;
  /**
   * Line and column of the value at the path, or of its key; of the nearest value around it when the file has nothing
   * at the path.
   */
  place(path: Path, want?: 'key' | 'value'): { readonly line: number; readonly column: number };
}

/** What was read of a file. `source` is null when the text is not one YAML document at all. */
export interface YamlRead {
  readonly source: YamlSource | null;
  readonly problems: readonly FileProblem[];
}

/** The one YAML document of a file, strictly read. Every reason for refusing a part of it is a problem with its place. */
export function readYaml(file: string, text: string): YamlRead {
  const lines = new LineCounter();
  const placed = (found: readonly Found[]): FileProblem[] =>
    found.map(({ code, offset, message }) => ({
      ...wholeFile(file, code, message),
      ...position(lines, offset),
    }));
  const composed = compose(text, lines);
  if (composed.kind === 'refused') return { source: null, problems: placed(composed.found) };
  const builder = new Builder();
  const tree = builder.build(composed.contents, composed.contents.range?.[0] ?? 0);
  // What was cut off would only be reported as missing.
  const source = builder.isCutOff() ? null : sourceOf(file, tree, lines);
  return { source, problems: placed(builder.found) };
}

interface Found {
  readonly code: ProblemCode;
  readonly offset: number;
  readonly message: string;
}

type Composed =
  | { readonly kind: 'document'; readonly contents: Node }
  | { readonly kind: 'refused'; readonly found: readonly Found[] };

function compose(text: string, lines: LineCounter): Composed {
  const tokens = tokenize(text, lines);
  if (tokens.kind === 'refused') return tokens;
  // Duplicate keys are looked for by Builder: the library compares each key with every other one.
  const options = {
    uniqueKeys: false,
    resolveKnownTags: false,
    prettyErrors: false,
    version: '1.2',
  } as const;
  const documents = [...new Composer(options).compose(tokens.list, true, text.length)];
  const first = documents[0];
  if (first === undefined) return refused('empty-file', 0, EMPTY);
  const wrong = syntaxProblems(first);
  if (wrong.length > 0) return { kind: 'refused', found: wrong };
  const second = documents[1];
  if (second !== undefined) return refused('several-documents', second.range[0], SEVERAL);
  const { contents } = first;
  if (contents === null || (isScalar(contents) && contents.source === ''))
    return refused('empty-file', 0, EMPTY);
  return { kind: 'document', contents };
}

const EMPTY = 'the file is empty; delete it, or write what it is for';
const SEVERAL = 'a second document (`---`) begins here; write one document a file';

function refused(code: ProblemCode, offset: number, message: string): { kind: 'refused'; found: Found[] } {
  return { kind: 'refused', found: [{ code, offset, message }] };
}

function tokenize(
  text: string,
  lines: LineCounter,
):
  | { readonly kind: 'tokens'; readonly list: CST.Token[] }
  | { readonly kind: 'refused'; readonly found: Found[] } {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  const list: CST.Token[] = [];
  for (const lexeme of new Lexer().lex(text)) {
    list.push(...parser.next(lexeme));
    // Here and not later: the composer recurses, and a megabyte of brackets takes seconds.
    if (parser.stack.length > MAX_NESTING) return refused('too-deep', parser.offset, TOO_DEEP);
  }
  list.push(...parser.end());
  return { kind: 'tokens', list };
}

const TOO_DEEP = `more than ${MAX_NESTING} levels are nested here; nothing needs that many`;

function syntaxProblems(document: Document.Parsed): readonly Found[] {
  const found = [...document.errors, ...document.warnings].map(
    ({ pos, message }): Found => ({
      code: 'yaml-syntax',
      offset: pos[0],
      message: `this is not YAML: ${lowerFirst(message.split('\n')[0] ?? '')}`,
    }),
  );
  // Under %YAML 1.1 the key `on` would be the value true.
  if (document.directives.yaml.version !== '1.2')
    found.push({
      code: 'yaml-syntax',
      offset: 0,
      message: 'the file asks for another YAML than 1.2; delete %YAML',
    });
  return found.slice(0, MAX_SYNTAX_PROBLEMS);
}

/** A value with its places as offsets into the text. */
interface Tree {
  readonly data: unknown;
  readonly at: number;
  readonly keyAt: number;
  readonly children: ReadonlyMap<string, Tree>;
}

/** Turns nodes into plain data, strictly: text keys only, each once; aliases expanded up to a limit. */
class Builder {
  readonly found: Found[] = [];
  readonly #anchors = new Map<string, Node>();
  /** Nodes that are being built, from the outermost to the innermost. */
  readonly #open = new Set<Node>();
  #values = 0;

  build(node: Node | null, keyAt: number): Tree {
    if (node === null) return leaf(null, keyAt, keyAt);
    const at = node.range?.[0] ?? keyAt;
    this.#values += 1;
    if (this.#values === MAX_VALUES) this.#refuse('too-large', at, TOO_LARGE);
    if (this.#values >= MAX_VALUES) return leaf(null, at, keyAt);
    if (isAlias(node)) return this.#alias(node.source, at, keyAt);
    this.#remember(node, at);
    if (isScalar(node)) return leaf(node.value, at, keyAt);
    if (this.#open.size >= MAX_NESTING) {
      this.#refuse('too-deep', at, TOO_DEEP);
      return leaf(null, at, keyAt);
    }
    this.#open.add(node);
    const tree = isMap(node) ? this.#map(node) : this.#list(node);
    this.#open.delete(node);
    return { ...tree, at, keyAt };
  }

  /** Whether a limit kept values of the file out of the data. */
  isCutOff(): boolean {
    return this.found.some(({ code }) => code === 'too-large' || code === 'too-deep');
  }

  #refuse(code: ProblemCode, offset: number, message: string): void {
    this.found.push({ code, offset, message });
  }

  #alias(name: string, at: number, keyAt: number): Tree {
    const target = this.#anchors.get(name);
    if (target !== undefined && !this.#open.has(target)) return this.build(target, keyAt);
    const why =
      target === undefined ? `has no anchor '&${name}' before it` : 'stands inside what it stands for';
    this.#refuse('bad-alias', at, `the alias '*${name}' ${why}`);
    return leaf(null, at, keyAt);
  }

  #remember(node: Node, at: number): void {
    const name = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (name === undefined) return;
    const known = this.#anchors.get(name);
    if (known !== undefined && known !== node)
      this.#refuse('bad-alias', at, `the anchor '&${name}' is set twice; use two names`);
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
    const children = new Map(trees.map((tree, index) => [String(index), tree]));
    return { data: trees.map((tree) => tree.data), children };
  }
}

const TOO_LARGE = `the file stands for more than ${MAX_VALUES} values, its aliases expanded; split it`;

function leaf(data: unknown, at: number, keyAt: number): Tree {
  return { data, at, keyAt, children: new Map() };
}

function keyMistake(key: unknown, known: ReadonlyMap<string, Tree>): Pick<Found, 'code' | 'message'> | null {
  if (typeof key !== 'string') return { code: 'bad-key', message: 'a key must be text; put it in quotes' };
  // Libraries down the line take this one for the prototype, or skip it in silence.
  if (key === '__proto__') return { code: 'bad-key', message: "'__proto__' cannot be a key" };
  if (known.has(key))
    return { code: 'duplicate-key', message: `the key '${key}' is given twice here; delete one of them` };
  return null;
}

function sourceOf(file: string, tree: Tree, lines: LineCounter): YamlSource {
  return {
    file,
    data: tree.data,
    place(path, want = 'value') {
      let found = tree;
      for (const [depth, step] of path.entries()) {
        const child = found.children.get(String(step));
        if (child === undefined) return position(lines, found.at);
        if (depth === path.length - 1 && want === 'key') return position(lines, child.keyAt);
        found = child;
      }
      return position(lines, found.at);
    },
  };
}

function position(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** The value that a path leads to; undefined when it leads nowhere. */
export function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[step];
  }
  return value;
}
