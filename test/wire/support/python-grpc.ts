import { type ChildProcessWithoutNullStreams, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { protoPath as HEALTH_PROTO } from 'grpc-health-check';
import { pathOf, skipWithout } from './program.ts';

/** Debian's own: another Python in PATH does not have the packages that apt installs. */
const PYTHON = '/usr/bin/python3';
const ROOT = join(import.meta.dirname, '..', '..', '..');
const HOLLOWTREES = join(ROOT, 'proto', 'hollowtrees');
/** Below `grpc`, so that the stubs do not stand in the way of the package of that name. */
const REFLECTION = join(
  dirname(fileURLToPath(import.meta.resolve('@grpc/reflection'))),
  '..',
  'proto',
  'grpc',
);

/** For the `skip` option: as `skipWithout`, for protoc with its plugin for Python, and Python's grpcio. */
export function skipWithoutPythonGrpc(): string | false {
  const programs = skipWithout('protoc', 'grpc_python_plugin');
  if (programs !== false || process.env['CI'] === 'true') return programs;
  const { status } = spawnSync(PYTHON, ['-c', 'import grpc, google.protobuf']);
  return status === 0 ? false : `${PYTHON} lacks grpc (apt-get install python3-grpcio python3-protobuf)`;
}

/** Writes Python stubs of both interfaces of Hollowtrees, of health and of reflection into the folder. */
export async function compileStubs(folder: string): Promise<void> {
  const health = dirname(dirname(dirname(HEALTH_PROTO)));
  await promisify(execFile)(pathOf('protoc'), [
    ...[`-I${HOLLOWTREES}`, `-I${health}`, `-I${REFLECTION}`],
    ...[`--python_out=${folder}`, `--grpc_python_out=${folder}`],
    `--plugin=protoc-gen-grpc_python=${pathOf('grpc_python_plugin')}`,
    ...['v1/action.proto', 'v2/event.proto', 'health/v1/health.proto'],
    ...['reflection/v1/reflection.proto', 'reflection/v1alpha/reflection.proto'],
  ]);
}

/** Stubs for the tests of a suite, made before the first of them and gone after the last; answers their folder. */
export function suiteStubs(): () => string {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coppice-stubs-'));
    await compileStubs(folder);
  });
  after(() => rm(folder, { recursive: true, force: true }));
  return () => folder;
}

/** Configuration of a Python program: `stubs` and `address`, and files of TLS where it has some. */
export interface PythonConfig {
  readonly stubs: string;
  readonly address: string;
  /** Paths of PEM files. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly clientCa?: string;
  /** Of a plugin: whether it offers gRPC's health service. */
  readonly health?: boolean;
}

export type Order = Readonly<Record<string, unknown>> & { readonly do: string };

/** A call as the plugin in Python got it. */
export interface Received {
  readonly version: 'v1' | 'v2';
  /** Every field under its own name; bytes in Base64. */
  readonly message: Readonly<Record<string, unknown>>;
  readonly peer: string;
  /** Seconds to the deadline. */
  readonly timeRemaining: number;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A Python program that takes orders. */
export interface Python {
  /** What came of the order. `told` hears what the program says before its end. Fails when the program ends first. */
  order(order: Order, told?: (what: unknown) => void): Promise<unknown>;
  /** Ends it at once, as a crash would. */
  stop(): Promise<void>;
}

interface Line {
  readonly id: number;
  readonly answer?: unknown;
  readonly told?: unknown;
  readonly broken?: string;
}

interface Waiting {
  readonly told: (what: unknown) => void;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (because: Error) => void;
}

/** Starts a program of this folder; resolves when it takes orders. */
export async function startPython(script: string, config: PythonConfig): Promise<Python> {
  const path = join(import.meta.dirname, script);
  // -B: nothing is written beside the sources.
  const child = spawn(PYTHON, ['-B', path, JSON.stringify(config)]);
  const waiting = new Map<number, Waiting>();
  const errors: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
  // What is written to a program that has just ended.
  child.stdin.on('error', () => undefined);
  createInterface({ input: child.stdout }).on('line', (line) => settle(waiting, JSON.parse(line) as Line));
  child.once('close', () => {
    for (const { reject } of waiting.values()) reject(new Error(`${script} has ended: ${errors.join('')}`));
  });
  const killWithTest = (): boolean => child.kill('SIGKILL');
  process.once('exit', killWithTest);
  let orders = 0;
  const answerTo = (id: number, told: (what: unknown) => void = () => undefined): Promise<unknown> =>
    new Promise((resolve, reject) => waiting.set(id, { told, resolve, reject }));
  await answerTo(orders);
  return {
    order(order, told) {
      const id = ++orders;
      child.stdin.write(`${JSON.stringify({ ...order, id })}\n`);
      return answerTo(id, told);
    },
    async stop() {
      process.off('exit', killWithTest);
      waiting.clear();
      await kill(child);
    },
  };
}

function settle(waiting: Map<number, Waiting>, { id, answer, told, broken }: Line): void {
  const asked = waiting.get(id);
  if (told !== undefined) {
    asked?.told(told);
    return;
  }
  waiting.delete(id);
  if (broken === undefined) asked?.resolve(answer);
  else asked?.reject(new Error(broken));
}

async function kill(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}
