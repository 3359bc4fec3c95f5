import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Told } from './fuzz-daemon.ts';
import { Draw } from './fuzz-mutation.ts';

/** What could not be sent by then is missing, and that is a failure: what was not sent shows nothing. */
const LONGEST_MS = 300_000;
/** For the test around it: the time above, and that of its beginning and end. */
export const FUZZ_TIMEOUT_MS = LONGEST_MS + 60_000;
/** After so many it is seen whether the daemon still does its work. */
const BATCH = 2500;
/** In flight at a time. */
const HANDS = 64;
/** Memory that may be held at the end beyond that at the half: far less than what was sent in between. */
const GROWTH_BYTES = 12_000_000;
const ANSWER_MS = 20_000;
/** How much of what was sent is shown. */
const SHOWN = 1500;

/** The daemon under fire. */
export interface Target {
  readonly http: number;
  readonly grpc: number;
}

/** Why an answer is none of those that are documented; null when it is one. */
export interface Shot {
  readonly wrong: string | null;
  /** For the count of answers, e.g. a status. */
  readonly answer: string;
  /** What was sent, for people. */
  sent(): Buffer | string;
}

export interface Plan {
  /** The usual one, so that a change is held against the same bodies as the one before it. */
  readonly seed: number;
  /** How many are sent in CI, over all files as many as the product has to stand up to; and elsewhere. */
  readonly bodies: { readonly ci: number; readonly elsewhere: number };
  /** What locks both doors; nothing when left out. */
  readonly accessFile?: string;
  /** Sends one body. */
  shoot(target: Target, draw: Draw): Promise<Shot>;
  /** Sends what must be taken in; `unique` is in no other call. Throws when it is not. */
  proveAlive(target: Target, unique: string): Promise<void>;
}

/**
 * Sends random and mutated bodies to a daemon in a process of its own. Each is made from the seed and its number alone, so that
 * it can be sent again. The seed is printed, and may be given, with the number of bodies. Fails when not all could be sent in time.
 */
export async function fuzz(context: TestContext, plan: Plan): Promise<void> {
  const { seed, bodies } = wishes(plan);
  context.diagnostic(`seed ${seed} (FUZZ_SEED, or random; FUZZ_BODIES)`);
  const daemon = await startDaemon(context, plan.accessFile);
  const begun = performance.now();
  const fire: Fire = { plan, daemon, seed, until: begun + LONGEST_MS, answers: new Map(), proofs: 0 };
  const middle = Math.ceil(bodies / 2);
  const first = await shootAll(fire, 0, middle);
  const half = await daemon.memory();
  const sent = first + (await shootAll(fire, middle, bodies));
  const seconds = (performance.now() - begun) / 1000;
  const end = await daemon.memory();
  context.diagnostic(`${sent} of ${bodies} bodies, ${Math.round(sent / seconds)} a second`);
  context.diagnostic(JSON.stringify(Object.fromEntries([...fire.answers].toSorted())));
  context.diagnostic(`memory: ${megabytes(half)} at the half, ${megabytes(end)} at the end`);
  assert.equal(sent, bodies, `only ${sent} of ${bodies} bodies could be sent in ${LONGEST_MS / 1000} s`);
  assert.ok(end - half < GROWTH_BYTES, `the memory held grew by ${megabytes(end - half)}`);
}

function wishes({ seed, bodies }: Plan): { readonly seed: number; readonly bodies: number } {
  const wish = process.env['FUZZ_SEED'];
  const usual = process.env['CI'] === 'true' ? bodies.ci : bodies.elsewhere;
  const wished = {
    seed: wish === 'random' ? randomInt(2 ** 31) : Number(wish ?? seed),
    bodies: Number(process.env['FUZZ_BODIES'] ?? usual),
  };
  assert.ok(Number.isSafeInteger(wished.seed), 'FUZZ_SEED is a whole number, or random');
  assert.ok(Number.isSafeInteger(wished.bodies) && wished.bodies > 0, 'FUZZ_BODIES is a whole number');
  return wished;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

interface Fire {
  readonly plan: Plan;
  readonly daemon: Daemon;
  readonly seed: number;
  /** As performance.now() counts; ms. */
  readonly until: number;
  readonly answers: Map<string, number>;
  /** How often it has been seen that the daemon does its work. */
  proofs: number;
}

/** Sends the bodies of these numbers, as far as the time allows; answers how many that were. */
async function shootAll(fire: Fire, from: number, upTo: number): Promise<number> {
  let next = from;
  const shootOn = async (): Promise<void> => {
    while (next < upTo && performance.now() < fire.until) {
      const number = next++;
      await shootOne(fire, number);
      if (number % BATCH === 0) await proveInnocent(fire, number);
    }
  };
  await Promise.all(Array.from({ length: HANDS }, shootOn));
  await proveInnocent(fire, upTo);
  return next - from;
}

async function shootOne({ plan, daemon, seed, answers }: Fire, number: number): Promise<void> {
  const what = `body ${number} of seed ${seed}`;
  // An odd factor: bodies of neighbouring seeds have nothing in common. In 32 bits: a double would lose the number.
  const draw = new Draw(seededRandom(Math.imul(seed, 0x9e3779b1) + number));
  const { sent, wrong, answer } = await inTime(plan.shoot(daemon, draw), what);
  answers.set(answer, (answers.get(answer) ?? 0) + 1);
  if (wrong !== null) assert.fail(`${what}: ${wrong}\n${shown(sent())}`);
}

async function proveInnocent(fire: Fire, number: number): Promise<void> {
  const { plan, daemon, seed } = fire;
  const proof = plan.proveAlive(daemon, `proof ${++fire.proofs}`);
  await inTime(proof, `the alert after body ${number} of seed ${seed}`);
  daemon.assertInnocent();
}

/** Nothing may hang: what is not over by then never is. */
function inTime<T>(answer: Promise<T>, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = systemClock.after(ANSWER_MS, () =>
      reject(new Error(`${what}: no answer within ${ANSWER_MS} ms`)),
    );
    void answer.then(resolve, reject).finally(() => late.cancel());
  });
}

function shown(sent: Buffer | string): string {
  const bytes = Buffer.from(sent);
  return `${bytes.toString('latin1').slice(0, SHOWN)}\nin Base64: ${bytes.toString('base64').slice(0, SHOWN)}`;
}

interface Daemon extends Target {
  /** Bytes that it holds after all that can be let go is. */
  memory(): Promise<number>;
  /** Throws when it has ended, or had an error that nobody caught. */
  assertInnocent(): void;
}

async function startDaemon(context: TestContext, accessFile?: string): Promise<Daemon> {
  const child = fork(
    new URL('./fuzz-daemon.ts', import.meta.url),
    accessFile === undefined ? [] : [accessFile],
    { execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'] },
  );
  // It puts its state away by itself.
  context.after(() => {
    if (child.connected) child.disconnect();
  });
  const crimes: string[] = [];
  child.on('message', (told: Told) => {
    if (told.kind === 'crime') crimes.push(told.what);
  });
  const { http, grpc } = await toldBy(child, 'ready');
  return {
    ...{ http, grpc },
    async memory() {
      const memory = toldBy(child, 'memory');
      child.send('memory');
      return (await memory).bytes;
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
  const gone = once(child, 'exit').then(() => assert.fail('the daemon has ended'));
  for (;;) {
    const [told] = (await Promise.race([once(child, 'message'), gone])) as [Told];
    if (isKind(told)) return told;
    if (told.kind === 'crime') throw new Error(told.what);
  }
}
