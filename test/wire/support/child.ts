import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

import { eventually } from './eventually.ts';

/** A program that runs beside the test. */
export interface Child {
  /** What it has written so far, the end of it: standard output and error in order of arrival. */
  output(): string;
  /** Ends it: politely, then by force. Repeating does nothing. */
  stop(): Promise<void>;
  /** Ends it as a power cut would: no signal handler runs. */
  kill(): Promise<void>;
}

export interface ChildOptions {
  readonly path: string;
  readonly args: readonly string[];
  /** Added to the environment of the test. */
  readonly env?: Readonly<Record<string, string>>;
  /** Throws or answers undefined until the program serves. */
  readonly ready: () => Promise<true | undefined>;
}

/** A cold start of Python with its imports takes some seconds on a busy machine. */
const START_MS = 60_000;
const STOP_MS = 10_000;
const OUTPUT_KEPT = 20_000;

/** Starts a program and waits until it serves. Throws, with what it wrote, when it ends first or never does. */
export async function startChild({ path, args, env = {}, ready }: ChildOptions): Promise<Child> {
  const child = spawn(path, [...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let spawnError: Error | undefined;
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-OUTPUT_KEPT);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.on('error', (error) => {
    spawnError = error;
  });
  // A test that dies must not leave its programs behind.
  const killWithTest = (): boolean => child.kill('SIGKILL');
  process.once('exit', killWithTest);
  const stop = async (): Promise<void> => {
    process.off('exit', killWithTest);
    await end(child);
  };
  try {
    const state = await eventually<'serves' | 'ended'>(`${path} serves`, START_MS, async () => {
      if (spawnError !== undefined || hasEnded(child)) return 'ended';
      return (await ready()) === true ? 'serves' : undefined;
    });
    if (state === 'ended') throw new Error(`${path} ended before it served`, { cause: spawnError });
  } catch (error) {
    await stop();
    throw new Error(`${path} ${args.join(' ')}: did not start; it wrote:\n${output}`, { cause: error });
  }
  const kill = async (): Promise<void> => {
    if (hasEnded(child)) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  return { output: () => output, stop, kill };
}

/** A TCP port of the loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** For `ready`: true once the URL answers 2xx. */
export async function answers(url: string): Promise<true | undefined> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  await response.body?.cancel();
  return response.ok ? true : undefined;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit');
  const giveUp = new AbortController();
  child.kill('SIGTERM');
  const forced = wait(STOP_MS, undefined, { signal: giveUp.signal })
    .then(() => child.kill('SIGKILL'))
    .catch(() => undefined);
  await ended;
  giveUp.abort();
  await forced;
}
