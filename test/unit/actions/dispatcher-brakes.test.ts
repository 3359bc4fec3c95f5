import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDispatcher, type Dispatcher } from '../../../src/actions/dispatcher.ts';
import type { Fleet } from '../../../src/actions/fleet.ts';
import { createLiveMemory, type LiveMemory } from '../../../src/actions/live-memory.ts';
import { createUnavailableMarkets } from '../../../src/actions/unavailable-markets.ts';
import { Failure } from '../../../src/base/failure.ts';
import { idMaker } from '../../../src/base/id.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { Event } from '../../../src/engine/event.ts';
import type { RuleSpec } from '../../../src/engine/rule.ts';
import type { SqliteStore } from '../../../src/state/sqlite-store.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { event, fleet, group, HOUR, instance, MINUTE, NOW, rule, ruleset } from '../engine/build.ts';
import { AWAY, openStore, withMethods } from './fake-walk.ts';

const SECOND = 1000;
const OUT = new Failure('unavailable', 'retry', 'AWS is away');
const DELAYED = { delayMs: 5 * MINUTE };

interface World {
  readonly clock: ManualClock;
  readonly store: SqliteStore;
  readonly newId: ReturnType<typeof idMaker>;
  rules: readonly RuleSpec[];
  readable: boolean;
}

function world(...rules: readonly RuleSpec[]): World {
  const clock = new ManualClock(NOW);
  return { clock, store: openStore(clock), newId: idMaker(clock, seededRandom(5)), rules, readable: true };
}

interface Process {
  readonly dispatcher: Dispatcher;
  readonly memory: LiveMemory;
}

/** A process on the store, which knows of the past only what the store tells it. */
async function start(site: World, store = site.store): Promise<Process> {
  const { clock, newId } = site;
  const memory = createLiveMemory(store, createUnavailableMarkets(clock));
  await memory.load(clock.now());
  const members = ['i-00000001', 'i-00000002', 'i-00000003'].map((id) => instance(id));
  const view: Fleet = {
    current: () => null,
    atMost: () =>
      site.readable
        ? Promise.resolve({ ...fleet(group(members)), readAt: clock.now() })
        : Promise.reject(OUT),
  };
  const dispatcher = createDispatcher({
    ...{ store, fleet: view, memory, ruleset: { current: () => ruleset(site.rules) }, clock, newId },
    ...{ shadow: false, random: seededRandom(1), log: silentLog, metrics: createMetrics() },
    runsAdded: () => undefined,
  });
  dispatcher.start();
  return { dispatcher, memory };
}

/** A notification about the first instance. */
async function notified(site: World, but: Partial<Event> = {}): Promise<void> {
  const at = site.clock.now();
  const { store, newId } = site;
  await store.append([
    event({ instance_id: 'i-00000001' }, { id: newId('evt'), receivedAt: at, time: at, ...but }),
  ]);
}

/** The alert has resolved. */
function resolved(site: World): Promise<void> {
  const at = site.clock.now();
  return notified(site, { status: 'resolved', time: NOW, endsAt: at });
}

/** What was concluded so far, oldest first, without what is said of the end of an alert to rules that ask for its beginning. */
async function concluded(site: World): Promise<readonly string[]> {
  const { items } = await site.store.decisions({ limit: 1000 });
  return items
    .map(({ outcome, reason }) => `${outcome} ${reason}`)
    .filter((one) => one !== 'not_matched status')
    .reverse();
}

test('a delayed rule acts after its delay, not before, and once', async () => {
  const site = world(rule('r', DELAYED));
  await start(site);
  await notified(site);
  await site.clock.advance(5 * MINUTE - SECOND);
  assert.deepEqual(await concluded(site), ['suppressed rule_delay']);
  await site.clock.advance(3 * SECOND);
  assert.deepEqual(await concluded(site), ['suppressed rule_delay', 'dispatched matched']);
  await site.clock.advance(HOUR);
  assert.equal((await concluded(site)).length, 2);
  assert.deepEqual(await site.store.rechecks(), []);
});

test('an alert that resolves during the delay comes to nothing, as soon as its end is known', async () => {
  const site = world(rule('r', DELAYED));
  await start(site);
  await notified(site);
  await site.clock.advance(MINUTE);
  await resolved(site);
  await site.clock.advance(2 * SECOND);
  assert.deepEqual(await concluded(site), ['suppressed rule_delay', 'suppressed alert_resolved']);
  await site.clock.advance(HOUR);
  assert.equal((await concluded(site)).length, 2);
});

test('an alert that resolves and fires again waits for the whole delay anew', async () => {
  const site = world(rule('r', DELAYED));
  await start(site);
  await notified(site);
  await site.clock.advance(2 * MINUTE);
  await resolved(site);
  await site.clock.advance(MINUTE);
  await notified(site);
  await site.clock.advance(4 * MINUTE);
  const soFar = ['suppressed rule_delay', 'suppressed alert_resolved', 'suppressed rule_delay'];
  assert.deepEqual(await concluded(site), soFar, 'the first delay would be over');
  await site.clock.advance(MINUTE + 2 * SECOND);
  assert.deepEqual(await concluded(site), [...soFar, 'dispatched matched']);
});

test('all three in one batch are decided as if they had come one by one', async () => {
  const site = world(rule('r', DELAYED));
  await notified(site);
  await site.clock.advance(2 * MINUTE);
  await resolved(site);
  await site.clock.advance(MINUTE);
  await notified(site);
  await start(site);
  await site.clock.advance(2 * SECOND);
  const soFar = ['suppressed rule_delay', 'suppressed alert_resolved', 'suppressed rule_delay'];
  assert.deepEqual(await concluded(site), soFar);
  assert.equal((await site.store.rechecks()).length, 1);
  await site.clock.advance(6 * MINUTE);
  assert.deepEqual(await concluded(site), [...soFar, 'dispatched matched']);
});

test('a repeated notification neither prolongs the delay nor asks for a second look of its own', async () => {
  const site = world(rule('r', DELAYED));
  await start(site);
  await notified(site);
  await site.clock.advance(2 * MINUTE);
  await notified(site, { time: NOW });
  await site.clock.advance(4 * MINUTE);
  assert.deepEqual(await concluded(site), [
    'suppressed rule_delay',
    'suppressed rule_delay',
    'dispatched matched',
  ]);
});

test('the end of another alert about the same instance ends nothing', async () => {
  const site = world(rule('r', DELAYED));
  const other = { identity: { kind: 'incident', key: 'other' } } as const;
  await start(site);
  await notified(site, other);
  await notified(site);
  await site.clock.advance(MINUTE);
  await resolved(site);
  await site.clock.advance(5 * MINUTE);
  assert.deepEqual(await concluded(site), [
    'suppressed rule_delay',
    'suppressed rule_delay',
    'suppressed alert_resolved',
    'dispatched matched',
  ]);
});

test('the delay goes on over a restart, and what came due meanwhile is looked at at once', async () => {
  const site = world(rule('r', DELAYED));
  const { dispatcher } = await start(site);
  await notified(site);
  await site.clock.advance(MINUTE);
  await dispatcher.stop();
  const second = await start(site);
  await site.clock.advance(MINUTE);
  assert.deepEqual(await concluded(site), ['suppressed rule_delay']);
  await second.dispatcher.stop();
  await site.clock.advance(HOUR);
  await start(site);
  await site.clock.advance(SECOND);
  assert.deepEqual(await concluded(site), ['suppressed rule_delay', 'dispatched matched']);
});

test('an end that arrived while nobody was there is heard before the look that came due meanwhile', async () => {
  const site = world(rule('r', DELAYED));
  const { dispatcher } = await start(site);
  await notified(site);
  await site.clock.advance(SECOND);
  await dispatcher.stop();
  await site.clock.advance(HOUR);
  await resolved(site);
  await start(site);
  await site.clock.advance(SECOND);
  assert.deepEqual(await concluded(site), ['suppressed rule_delay', 'suppressed alert_resolved']);
});

test('an end that arrived while the groups could not be read is heard before the look that came due meanwhile', async () => {
  const site = world(rule('r', DELAYED));
  await start(site);
  await notified(site);
  await site.clock.advance(SECOND);
  site.readable = false;
  await site.clock.advance(HOUR);
  assert.deepEqual(await concluded(site), ['suppressed rule_delay'], 'nothing is decided in the dark');
  await resolved(site);
  site.readable = true;
  await site.clock.advance(MINUTE);
  assert.deepEqual(await concluded(site), ['suppressed rule_delay', 'suppressed alert_resolved']);
});

test('an end that stands behind a full batch is heard before a look that came due after it', async () => {
  const site = world(rule('r', DELAYED));
  const first = await start(site);
  await notified(site);
  await site.clock.advance(SECOND);
  await first.dispatcher.stop();
  const noise = Array.from({ length: 300 }, (_, i) =>
    event(
      {},
      {
        id: `evt_noise${i}`,
        type: 'noise',
        identity: { kind: 'origin', key: `n${i}` },
        receivedAt: site.clock.now(),
      },
    ),
  );
  await site.store.append(noise);
  await resolved(site);
  await site.clock.advance(HOUR);
  await start(site);
  for (let turn = 0; turn < 50 && (await site.store.inboxState()).depth > 0; turn++) {
    await site.clock.advance(SECOND);
  }
  const about = (await concluded(site)).filter((one) => one !== 'not_matched no_rule');
  assert.deepEqual(about, ['suppressed rule_delay', 'suppressed alert_resolved']);
});

for (const [when, settled] of [
  ['before it is written', false],
  ['right after it was written', true],
] as const) {
  test(`law 1 and 2: a process that is lost ${when} loses no second look and has none twice`, async () => {
    const site = world(rule('r', DELAYED));
    const { store: real } = site;
    for (const stage of ['the first look', 'the second look']) {
      let lost = false;
      const store = withMethods(real, {
        async settle(settlements) {
          if (settled) await real.settle(settlements);
          lost = true;
          return new Promise(() => {});
        },
      });
      if (stage === 'the first look') await notified(site);
      else await site.clock.advance(5 * MINUTE);
      await start(site, store);
      await site.clock.advance(SECOND);
      assert.ok(lost, stage);
    }
    await start(site);
    await site.clock.advance(10 * MINUTE);
    assert.deepEqual(await concluded(site), ['suppressed rule_delay', 'dispatched matched']);
    assert.equal((await real.runs({ limit: 10 })).items.length, 1);
    assert.deepEqual(await real.rechecks(), []);
  });
}

test('a settlement whose answer was lost is repeated without a second look too many', async () => {
  const site = world(rule('r', DELAYED));
  const { store: real } = site;
  let calls = 0;
  const store = withMethods(real, {
    async settle(settlements) {
      await real.settle(settlements);
      if (++calls % 2 === 1) throw AWAY;
    },
  });
  await notified(site);
  await start(site, store);
  await site.clock.advance(10 * MINUTE);
  assert.deepEqual(await concluded(site), ['suppressed rule_delay', 'dispatched matched']);
  assert.equal(calls, 4);
});

test('the second look is by the rules in force then', async () => {
  const site = world(rule('r', DELAYED));
  await start(site);
  const rows = [
    [[rule('other', DELAYED)], 'not_matched no_rule'],
    [[rule('r', { ...DELAYED, enabled: false })], 'suppressed rule_disabled'],
    [[rule('r', { mode: 'shadow' })], 'shadowed shadow_mode'],
  ] as const;
  for (const [index, [rules, expected]] of rows.entries()) {
    site.rules = [rule('r', DELAYED)];
    const identity = { kind: 'incident', key: `k${index}` } as const;
    await notified(site, { identity });
    await site.clock.advance(MINUTE);
    site.rules = rules;
    await site.clock.advance(5 * MINUTE);
    assert.deepEqual((await concluded(site)).at(-1), expected);
  }
});

test('a second look that cannot be decided at all is recorded as failed, and waits no more', async () => {
  const site = world(rule('r', DELAYED));
  const { memory } = await start(site);
  await notified(site);
  await site.clock.advance(MINUTE);
  memory.liveRun = () => {
    throw new TypeError('a defect');
  };
  await site.clock.advance(5 * MINUTE);
  assert.deepEqual(await concluded(site), ['suppressed rule_delay', 'failed rule_error']);
  assert.deepEqual(await site.store.rechecks(), []);
});

/** Three notifications of three alerts, each about an instance of its own. */
async function threeAlerts(site: World, from = 0): Promise<void> {
  for (const number of [1, 2, 3]) {
    const labels = { instance_id: `i-0000000${number}` };
    await notified(site, { labels, identity: { kind: 'incident', key: `k${from + number}` } });
  }
}

test('limits count the events of one batch one by one', async () => {
  const site = world(rule('r', { limits: { concurrent: 2, starts: null } }));
  await threeAlerts(site);
  await start(site);
  await site.clock.advance(SECOND);
  assert.deepEqual(await concluded(site), [
    'dispatched matched',
    'dispatched matched',
    'suppressed rule_limit',
  ]);
});

for (const [mode, outcome] of [
  ['enforce', 'dispatched matched'],
  ['shadow', 'shadowed shadow_mode'],
] as const) {
  test(`limits over a window hold over restarts and slide, in mode ${mode}`, async () => {
    const limits = { concurrent: null, starts: { max: 2, perMs: HOUR } };
    const site = world(rule('r', { mode, limits }));
    await threeAlerts(site);
    await (async () => {
      const { dispatcher } = await start(site);
      await site.clock.advance(SECOND);
      await dispatcher.stop();
    })();
    assert.deepEqual(await concluded(site), [outcome, outcome, 'suppressed rule_limit']);
    for (const run of await site.store.liveRuns()) await site.store.cancelPending(run.id, NOW, 'me');
    await site.clock.advance(30 * MINUTE);
    await start(site);
    await threeAlerts(site, 10);
    await site.clock.advance(SECOND);
    assert.deepEqual((await concluded(site)).slice(3), Array(3).fill('suppressed rule_limit'));
    await site.clock.advance(30 * MINUTE);
    await threeAlerts(site, 20);
    await site.clock.advance(SECOND);
    assert.deepEqual((await concluded(site)).slice(6), [outcome, outcome, 'suppressed rule_limit']);
  });
}

test('runs under way are counted over a restart, and free a place when they are over', async () => {
  const site = world(rule('r', { limits: { concurrent: 2, starts: null } }));
  await threeAlerts(site);
  const first = await start(site);
  await site.clock.advance(SECOND);
  await first.dispatcher.stop();
  const { memory } = await start(site);
  await site.clock.advance(HOUR);
  await threeAlerts(site, 10);
  await site.clock.advance(SECOND);
  const expected = ['suppressed duplicate', 'suppressed duplicate', 'suppressed rule_limit'];
  assert.deepEqual((await concluded(site)).slice(3), expected);
  const [run] = await site.store.liveRuns();
  assert.ok(run !== undefined && (await site.store.cancelPending(run.id, NOW, 'me')));
  memory.runEnded(run);
  await site.clock.advance(HOUR);
  await threeAlerts(site, 20);
  await site.clock.advance(SECOND);
  assert.deepEqual((await concluded(site)).slice(6), [
    'dispatched matched',
    'suppressed duplicate',
    'suppressed rule_limit',
  ]);
});

test('a cooldown that begins with a success: quiet under way, and after it, and over restarts in between', async () => {
  const cooldown = { forMs: HOUR, per: ['group' as const], after: 'success' as const };
  const site = world(rule('r', { cooldown }));
  await notified(site, { labels: { instance_id: 'i-00000001' } });
  const first = await start(site);
  await site.clock.advance(SECOND);
  await first.dispatcher.stop();
  const second = await start(site);
  await threeAlerts(site, 10);
  await site.clock.advance(SECOND);
  assert.deepEqual((await concluded(site)).slice(1), [
    'suppressed rule_cooldown',
    'suppressed rule_cooldown',
    'suppressed rule_cooldown',
  ]);
  await second.dispatcher.stop();
  const claim = await site.store.claim('me', site.clock.now(), MINUTE);
  assert.ok(claim !== null);
  await site.store.record(claim, { ...claim.run, state: 'succeeded', finishedAt: site.clock.now() }, null);
  // The process is lost before it can tell anybody: the store alone knows.
  await start(site);
  await site.clock.advance(HOUR - 2 * SECOND);
  await threeAlerts(site, 20);
  await site.clock.advance(SECOND);
  assert.deepEqual((await concluded(site)).slice(4), Array(3).fill('suppressed rule_cooldown'));
  await site.clock.advance(2 * SECOND);
  await notified(site, { identity: { kind: 'incident', key: 'k30' } });
  await site.clock.advance(SECOND);
  assert.deepEqual((await concluded(site)).slice(7), ['dispatched matched']);
});
