import type { Clock } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import { INSTANCE_ID } from '../base/instance-id.ts';
import type { Event } from '../engine/event.ts';
import type { FleetView } from '../engine/fleet.ts';
import type { Log } from '../telemetry/log.ts';
import type { Fleet } from './fleet.ts';

/** A decision may rest on a reading so old; the plan of a swap reads afresh anyway. */
const FLEET_MAX_AGE_MS = 10_000;
/** An event about an instance that the reading lacks asks for a new one, but not more often than this. */
const FLEET_MIN_AGE_MS = 2_000;
/** While the cloud cannot be read, decisions go on with the last reading for so long; then events wait. */
const FLEET_STALE_MS = 600_000;

export interface FleetForEventsDeps {
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * What to decide the events on: a recent reading; a newer one when an event speaks of an instance that the reading does
 * not know. Throws the cloud's Failure when it cannot be read and the last reading is too old.
 */
export async function fleetFor(
  events: readonly Event[],
  { fleet, clock, log }: FleetForEventsDeps,
): Promise<FleetView> {
  try {
    const view = await fleet.atMost(FLEET_MAX_AGE_MS);
    return events.some(({ labels }) => speaksOfStranger(labels, view))
      ? await fleet.atMost(FLEET_MIN_AGE_MS)
      : view;
  } catch (thrown) {
    const failure = asFailure(thrown);
    const last = fleet.current();
    if (last === null || clock.now() - last.readAt > FLEET_STALE_MS) throw failure;
    log.warn({ code: failure.code, error: failure.message }, 'deciding on an old reading of the groups');
    return last;
  }
}

function speaksOfStranger(labels: Event['labels'], view: FleetView): boolean {
  return Object.values(labels).some((value) => INSTANCE_ID.test(value) && !view.instances.has(value));
}
