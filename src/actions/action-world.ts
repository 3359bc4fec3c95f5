import type { Clock } from '../base/clock.ts';
import { effectivePolicy } from '../engine/policies.ts';
import type { Ruleset } from '../engine/ruleset.ts';
import type { ActionWorld } from './action.ts';
import { createHttpSender } from './http/sender.ts';
import type { LiveMemory } from './live-memory.ts';
import type { HistoryStore, QueryStore } from './store.ts';
import type { UnavailableMarkets } from './unavailable-markets.ts';

export interface ActionWorldDeps
  extends Pick<ActionWorld, 'ownInstance' | 'launchVia' | 'recommender' | 'sendToPlugin'> {
  readonly ruleset: { current(): Ruleset };
  readonly store: Pick<HistoryStore, 'recordSwap'> & Pick<QueryStore, 'run'>;
  readonly memory: LiveMemory;
  readonly markets: UnavailableMarkets;
  readonly clock: Clock;
}

/** The world as actions of this daemon see it: the policies of the ruleset in force, one memory, and the real network. */
export function createActionWorld(deps: ActionWorldDeps): ActionWorld {
  const { ruleset, store, memory, markets, clock, ownInstance, launchVia, recommender, sendToPlugin } = deps;
  return {
    policy: (group) => effectivePolicy(ruleset.current().policies, group),
    memory,
    async swapBegan(swap) {
      await store.recordSwap(swap);
      memory.swapBegan(swap, clock.now());
    },
    knownRun: (id) => store.run(id),
    isMarketDoubtful: markets.isDoubtful,
    marketTried: markets.tried,
    marketFailed: markets.failed,
    marketServed: markets.served,
    ownInstance,
    launchVia,
    recommender,
    sendHttp: createHttpSender(clock),
    sendToPlugin,
  };
}
