import { setImmediate as nextTurn } from 'node:timers/promises';
import type { IdKind } from '../base/id.ts';
import type { Event } from '../engine/event.ts';
import { explain } from '../engine/explain.ts';
import type { Arrival } from '../engine/incident.ts';
import type { Memory } from '../engine/memory.ts';
import type { Explained } from '../engine/present-explanation.ts';
import type { Ruleset } from '../engine/ruleset.ts';
import { type FleetForEventsDeps, fleetFor } from './fleet-for-events.ts';

export interface ExplainEventsDeps extends FleetForEventsDeps {
  readonly ruleset: { current(): Ruleset };
  readonly memory: Memory;
  readonly newId: (kind: IdKind) => string;
  readonly shadow: boolean;
  /** Id of the instance that Coppice runs on; null when unknown. */
  readonly ownInstance: string | null;
  /** What the inbox would take the event for; changes nothing there. */
  foresee(event: Event): Arrival;
}

/**
 * What the rules in force would conclude of each event if it came now, alone and for the first time; changes nothing. On the
 * reading of the groups that the dispatcher would take. Fails as `fleetFor` does.
 */
export async function explainEvents(
  events: readonly Event[],
  deps: ExplainEventsDeps,
): Promise<readonly Explained[]> {
  const { memory, shadow, ownInstance, newId } = deps;
  const fleet = await fleetFor(events, deps);
  const ruleset = deps.ruleset.current();
  // Gives requests a turn of the event loop.
  const breathe = (): Promise<void> => nextTurn();
  const explained: Explained[] = [];
  for (const event of events) {
    await breathe();
    const now = deps.clock.now();
    const given = { event, ruleset, fleet, memory, now, shadow, ownInstance, newId, breathe };
    explained.push({ event, explanation: await explain(given), remarks: REMARKS[deps.foresee(event)] });
  }
  return explained;
}

const REMARKS: Readonly<Record<Arrival, readonly string[]>> = {
  new: [],
  repeat: [
    'the alert is open already: sent now it would be a repeated notification, which rules with `repeats: false` ignore; it is explained as a new one',
  ],
  duplicate: [
    'the inbox has it already: sent now it would be dropped as a duplicate, and no rule would see it; it is explained as a new one',
  ],
};
