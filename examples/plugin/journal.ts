import { constants } from 'node:fs';
import { access, open, readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import { type PluginEvent, Refused, serve, Unavailable } from 'coppice/plugin';

/** A journal of events, one line of JSON each, for an audit. */
const path = resolve(process.argv[2] ?? 'journal.jsonl');

/** On disk when it resolves: the caller takes the answer for a promise. */
async function write({ id, type, source, time, labels }: PluginEvent): Promise<void> {
  const file = await open(path, 'a', 0o600);
  try {
    await file.appendFile(`${JSON.stringify({ id, type, source, time, labels })}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function isWritten({ id }: PluginEvent): Promise<boolean> {
  // Made when it is missing: the call that failed may have been the first.
  return (await readFile(path, { encoding: 'utf8', flag: 'a+' })).includes(`{"id":${JSON.stringify(id)},`);
}

const plugin = await serve(
  async (event, { repeat }) => {
    if (event.labels['instance_id'] === undefined) throw new Refused('the event names no instance_id');
    try {
      // A repeat may be of a call that failed, so only the journal can tell.
      if (!repeat || !(await isWritten(event))) await write(event);
    } catch (error) {
      throw new Unavailable('the journal cannot be written now', { cause: error });
    }
  },
  { address: process.argv[3], ready: () => access(dirname(path), constants.W_OK).then(() => true) },
);
process.stdout.write(`journal ${path}, plugin on ${plugin.address}\n`);
