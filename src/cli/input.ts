import { createReadStream } from 'node:fs';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { parseDocument, type YAMLError } from 'yaml';
import { Failure } from '../base/failure.ts';

/** Reads a text. */
export type ReadInput = (file: string) => Promise<string>;

/** The text of a file, or of standard input for `-`. */
export const readInput: ReadInput = (file) => text(openInput(file));

/**
 * The bytes of a file, or of standard input for `-`. Not a file stream on descriptor 0: a pipe into which nobody has written
 * yet would fail with EAGAIN, as it does not block once anything has touched `process.stdin`.
 */
export function openInput(file: string): Readable {
  return file === '-' ? process.stdin : createReadStream(file);
}

/** The value in a JSON or YAML file. Fails with `invalid_request` when it cannot be read, naming the file and place. */
export async function readData(file: string, read: ReadInput): Promise<unknown> {
  const document = parseDocument(await readText(file, read), { prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) throw malformed(file, error);
  try {
    // The default bound on aliases keeps a small file from growing without end.
    return document.toJS() as unknown;
  } catch (thrown) {
    throw unreadable(file, thrown);
  }
}

/** The text of a file or of standard input. Fails with `invalid_request`, naming the file. */
export async function readText(file: string, read: ReadInput): Promise<string> {
  try {
    return await read(file);
  } catch (thrown) {
    throw unreadable(file, thrown);
  }
}

/** What the system's codes for what happens to people mean; others are shown as they came. */
const CAUSES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'this is a directory',
  EACCES: 'the file may not be read',
};

/** The failure for a file that cannot be read, or for standard input where it is named `-`. */
export function unreadable(file: string, thrown: unknown): Failure {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  const [firstLine = ''] = (thrown instanceof Error ? thrown.message : String(thrown)).split('\n');
  return new Failure('invalid_request', 'reject', `${nameOf(file)}: ${CAUSES[code] ?? firstLine}`, thrown);
}

/** The package ends its first line with the place. */
function malformed(file: string, error: YAMLError): Failure {
  const [{ line, col }] = error.linePos ?? [{ line: 1, col: 1 }];
  const why = error.message.replace(/ at line \d+, column \d+.*$/su, '');
  const message = `${nameOf(file)}:${line}:${col}: this is neither JSON nor YAML: ${why}`;
  return new Failure('invalid_request', 'reject', message, error);
}

function nameOf(file: string): string {
  return file === '-' ? 'standard input' : file;
}
