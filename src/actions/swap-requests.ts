import type { Clock, Timer } from '../base/clock.ts';
import type { IdKind } from '../base/id.ts';
import { type SwapWish, swapRequestEvent } from '../engine/by-hand.ts';
import type { Decision } from '../engine/decision.ts';
import type { Event } from '../engine/event.ts';

/** A decision takes milliseconds; one that takes longer waits for the cloud or the store, and whoever asked need not. */
const PATIENCE_MS = 10_000;

/** Swaps that people ask for: they walk the walk like everything else, but somebody waits for the decision. */
export interface SwapRequests {
  /**
   * Resolves once the decision is recorded, or with a null decision when that takes too long; the request stands all the
   * same. Fails as the inbox does (`inbox_full`, `store_unavailable`), with nothing asked.
   */
  ask(wish: SwapWish): Promise<SwapAnswer>;
  /** To be told of every decision that was recorded. */
  decided(decision: Decision): void;
}

export interface SwapAnswer {
  readonly eventId: string;
  readonly decision: Decision | null;
}

export interface SwapRequestsDeps {
  /** The inbox. */
  append(events: readonly Event[]): Promise<unknown>;
  readonly clock: Clock;
  readonly newId: (kind: IdKind) => string;
}

export function createSwapRequests({ append, clock, newId }: SwapRequestsDeps): SwapRequests {
  /** Who waits, by event id; bounded by the connections of the server, each for PATIENCE_MS at most. */
  const waiting = new Map<string, (decision: Decision | null) => void>();
  const decisionOn = (eventId: string): { readonly decision: Promise<Decision | null>; giveUp(): void } => {
    const { promise, resolve } = Promise.withResolvers<Decision | null>();
    const timer: Timer = clock.after(PATIENCE_MS, () => end(null));
    const end = (decision: Decision | null): void => {
      waiting.delete(eventId);
      timer.cancel();
      resolve(decision);
    };
    waiting.set(eventId, end);
    return { decision: promise, giveUp: () => end(null) };
  };
  return {
    async ask(wish) {
      const event = swapRequestEvent(wish, { now: clock.now(), newId });
      // Before the event is sent: the decision may come before the inbox has answered.
      const awaited = decisionOn(event.id);
      try {
        await append([event]);
      } catch (thrown) {
        awaited.giveUp();
        throw thrown;
      }
      return { eventId: event.id, decision: await awaited.decision };
    },
    decided: (decision) => waiting.get(decision.event.id)?.(decision),
  };
}
