import { type Clock, systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { ManualClock } from '../base/manual-clock.ts';
import { seededRandom } from '../base/random.ts';
import { SimulatedCloud } from '../cloud/simulated/simulated-cloud.ts';
import type { SimulatedWorld } from '../cloud/simulated/world.ts';
import type { FileProblem } from '../config/file-problem.ts';
import { loadRules } from '../config/loader.ts';
import { readScene } from '../config/scene-schema.ts';
import type { Sample } from '../engine/explain.ts';
import { didYouMean } from '../engine/suggest.ts';
import { explainOffline } from '../offline.ts';
import { type ReadInput, readInput, readText } from './input.ts';
import { worldOf } from './scene-world.ts';

/** What tests put in place of the time and standard input. */
export interface FilePorts {
  readonly clock?: Clock;
  readonly readInput?: ReadInput;
}

/** What is asked without a daemon. */
export interface FileQuestion {
  readonly sample: Sample;
  /** Files, directories or globs. */
  readonly rules: readonly string[];
  /** File of a scene; null when no groups are known. */
  readonly cloud: string | null;
  /** The one rule that is asked about; null for all. */
  readonly rule: string | null;
}

type Answer = Awaited<ReturnType<typeof explainOffline>>;

/** What is wrong with the files, so that there is no answer. */
interface Unsound {
  readonly problems: readonly FileProblem[];
}

/**
 * The answer of a daemon that has just begun with these files, or everything that is wrong with them. Fails with
 * `invalid_request` when a file cannot be read, the rule is not there, or nothing of the sample is an event.
 */
export async function answerFromFiles(
  { sample, rules, cloud, rule }: FileQuestion,
  { clock: real = systemClock, readInput: read = readInput }: FilePorts,
): Promise<Answer | Unsound> {
  const loaded = await loadRules(rules);
  if (loaded.kind === 'rejected') return loaded;
  if (rule !== null) requireRule(rule, loaded.rules);
  // Stands still, so that the whole answer is of one moment; and always the same chance, so that asking again is the same.
  const [clock, random] = [new ManualClock(real.now()), seededRandom(1)];
  const world = cloud === null ? null : await worldIn(cloud, read);
  if (world !== null && 'problems' in world) return world;
  const simulated = world === null ? null : new SimulatedCloud({ clock, random, world });
  return explainOffline({ lists: loaded, hash: loaded.hash, cloud: simulated, sample, rule, clock, random });
}

async function worldIn(file: string, read: ReadInput): Promise<SimulatedWorld | Unsound> {
  const { value, problems } = readScene(file, await readText(file, read));
  return value === null ? { problems } : worldOf(value);
}

function requireRule(rule: string, known: readonly { readonly name: string }[]): void {
  const names = known.map(({ name }) => name);
  if (names.includes(rule)) return;
  throw new Failure('invalid_request', 'reject', `there is no rule '${rule}'${didYouMean(rule, names)}`);
}
