import { Composer, type CST, type Document, isScalar, Lexer, LineCounter, type Node, Parser } from 'yaml';
import { type FileProblem, type ProblemCode, wholeFile } from './file-problem.ts';
import { buildTree, childAt, type Found, MAX_NESTING, TOO_DEEP, type Tree } from './yaml-tree.ts';

/** Rule files are written by people; this is some 80 000 lines. */
export const MAX_FILE_BYTES = 4_194_304;
/**
 * Pieces (words, signs, spaces, ends of lines) of one file. A rule has 50 to 200, so 10 000 short ones fit; reading so many
 * takes 1 to 2 seconds and 300 MB, which is what the limit is for: a small file can be all signs.
 */
const MAX_PIECES = 800_000;
/** The beginning of a file: 30 to 120 rules, read in a thirtieth of a second. */
const BEGINNING_PIECES = 6000;
/** A file that seems to have no more, by the length of its beginning, is read at once: 100 to 400 rules, with 40 MB. */
const SMALL_PIECES = 20_000;
/** Longest text in one file; of a quoted one the library makes a string for each character. */
const LONGEST_PIECE = 65_536;
/** Longest implicit key of YAML: so far before its end can a mistake be that only comes from reading no further. */
const LONGEST_KEY = 1024;
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
  const { isWhole, ...read } = readPart(file, text, { first: MAX_PIECES, most: MAX_PIECES });
  if (isWhole) return read;
  return { source: null, problems: [wholeFile(file, 'too-large', TOO_MANY_PIECES)] };
}

const TOO_MANY_PIECES = `the file has more than ${MAX_PIECES} words and signs; split it`;

/**
 * As `readYaml`, but of a large file the beginning only, which takes a tenth of a second: whether it is worth reading on. The
 * last values of a beginning may be incomplete.
 */
export function readBeginning(file: string, text: string): YamlRead & { readonly isWhole: boolean } {
  return readPart(file, text, { first: BEGINNING_PIECES, most: SMALL_PIECES });
}

/** How many pieces to read: `first`, and then up to `most` if it seems that the text has no more. */
interface Extent {
  readonly first: number;
  readonly most: number;
}

function readPart(file: string, text: string, extent: Extent): YamlRead & { readonly isWhole: boolean } {
  const lines = new LineCounter();
  const placed = (found: readonly Found[]): FileProblem[] =>
    found.map(({ code, offset, message }) => ({
      ...wholeFile(file, code, message),
      ...position(lines, offset),
    }));
  lines.addNewLine(0);
  const tokens = tokenize(text, extent, lines);
  if (tokens.kind === 'refused') return { source: null, problems: placed(tokens.found), isWhole: true };
  const { isWhole } = tokens;
  const composed = compose(tokens);
  if (composed.kind === 'refused') return { source: null, problems: placed(composed.found), isWhole };
  const { tree, found } = buildTree(composed.contents);
  // What was cut off would only be reported as missing.
  const source = tree === null ? null : sourceOf(file, tree, lines);
  return { source, problems: placed(found), isWhole };
}

type Composed =
  | { readonly kind: 'document'; readonly contents: Node }
  | { readonly kind: 'refused'; readonly found: readonly Found[] };

function compose({ list, end, isWhole }: Tokens): Composed {
  // Duplicate keys are looked for by buildTree: the library compares each key with every other one.
  const options = {
    uniqueKeys: false,
    resolveKnownTags: false,
    prettyErrors: false,
    version: '1.2',
  } as const;
  const documents = [...new Composer(options).compose(list, true, end)];
  const first = documents[0];
  const nothing = isWhole ? refused('empty-file', 0, EMPTY) : refused('too-large', 0, ALL_COMMENTS);
  if (first === undefined) return nothing;
  const wrong = syntaxProblems(first).filter(({ offset }) => isWhole || offset < end - LONGEST_KEY);
  if (wrong.length > 0) return { kind: 'refused', found: wrong };
  const second = documents[1];
  if (second !== undefined) return refused('several-documents', second.range[0], SEVERAL);
  const { contents } = first;
  if (contents === null || (isScalar(contents) && contents.source === '')) return nothing;
  return { kind: 'document', contents };
}

const EMPTY = 'the file is empty; delete it, or write what it is for';
const ALL_COMMENTS = 'the file begins with nothing but comments and empty lines; are there any rules?';
const SEVERAL = 'a second document (`---`) begins here; write one document a file';

function refused(code: ProblemCode, offset: number, message: string): { kind: 'refused'; found: Found[] } {
  return { kind: 'refused', found: [{ code, offset, message }] };
}

interface Tokens {
  readonly kind: 'tokens';
  readonly list: CST.Token[];
  /** As an offset. */
  readonly end: number;
  readonly isWhole: boolean;
}

function tokenize(
  text: string,
  { first, most }: Extent,
  lines: LineCounter,
): Tokens | { readonly kind: 'refused'; readonly found: Found[] } {
  const control = text.search(CONTROL);
  if (control !== -1) return refused('yaml-syntax', control, NO_TEXT);
  const parser = new Parser(lines.addNewLine);
  const list: CST.Token[] = [];
  let pieces = 0;
  let isWhole = true;
  for (const piece of new Lexer().lex(text)) {
    pieces += 1;
    isWhole = pieces <= most && (pieces !== first || parser.offset * most >= text.length * first);
    if (!isWhole) break;
    if (piece.length > LONGEST_PIECE) return refused('too-large', parser.offset, TOO_LONG);
    list.push(...parser.next(piece));
    // Here and not later: the composer recurses, and a megabyte of brackets takes seconds.
    if (parser.stack.length > MAX_NESTING) return refused('too-deep', parser.offset, TOO_DEEP);
  }
  const end = parser.offset;
  list.push(...parser.end());
  return { kind: 'tokens', list, end, isWhole };
}

const TOO_LONG = `a text of more than ${LONGEST_PIECE} characters begins here; nothing needs that many`;

/** What YAML does not allow: control characters but for tabs and ends of lines. */
const CONTROL = /[^\P{Cc}\t\n\r\u0085]/u;
const NO_TEXT = 'a control character stands here, which YAML does not allow; is this a text file?';

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

function sourceOf(file: string, tree: Tree, lines: LineCounter): YamlSource {
  return {
    file,
    data: tree.data,
    place(path, want = 'value') {
      let found = tree;
      for (const [depth, step] of path.entries()) {
        const child = childAt(found, step);
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
