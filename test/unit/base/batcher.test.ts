import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Batched, createBatcher } from '../../../src/base/batcher.ts';
import { Failure } from '../../../src/base/failure.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';

/** A value as it was when the request for it was sent. */
interface Seen {
  readonly key: string;
  readonly sentAt: number;
}

interface Table {
  readonly clock: ManualClock;
  readonly ask: Batched<Seen>;
  /** The keys of each request, in the order in which they were sent. */
  readonly requests: readonly (readonly string[])[];
}

const HOLD_MS = 200;

/** A source that knows every key but `nobody`, and answers after `latencyMs`. */
function table(refuse: (keys: readonly string[]) => Failure | null = () => null, latencyMs = 0): Table {
  const clock = new ManualClock(0);
  const requests: (readonly string[])[] = [];
  const ask = createBatcher<Seen>({
    clock,
    holdMs: HOLD_MS,
    keyOf: ({ key }) => key,
    fetch: async (keys) => {
      requests.push(keys);
      const sentAt = clock.now();
      if (latencyMs > 0) await new Promise<void>((resolve) => void clock.after(latencyMs, resolve));
      const refused = refuse(keys);
      if (refused !== null) throw refused;
      return keys.filter((key) => key !== 'nobody').map((key) => ({ key, sentAt }));
    },
  });
  return { clock, ask, requests };
}

const keysOf = (values: readonly Seen[]): string[] => values.map(({ key }) => key);

test('what is asked within the window is one request, each key once, and each asker gets its own share', async () => {
  const { clock, ask, requests } = table();
  const answers = [ask(['a', 'b'], 100), ask(['b', 'nobody'], 100)];
  await clock.advance(60);
  answers.push(ask(['c'], 100));
  await clock.advance(40);
  assert.deepEqual(requests, [['a', 'b', 'nobody', 'c']]);
  assert.deepEqual((await Promise.all(answers)).map(keysOf), [['a', 'b'], ['b'], ['c']]);
});

test('nothing is sent before somebody has to have it', async () => {
  const { clock, ask, requests } = table();
  const answer = ask(['a'], 100);
  await clock.advance(99);
  assert.deepEqual(requests, []);
  await clock.advance(1);
  await answer;
  assert.deepEqual(requests, [['a']]);
});

test('who is in a hurry takes along who has time', async () => {
  const { clock, ask, requests } = table();
  const patient = ask(['a'], 100);
  await clock.advance(10);
  const hasty = ask(['b'], 5);
  await clock.advance(5);
  assert.deepEqual(keysOf(await patient), ['a']);
  assert.deepEqual(keysOf(await hasty), ['b']);
  await clock.advance(1000);
  assert.deepEqual(requests, [['a', 'b']], 'and the deadline of the patient one sends nothing more');
});

test('who has time does not hold up who is in a hurry', async () => {
  const { clock, ask, requests } = table();
  const hasty = ask(['a'], 5);
  const patient = ask(['b'], 100);
  await clock.advance(5);
  await Promise.all([hasty, patient]);
  assert.deepEqual(requests, [['a', 'b']]);
});

test('pitfall 2: who asks while a request is under way gets an answer to the next one, sent when that is answered', async () => {
  const { clock, ask, requests } = table(() => null, 150);
  const first = ask(['a'], 5);
  await clock.advance(20);
  const second = ask(['a'], 5);
  await clock.advance(70);
  const third = ask(['a', 'b'], 5);
  await clock.advance(1000);
  const sent = (await Promise.all([first, second, third])).map(([seen]) => seen?.sentAt);
  assert.deepEqual(sent, [5, 155, 155]);
  assert.deepEqual(requests, [['a'], ['a', 'b']]);
});

test('a request that hangs holds up the next one for a while only, and the one after that again', async () => {
  const { clock, ask } = table(() => null, 60_000);
  const first = ask(['a'], 5);
  await clock.advance(5);
  const second = ask(['b'], 5);
  await clock.advance(1000);
  const third = ask(['c'], 5);
  await clock.advance(100_000);
  const sent = (await Promise.all([first, second, third])).map(([seen]) => seen?.sentAt);
  assert.deepEqual(sent, [5, 10 + HOLD_MS, 1010 + HOLD_MS]);
});

test('after a request that failed the next one is sent', async () => {
  const away = new Failure('unavailable', 'retry', 'away');
  const { clock, ask, requests } = table((keys) => (keys.includes('a') ? away : null), 100);
  const first = assert.rejects(ask(['a'], 5), away);
  await clock.advance(20);
  const second = ask(['b'], 5);
  await clock.advance(85);
  assert.equal(requests.length, 2);
  await clock.advance(100);
  await first;
  assert.deepEqual(keysOf(await second), ['b']);
});

test('pitfall 2: whoever asks, whenever and with whatever patience, is answered by a request sent after it asked', async () => {
  const ask = fc.record({
    at: fc.nat(500),
    key: fc.constantFrom('a', 'b', 'c'),
    within: fc.constantFrom(5, 100),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(ask, { maxLength: 20 }), fc.nat(200), async (asks, latencyMs) => {
      const { clock, ask: batched, requests } = table(() => null, latencyMs);
      const answers = asks
        .toSorted((a, b) => a.at - b.at)
        .map(async ({ at, key, within }) => {
          await new Promise<void>((resolve) => void clock.after(at, resolve));
          const [seen] = await batched([key], within);
          assert.equal(seen?.key, key);
          assert.ok(
            seen.sentAt >= at && seen.sentAt <= at + within + HOLD_MS,
            `asked at ${at}, sent at ${seen.sentAt}`,
          );
        });
      await clock.advance(2000);
      await Promise.all(answers);
      assert.ok(requests.length <= asks.length);
    }),
    { numRuns: 50 },
  );
});

test('a failure that passes is the failure of everyone who shared the request, and nobody is asked for again', async () => {
  const away = new Failure('unavailable', 'retry', 'away');
  const { clock, ask, requests } = table(() => away);
  const answers = Promise.allSettled([ask(['a'], 5), ask(['b'], 5)]);
  await clock.advance(5);
  assert.deepEqual(
    (await answers).map((answer) => answer.status === 'rejected' && (answer.reason as unknown)),
    [away, away],
  );
  assert.equal(requests.length, 1);
});

test('a key that spoils the request fails its own asker only: the others are asked for one by one', async () => {
  const refused = new Failure('invalid_request', 'reject', 'what is "bad"?');
  const { clock, ask, requests } = table((keys) => (keys.includes('bad') ? refused : null));
  const answers = Promise.allSettled([ask(['a'], 5), ask(['bad'], 5), ask(['b', 'c'], 5)]);
  await clock.advance(5);
  const [first, bad, last] = await answers;
  assert.deepEqual(first.status === 'fulfilled' && keysOf(first.value), ['a']);
  assert.equal(bad.status === 'rejected' && bad.reason, refused);
  assert.deepEqual(last.status === 'fulfilled' && keysOf(last.value), ['b', 'c']);
  assert.deepEqual(requests, [['a', 'bad', 'b', 'c'], ['a'], ['bad'], ['b', 'c']]);
});

test('who is alone with a request that is refused is not asked for twice', async () => {
  const refused = new Failure('denied', 'reject', 'no');
  const { clock, ask, requests } = table(() => refused);
  const answer = assert.rejects(ask(['a'], 5), refused);
  await clock.advance(5);
  await answer;
  assert.equal(requests.length, 1);
});

test('who asks for nothing gets it at once, without a request', async () => {
  const { ask, requests } = table();
  assert.deepEqual(await ask([], 100), []);
  assert.deepEqual(requests, []);
});
