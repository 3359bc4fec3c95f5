import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { CommanderError } from 'commander';
import { asFailure } from '../base/failure.ts';
import type { Io } from './io.ts';
import { program } from './program.ts';

const ROOT = join(import.meta.dirname, '../..');

/** The process as a command sees it; the only place that reads arguments, environment and signals. */
function processIo(): Io {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // Asked twice: the person means it, and what is on disk is enough to go on from.
      if (interrupted.signal.aborted) process.exit(130);
      interrupted.abort();
    });
  }
  // A reader such as `head` may leave early; then there is nobody to tell, and that is no error.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => interrupted.abort());
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    colors: process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '',
    interrupted: interrupted.signal,
    onHangup(reload) {
      process.on('SIGHUP', reload);
      return () => void process.off('SIGHUP', reload);
    },
    exit: (code) => {
      process.exitCode = code;
    },
    env: process.env,
  };
}

function version(): string {
  const { version: found } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  return found;
}

async function main(): Promise<void> {
  const io = processIo();
  try {
    const about = { version: version(), rules: join(ROOT, 'demo', 'rules.yaml') };
    await program(io, about).parseAsync(process.argv);
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      // Help and version are thrown, too, with exit code 0; what was wrong has been printed by then.
      io.exit(thrown.exitCode === 0 ? 0 : 2);
      return;
    }
    io.err(`coppice: ${asFailure(thrown).message}\n`);
    io.exit(2);
  }
}

await main();
