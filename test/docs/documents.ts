import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

/** A Markdown file. */
export interface Document {
  /** From the root of the repository, e.g. `docs/rules.md`. */
  readonly file: string;
  readonly text: string;
}

/** A block between two lines of three backticks. */
export interface Fence {
  /** What stands behind the first backticks, e.g. `yaml`. */
  readonly info: string;
  readonly text: string;
}

/** Any file of the repository. */
export function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** Every document for people; fails when there are none, so that no test passes over nothing. */
export function documents(...patterns: readonly string[]): readonly Document[] {
  const globs = patterns.length === 0 ? ['*.md', 'docs/**/*.md'] : patterns;
  const files = globs.flatMap((glob) => globSync(glob, { cwd: ROOT })).sort();
  assert.ok(files.length > 0, `no document is named ${globs.join(', ')}`);
  return files.map((file) => ({ file, text: read(file) }));
}

export function document(file: string): Document {
  return { file, text: read(file) };
}

/** The blocks of a document, in order; with `info` only those of that language. */
export function fences({ text }: Document, info?: string): readonly Fence[] {
  return [...text.matchAll(/^```(.+)\n([\s\S]*?)^```$/gm)]
    .map(([, language = '', body = '']) => ({ info: language, text: body }))
    .filter((fence) => info === undefined || fence.info.split(' ')[0] === info);
}

/** The text without blocks of code, fenced or indented. */
export function prose({ text }: Document): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/^ {4}.*$/gm, '');
}

/** What stands between backticks in running text and tables. */
export function codeSpans(doc: Document): readonly string[] {
  return [...prose(doc).matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
}

/** The part of a document from that heading to the next one of its level or above. */
export function section({ file, text }: Document, heading: string): Document {
  const start = text.indexOf(`\n${heading}\n`);
  assert.notEqual(start, -1, `${file} has no heading "${heading}"`);
  const level = heading.indexOf(' ');
  const rest = text.slice(start + heading.length + 2);
  const end = rest.search(new RegExp(`^#{1,${level}} `, 'm'));
  return { file, text: end === -1 ? rest : rest.slice(0, end) };
}

/** Rows of the tables of a document, as cells without the backticks around names; no titles. */
export function tableRows(doc: Document): readonly (readonly string[])[] {
  const lines = prose(doc).split('\n');
  return lines
    .filter(
      (line, index) => line.startsWith('|') && !/^\|-/.test(line) && !/^\|-/.test(lines[index + 1] ?? ''),
    )
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    );
}

/** The names between backticks in the first column. */
export function firstColumn(doc: Document): readonly string[] {
  return tableRows(doc).flatMap(([first = '']) =>
    [...first.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  );
}

/** Lines of indented or fenced shell that begin with that word. */
export function commandLines({ text }: Document, word: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('    '))
    .flatMap((line) => line.split(/\s#\s/)[0]?.split('|') ?? [])
    .map((line) => line.trim())
    .filter((line) => line.startsWith(`${word} `));
}
