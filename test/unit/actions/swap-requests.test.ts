import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSwapRequests, type SwapRequests } from '../../../src/actions/swap-requests.ts';
import { Failure } from '../../../src/base/failure.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import type { Decision } from '../../../src/engine/decision.ts';
import type { Event } from '../../../src/engine/event.ts';

interface Desk {
  readonly clock: ManualClock;
  readonly requests: SwapRequests;
  readonly events: Event[];
}

function desk(append?: () => Promise<unknown>): Desk {
  const clock = new ManualClock();
  const events: Event[] = [];
  let count = 0;
  const requests = createSwapRequests({
    clock,
    newId: (kind) => `${kind}_${++count}`,
    append: (given) => {
      events.push(...given);
      return append === undefined ? Promise.resolve() : append();
    },
  });
  return { clock, requests, events };
}

function decisionOn(eventId: string): Decision {
  return {
    ...{ id: `dec_of_${eventId}`, key: eventId, at: 0, generation: 1, rule: 'by-hand', because: [] },
    ...{ event: { id: eventId, type: '', source: '' }, subject: { group: null, instance: null } },
    ...{ outcome: 'suppressed', reason: 'duplicate', detail: '', runId: null, actions: [] },
  };
}

const WISH = { instance: 'i-1', to: 'spot' } as const;

test('whoever asks gets the decision on their own request', async () => {
  const { requests, events } = desk();
  const answers = [requests.ask(WISH), requests.ask(WISH)];
  const [first, second] = events;
  assert.ok(first !== undefined && second !== undefined);
  requests.decided(decisionOn('evt_of_somebody_else'));
  requests.decided(decisionOn(second.id));
  requests.decided(decisionOn(first.id));
  const [one, other] = await Promise.all(answers);
  assert.deepEqual([one?.decision?.event.id, other?.decision?.event.id], [first.id, second.id]);
});

test('a decision that comes before the inbox has answered is not missed', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { requests, events } = desk(() => promise);
  const answer = requests.ask(WISH);
  requests.decided(decisionOn(events[0]?.id ?? ''));
  resolve();
  assert.equal((await answer).decision?.reason, 'duplicate');
});

test('after ten seconds the request is told instead of its decision', async () => {
  const { clock, requests, events } = desk();
  let answered = false;
  const answer = requests.ask(WISH).finally(() => {
    answered = true;
  });
  await clock.advance(9_999);
  assert.equal(answered, false);
  await clock.advance(1);
  assert.deepEqual(await answer, { eventId: events[0]?.id, decision: null });
  // Nobody waits any more, and nothing breaks.
  requests.decided(decisionOn(events[0]?.id ?? ''));
});

test('a full inbox is told, and nobody goes on waiting', async () => {
  const { clock, requests } = desk(() => Promise.reject(new Failure('inbox_full', 'retry', 'full')));
  await assert.rejects(requests.ask(WISH), { code: 'inbox_full' });
  await clock.advance(20_000);
});
