import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { seededRandom } from '../../src/base/random.ts';
import type { Told } from './fuzz-daemon.ts';
import { Draw } from './fuzz-mutation.ts';

/** What could not be sent by then is left, and it is said how much that is. */
const LONGEST_MS = 180_000;
/** After so many it is seen whether the daemon still does its work. */
const BATCH = 2500;
/** In flight at a time. */
const HANDS = 64;
/** Heap that may be held at the end beyond that at the half: far less than what was sent in between. */
const GROWTH_BYTES = 12_000_000;
const ANSWER_MS = 10_000;
/** How much of what was sent is shown. */
const SHOWN = 1500;

/** The daemon under fire. */
export interface Target {
  readonly http: number;
  readonly grpc: number;
}

/** What was sent, and why its answer is none of those that are documented; null when it is one. */
export interface Shot {
  readonly sent: Buffer | string;
  readonly wrong: string | null;
  /** For the count of answers, e.g. a status. */
  readonly answer: string;
}

export interface Plan {
  /** The usual one, so that a change is held against the same bodies as the one before it. */
  readonly seed: number;
  /** How many are sent in CI, over both files as many as the product has to stand up to; and elsewhere. */
  readonly bodies: { readonly ci: number; readonly elsewhere: number };
  /** Sends one body. */
  shoot(target: Target, draw: Draw): Promise<Shot>;
  /** Sends what must be taken in; `unique` is in no other call. Throws when it is not. */
  proveAlive(target: Target, unique: string): Promise<void>;
}

/**
 * Sends random and mutated bodies to a daemon in a process of its own. Each is made from the seed and its number alone, so that
 * it can be sent again. The seed is printed, and may be given, with the number of bodies.
 */
export async function fuzz(context: TestContext, plan: Plan): Promise<void> {
  const wish = process.env['FUZZ_SEED'];
  const seed = wish === 'random' ? randomInt(2 ** 31) : Number(wish ?? plan.seed);
  const usual = process.env['CI'] === 'true' ? plan.bodies.ci : plan.bodies.elsewhere;
  const bodies = Number(process.env['FUZZ_BODIES'] ?? usual);
  context.diagnostic(`seed ${seed} (FUZZ_SEED, or random; FUZZ_BODIES)`);
  const daemon = await startDaemon(context);
  const begun = performance.now();
  const answers = new Map<string, number>();
  // The share of the work that is done: of the bodies, or of the time where that ends first.
  const done = (): number => Math.max(sent / bodies, (performance.now() - begun) / LONGEST_MS);
  let sent = 0;
  let half: number | null = null;
  while (done() < 1) {
    const upTo = Math.min(bodies, sent + BATCH);
    await shootBatch(plan, daemon, { seed, from: sent, upTo, answers });
    sent = upTo;
    await plan.proveAlive(daemon, `${seed} ${sent}`);
    daemon.assertInnocent();
    if (done() >= 0.5) half ??= await daemon.heap();
  }
  const seconds = (performance.now() - begun) / 1000;
  const end = await daemon.heap();
  const growth = end - (half ?? end);
  context.diagnostic(`${sent} of ${bodies} bodies, ${Math.round(sent / seconds)} a second`);
  context.diagnostic(JSON.stringify(Object.fromEntries([...answers].toSorted())));
  context.diagnostic(`heap: ${megabytes(end - growth)} at the half, ${megabytes(end)} at the end`);
  assert.ok(growth < GROWTH_BYTES, `the heap grew by ${megabytes(growth)}`);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

interface Batch {
  readonly seed: number;
  readonly from: number;
  readonly upTo: number;
  readonly answers: Map<string, number>;
}

async function shootBatch(plan: Plan, target: Target, { seed, from, upTo, answers }: Batch): Promise<void> {
  let next = from;
  const shootOn = async (): Promise<void> => {
    while (next < upTo) {
      const number = next++;
      // An odd factor: bodies of neighbouring seeds have nothing in common.
      const draw = new Draw(seededRandom(seed * 0x9e3779b1 + number));
      const { sent, wrong, answer } = await inTime(
        plan.shoot(target, draw),
        `body ${number} of seed ${seed}`,
      );
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
      assert.equal(wrong, null, `body ${number} of seed ${seed}: ${wrong}\n${shown(sent)}`);
    }
  };
  await Promise.all(Array.from({ length: HANDS }, shootOn));
}

/** Nothing may hang: what is not over by then never is. */
async function inTime<T>(shot: Promise<T>, what: string): Promise<T> {
  const over = new AbortController();
  const late = wait(ANSWER_MS, undefined, { signal: over.signal }).then(() => {
    throw new Error(`${what}: no answer within ${ANSWER_MS} ms`);
  });
  try {
    return await Promise.race([shot, late]);
  } finally {
    late.catch(() => undefined);
    over.abort();
  }
}

function shown(sent: Buffer | string): string {
  return `${Buffer.from(sent).toString('latin1').slice(0, SHOWN)}\nin Base64: ${Buffer.from(sent).toString('base64').slice(0, SHOWN)}`;
}

interface Daemon extends Target {
  /** Bytes of its heap after all that can be let go is. */
  heap(): Promise<number>;
  /** Throws when it has ended, or had an error that nobody caught. */
  assertInnocent(): void;
}

async function startDaemon(context: TestContext): Promise<Daemon> {
  const child = fork(new URL('./fuzz-daemon.ts', import.meta.url), {
    execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'],
  });
  context.after(() => child.kill());
  const crimes: string[] = [];
  child.on('message', (told: Told) => {
    if (told.kind === 'crime') crimes.push(told.what);
  });
  const ready = await toldBy(child, 'ready');
  return {
    http: ready.http,
    grpc: ready.grpc,
    async heap() {
      const heap = toldBy(child, 'heap');
      child.send('heap');
      return (await heap).bytes;
    },
    assertInnocent() {
      assert.deepEqual(crimes, []);
      assert.equal(child.exitCode ?? child.signalCode, null, 'the daemon has ended');
    },
  };
}

async function toldBy<Kind extends Told['kind']>(
  child: ChildProcess,
  kind: Kind,
): Promise<Extract<Told, { kind: Kind }>> {
  const isKind = (told: Told): told is Extract<Told, { kind: Kind }> => told.kind === kind;
  for (;;) {
    const [told] = (await once(child, 'message')) as [Told];
    if (isKind(told)) return told;
    if (told.kind === 'crime') throw new Error(told.what);
  }
}
