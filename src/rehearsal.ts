import { setImmediate as nextTurn } from 'node:timers/promises';
import { ANYBODY } from './access/gate.ts';
import { readFleet } from './actions/fleet.ts';
import type { LiveMemory } from './actions/live-memory.ts';
import type { Run, RunState } from './actions/run.ts';
import { type AppPorts, openStore, type Site, startWalk } from './app.ts';
import { CleanUp } from './base/clean-up.ts';
import type { Cloud } from './cloud/cloud.ts';
import type { Decision } from './engine/decision.ts';
import type { Sample } from './engine/explain.ts';
import type { FleetView } from './engine/fleet.ts';
import type { Ruleset } from './engine/ruleset.ts';
import { createDoor } from './ingest/admission.ts';
import { Refusal } from './ingest/reading.ts';
import { readSample } from './ingest/sample.ts';
import { silentLog } from './telemetry/log.ts';
import { createMetrics } from './telemetry/metrics.ts';

/** How the walk of a rehearsal is made; where nothing is said, as the daemon's default settings have it. */
const OPTIONS = {
  shadow: false,
  statePath: ':memory:',
  retentionMs: 30 * 86_400_000,
  // Whoever writes down a notification means it, also where it says the same as the one before.
  dedupWindowMs: 0,
  inboxLimit: 100_000,
  concurrency: 64,
} as const;
/** As the daemon's own, on the clock of the rehearsal. */
const STOP_MS = 20_000;

/** The daemon's own walk from inbox to cloud, without files, sockets and other systems: what reaches it is given by hand. */
export interface Rehearsal {
  /** Takes in what a sender could have sent; null, or why the first of it that cannot be used cannot. */
  take(sample: Sample): Promise<string | null>;
  /** Whether events are being taken in or decided on, which needs no time. */
  isBusy(): boolean;
  /** The groups as they are now. Nothing of the walk notices that somebody looked. */
  look(): Promise<FleetView>;
  /** Ends when the clock goes on, or at once. */
  stop(): Promise<void>;
}

/** What a rehearsal is about. */
export interface RehearsalOptions {
  readonly ruleset: Ruleset;
  /** A cloud that nothing real depends on. */
  readonly cloud: Cloud;
}

export interface RehearsalPorts extends Pick<AppPorts, 'clock' | 'random'> {
  /** Told of every decision that was recorded. */
  decided(decision: Decision): void;
  /** Told of every run that was taken up or ended, and of each of its steps. */
  progressed(run: RehearsedRun): void;
}

/** A run as far as a rehearsal shows it. */
export interface RehearsedRun extends Pick<Run, 'id' | 'rule' | 'group' | 'instanceId' | 'error'> {
  readonly state: Exclude<RunState, UnfinishedState> | 'under_way';
}

type UnfinishedState = 'pending' | 'running' | 'recovering';

/**
 * Starts the walk, on a state of its own that is gone afterwards. It knows the groups and their prices from the beginning.
 * What actions send to other systems and plugins is not sent: each is taken for answered with 200, or ok.
 */
export async function startRehearsal(
  { ruleset, cloud }: RehearsalOptions,
  { clock, random, decided, progressed }: RehearsalPorts,
): Promise<Rehearsal> {
  const ports = {
    ...{ clock, random, cloud, log: silentLog, metrics: createMetrics(), ownInstance: null },
    watcher: { decided, progressed: (run: Run) => progressed(rehearsed(run)) },
    sendHttp: () => Promise.resolve({ status: 200, text: '' }),
    sendToPlugin: () => Promise.resolve({ kind: 'ok' as const, status: 'ok' }),
  };
  const cleanUp = new CleanUp(clock, STOP_MS, silentLog);
  const store = openStore(OPTIONS, ports, cleanUp);
  const site = { options: OPTIONS, ports, cleanUp, ruleset: { current: () => ruleset }, store };
  let isBusy = (): boolean => true;
  const walk = await startWalk(site, async (common) => {
    await common.fleet.atMost(0);
    // Prices are read in the background.
    await nextTurn();
    const lone = loneStore(store, common.memory);
    isBusy = lone.isBusy;
    return { ...common, store: lone.store };
  });
  const door = createDoor(walk);
  return {
    async take(sample) {
      const reading = readSample(sample, clock.now(), walk.newId);
      if (reading instanceof Refusal) return reading.error;
      const { rejected } = await door.admit('alertmanager', reading, ANYBODY);
      return rejected[0]?.error ?? null;
    },
    isBusy: () => isBusy(),
    look: () => readFleet({ cloud, clock }),
    stop: () => cleanUp.run(),
  };
}

/**
 * The store without the questions that the loops ask once a second in vain: nobody else writes to it, so what has not been put
 * into it is not in it. It is busy while events are on their way through it.
 */
function loneStore(
  store: Site['store'],
  memory: Pick<LiveMemory, 'liveRunCount'>,
): { readonly store: Site['store']; isBusy(): boolean } {
  let coming = 0;
  let appended = 0;
  /** How much had been appended when nothing undecided was left. */
  let decided = -1;
  const append: typeof store.append = async (events) => {
    coming += 1;
    try {
      return await store.append(events);
    } finally {
      coming -= 1;
      appended += 1;
    }
  };
  const undecided: typeof store.undecided = async (after, limit) => {
    if (decided === appended) return [];
    const asked = appended;
    const events = await store.undecided(after, limit);
    if (events.length === 0) decided = asked;
    return events;
  };
  const claim: typeof store.claim = (...asked) =>
    memory.liveRunCount() === 0 ? Promise.resolve(null) : store.claim(...asked);
  return { store: { ...store, append, undecided, claim }, isBusy: () => coming > 0 || decided !== appended };
}

function rehearsed({ id, rule, group, instanceId, error, state }: Run): RehearsedRun {
  const end = state === 'pending' || state === 'running' || state === 'recovering' ? 'under_way' : state;
  return { id, rule, group, instanceId, error, state: end };
}
