import { createReadStream } from 'node:fs';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { parseDocument } from 'yaml';
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
  if (error !== undefined) throw unreadable(file, error);
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

function unreadable(file: string, thrown: unknown): Failure {
  const name = file === '-' ? 'standard input' : file;
  const [firstLine] = (thrown instanceof Error ? thrown.message : String(thrown)).split('\n');
  return new Failure('invalid_request', 'reject', `${name}: ${firstLine ?? ''}`, thrown);
}
