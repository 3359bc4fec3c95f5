import type { Clock } from '../base/clock.ts';
import type { LiveMemory } from './live-memory.ts';
import type { HistoryStore } from './store.ts';

/** The switch that people turn. A change is in force, everywhere that asks, before its promise resolves. */
export interface Pausing extends Pick<HistoryStore, 'pauses' | 'pause'> {
  /** Ends the pause, and the rest of the group where one is named. False when it was not paused. */
  resume(group: string | null): Promise<boolean>;
}

export interface PausingDeps {
  readonly store: Pick<HistoryStore, 'pauses' | 'pause' | 'resume'>;
  readonly memory: Pick<LiveMemory, 'paused' | 'resumed'>;
  readonly clock: Clock;
}

/** The store comes first: what the memory says holds only until the next start. */
export function createPausing({ store, memory, clock }: PausingDeps): Pausing {
  return {
    pauses: () => store.pauses(),
    async pause(pause) {
      await store.pause(pause);
      memory.paused(pause);
    },
    async resume(group) {
      const was = await store.resume(group, clock.now());
      memory.resumed(group);
      return was;
    },
  };
}
