import { createReadStream } from 'node:fs';
import { text } from 'node:stream/consumers';
import { parseDocument } from 'yaml';
import { Failure } from '../base/failure.ts';

/** File descriptor of standard input. */
const STDIN = 0;

/** Reads a text. */
export type ReadInput = (file: string) => Promise<string>;

/** The text of a file, or of standard input for `-`. */
export const readInput: ReadInput = (file) =>
  text(file === '-' ? createReadStream('', { fd: STDIN, autoClose: false }) : createReadStream(file));

/** The value in a JSON or YAML file. Fails with `invalid_request` when it cannot be read, naming the file and place. */
export async function readData(file: string, read: ReadInput): Promise<unknown> {
  const document = parseDocument(await contents(file, read), { prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) throw unreadable(file, error);
  try {
    // The default bound on aliases keeps a small file from growing without end.
    return document.toJS() as unknown;
  } catch (thrown) {
    throw unreadable(file, thrown);
  }
}

async function contents(file: string, read: ReadInput): Promise<string> {
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
