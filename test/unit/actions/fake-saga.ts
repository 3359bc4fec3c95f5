import {
  type ActionWorld,
  defineAction,
  type Step,
  type StepContext,
  type StepOutcome,
} from '../../../src/actions/action.ts';
import { type ChainEnd, performActions } from '../../../src/actions/chain.ts';
import { openJournal } from '../../../src/actions/journal.ts';
import type { Run, StepRecord } from '../../../src/actions/run.ts';
import type { SagaDeps } from '../../../src/actions/saga.ts';
import type { Claim } from '../../../src/actions/store.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { type ActionSpec, type InChain, PLAIN_SWAP } from '../../../src/engine/rule.ts';
import { silentLog } from '../../../src/telemetry/log.ts';

const SWAP = { kind: 'swap', swap: PLAIN_SWAP } as const;

/** One action of a chain: its steps, and what the rule says of it. */
export type Link = { readonly steps: readonly Step[] } & InChain;

const RUN: Run = {
  ...{
    id: 'run_1',
    decisionId: 'dec_1',
    rule: 'r',
    instanceId: 'i-1',
    state: 'running',
    dueAt: 0,
    createdAt: 0,
  },
  ...{ group: { account: '1', region: 'eu-west-1', name: 'web' }, finishedAt: null, attempt: 1, error: null },
  steps: [],
  actions: [],
};

/** The end of a process that was lost at one of its writes. */
const CRASHED = { kind: 'crashed' } as const;

/** Where steps leave their effects, and where the run is written; both outlive a process. */
export class Stage {
  readonly clock: ManualClock;
  /** Known by their identity only. */
  readonly clouds = { cloud: {} as SagaDeps['cloud'], waiting: {} as SagaDeps['waiting'] };
  /** What there is, in the order in which it came. */
  readonly effects: string[] = [];
  /** Everything that happened, in order: `+x` an effect, `-x` its undoing, `x:state` a record. */
  readonly told: string[] = [];
  run: Run = RUN;
  writes = 0;
  /** The process is lost right after so many writes. */
  crashAfter = Number.POSITIVE_INFINITY;
  /** The claim's fence is stale from here on. */
  fenced = false;
  readonly #stopping = new AbortController();
  #crash: () => void = () => {};

  constructor(clock = new ManualClock()) {
    this.clock = clock;
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** A step that brings about its effect once, however often it is performed. */
  step(name: string, rest: Partial<Step> = {}): Step {
    return {
      name,
      perform: async () => {
        this.add(name);
        return Promise.resolve({ kind: 'done', detail: { by: name } });
      },
      undo: async () => {
        this.remove(name);
        return Promise.resolve({ kind: 'undone' });
      },
      ...rest,
    };
  }

  add(effect: string): void {
    if (this.effects.includes(effect)) return;
    this.effects.push(effect);
    this.told.push(`+${effect}`);
  }

  remove(effect: string): void {
    const position = this.effects.indexOf(effect);
    if (position === -1) return;
    this.effects.splice(position, 1);
    this.told.push(`-${effect}`);
  }

  /** Performs the chain from wherever the run stands, as a new process. */
  async perform(chain: readonly Link[]): Promise<ChainEnd> {
    const actions = chain.map(({ steps: _, ...inChain }): ActionSpec => ({ ...SWAP, ...inChain }));
    this.run = { ...this.run, actions };
    const claim: Claim = { run: this.run, holder: 'h', fence: 1 };
    const journal = openJournal(claim, { record: this.#record }, this.clock);
    return performActions(
      journal,
      chain.map(({ steps }) => defineAction('swap', steps)),
      this.#deps(),
    );
  }

  /** As `perform` of the one action, while time passes. */
  finish(steps: readonly Step[], limitMs?: number): Promise<ChainEnd | typeof CRASHED> {
    return this.finishChain([{ steps }], limitMs);
  }

  /** As `perform`, while time passes. */
  async finishChain(chain: readonly Link[], limitMs = 86_400_000): Promise<ChainEnd | typeof CRASHED> {
    const crash = new Promise<typeof CRASHED>((resolve) => {
      this.#crash = () => resolve(CRASHED);
    });
    let over = false;
    const end = Promise.race([this.perform(chain), crash]).finally(() => {
      over = true;
    });
    await Promise.all([this.clock.advanceUntil(() => over, limitMs), end.catch(() => null)]);
    return end;
  }

  states(): readonly string[] {
    return this.run.steps.map(({ name, state }) => `${name} ${state}`);
  }

  /** As `states`, with action and attempt: `0.2 plan done`. */
  places(): readonly string[] {
    return this.run.steps.map(({ action, attempt, name, state }) => `${action}.${attempt} ${name} ${state}`);
  }

  readonly #record = (_: Claim, run: Run, step: StepRecord | null): Promise<boolean> => {
    if (this.fenced) return Promise.resolve(false);
    this.run = structuredClone(run);
    this.writes += 1;
    if (step !== null) this.told.push(`${step.name}:${step.state}`);
    if (this.writes >= this.crashAfter) {
      this.crashAfter = Number.POSITIVE_INFINITY;
      this.#crash();
      return new Promise(() => {});
    }
    return Promise.resolve(true);
  };

  #deps(): SagaDeps {
    const nothing = {} as unknown;
    return {
      clock: this.clock,
      random: { next: () => 0.5 },
      log: silentLog,
      ...this.clouds,
      world: nothing as ActionWorld,
      signal: this.#stopping.signal,
      stepEnded: () => {},
    };
  }
}

/** A `perform` that answers these one after the other, and the last one for ever; a Failure is thrown. */
export function answers(
  ...list: readonly (StepOutcome | Error)[]
): (context: StepContext) => Promise<StepOutcome> {
  let position = 0;
  return () => {
    const answer = list[Math.min(position++, list.length - 1)] ?? new Error('no answer is left');
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
}
