import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDispatcher, type Dispatcher } from '../../../src/actions/dispatcher.ts';
import type { Fleet } from '../../../src/actions/fleet.ts';
import { createLiveMemory } from '../../../src/actions/live-memory.ts';
import { createUnavailableMarkets } from '../../../src/actions/unavailable-markets.ts';
import { Failure } from '../../../src/base/failure.ts';
import { idMaker } from '../../../src/base/id.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { Decision } from '../../../src/engine/decision.ts';
import type { Event } from '../../../src/engine/event.ts';
import type { FleetView } from '../../../src/engine/fleet.ts';
import type { RuleSpec } from '../../../src/engine/rule.ts';
import type { Ruleset } from '../../../src/engine/ruleset.ts';
import type { SqliteStore } from '../../../src/state/sqlite-store.ts';
import { type Log, silentLog } from '../../../src/telemetry/log.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { event, fleet, group, HOUR, instance, MINUTE, NOW, rule, ruleset } from '../engine/build.ts';
import { AWAY, openStore, withMethods } from './fake-walk.ts';

const SECOND = 1000;
const OUT = new Failure('unavailable', 'retry', 'AWS is away');
const ids = ['i-00000001', 'i-00000002', 'i-00000003'];

interface World {
  readonly clock: ManualClock;
  readonly store: SqliteStore;
  readonly ids: ReturnType<typeof idMaker>;
  /** Whether the groups can be read. */
  readable: boolean;
  /** Members of the group as the cloud has them now. */
  members: readonly string[];
  reads: number;
  newest: FleetView | null;
}

function world(): World {
  const clock = new ManualClock(NOW);
  const store = openStore(clock);
  const newId = idMaker(clock, seededRandom(5));
  return { clock, store, ids: newId, readable: true, members: ids, reads: 0, newest: null };
}

/** A fleet that reads whenever its last reading is too old. */
function fleetOf(site: World): Fleet {
  return {
    current: () => site.newest,
    async atMost(maxAgeMs) {
      const age = site.clock.now() - (site.newest?.readAt ?? Number.NEGATIVE_INFINITY);
      if (site.newest !== null && age <= maxAgeMs) return site.newest;
      site.reads += 1;
      if (!site.readable) throw OUT;
      const members = site.members.map((id) => instance(id));
      site.newest = { ...fleet(group(members)), readAt: site.clock.now() };
      return Promise.resolve(site.newest);
    },
  };
}

interface Started {
  readonly dispatcher: Dispatcher;
  readonly rung: () => number;
  readonly decided: readonly Decision[];
}

interface Options {
  readonly store?: SqliteStore;
  readonly rules?: readonly RuleSpec[];
  readonly shadow?: boolean;
  readonly log?: Log;
  /** Changes the ruleset, e.g. into one with a defect. */
  readonly spoil?: (compiled: Ruleset) => Ruleset;
}

async function start(site: World, options: Options = {}): Promise<Started> {
  const { clock, store: real, ids: newId } = site;
  const { store = real, rules = [rule('swap-it')], shadow = false, spoil = (sound) => sound } = options;
  const { log = silentLog } = options;
  const memory = createLiveMemory(store, createUnavailableMarkets(clock));
  await memory.load(clock.now());
  const compiled: Ruleset = spoil(ruleset(rules));
  let rung = 0;
  const decided: Decision[] = [];
  const dispatcher = createDispatcher({
    ...{ store, fleet: fleetOf(site), memory, ruleset: { current: () => compiled }, clock, newId, shadow },
    ...{ random: seededRandom(1), log, metrics: createMetrics() },
    runsAdded: () => {
      rung += 1;
    },
    decided: (decision) => void decided.push(decision),
  });
  dispatcher.start();
  return { dispatcher, rung: () => rung, decided };
}

let count = 0;

/** An alert about the instance. */
function alert(site: World, instanceId: string, but: Partial<Event> = {}): Event {
  count += 1;
  const at = site.clock.now();
  return event(
    { instance_id: instanceId },
    {
      id: site.ids('evt'),
      identity: { kind: 'incident', key: `k${count}` },
      receivedAt: at,
      time: at,
      ...but,
    },
  );
}

async function runsOf(site: World): Promise<readonly string[]> {
  const { items } = await site.store.runs({ limit: 1000 });
  return items.map(({ instanceId }) => instanceId).reverse();
}

async function outcomes(site: World): Promise<readonly string[]> {
  const { items } = await site.store.decisions({ limit: 1000 });
  return items.map(({ outcome, reason }) => `${outcome} ${reason}`).reverse();
}

async function depth(site: World): Promise<number> {
  return (await site.store.inboxState()).depth;
}

test('events become decisions and runs in the order of their arrival, and the worker is rung', async () => {
  const site = world();
  const { dispatcher, rung, decided } = await start(site);
  await site.store.append(ids.map((id) => alert(site, id)));
  dispatcher.wake();
  await site.clock.advance(100);
  assert.deepEqual(await runsOf(site), ids);
  assert.equal(await depth(site), 0);
  assert.equal(rung(), 1);
  assert.deepEqual(
    decided.map(({ subject }) => subject.instance),
    ids,
  );
});

test('an event that cannot be decided at all is recorded as failed, and holds up none that come after it', async () => {
  const site = world();
  const spoil = (sound: Ruleset): Ruleset => ({
    ...sound,
    candidates(asked) {
      if (asked.labels['instance_id'] === 'i-00000002') throw new TypeError('a defect');
      return sound.candidates(asked);
    },
  });
  await start(site, { spoil });
  await site.store.append(ids.map((id) => alert(site, id)));
  await site.clock.advance(SECOND);
  assert.deepEqual(await outcomes(site), ['dispatched matched', 'failed rule_error', 'dispatched matched']);
  assert.deepEqual(await runsOf(site), ['i-00000001', 'i-00000003']);
  assert.equal(await depth(site), 0);
});

test('an event is found without anybody ringing, within a second', async () => {
  const site = world();
  await start(site);
  await site.store.append([alert(site, 'i-00000001')]);
  await site.clock.advance(SECOND);
  assert.deepEqual(await runsOf(site), ['i-00000001']);
});

test('law 2: two events of one batch about the same instance start one run', async () => {
  const site = world();
  await site.store.append([alert(site, 'i-00000001'), alert(site, 'i-00000001')]);
  await start(site);
  await site.clock.advance(SECOND);
  assert.deepEqual(await runsOf(site), ['i-00000001']);
  assert.deepEqual(await outcomes(site), ['dispatched matched', 'suppressed duplicate']);
});

test('law 2: a cooldown taken by one event of a batch binds the next', async () => {
  const site = world();
  const cooldown = { forMs: HOUR, per: ['group' as const], after: 'dispatch' as const };
  await site.store.append(ids.map((id) => alert(site, id)));
  await start(site, { rules: [rule('swap-it', { cooldown })] });
  await site.clock.advance(SECOND);
  assert.deepEqual(await outcomes(site), [
    'dispatched matched',
    'suppressed rule_cooldown',
    'suppressed rule_cooldown',
  ]);
});

for (const [when, settled] of [
  ['before its decisions are written', false],
  ['right after its decisions were written', true],
] as const) {
  test(`law 1: a process that is lost ${when} loses no event and repeats nothing`, async () => {
    const site = world();
    const { store: real } = site;
    let lost = false;
    const store = withMethods(real, {
      async settle(settlements) {
        if (settled) await real.settle(settlements);
        lost = true;
        return new Promise(() => {});
      },
    });
    const cooldown = { forMs: HOUR, per: ['instance' as const], after: 'dispatch' as const };
    const rules = [rule('swap-it', { cooldown })];
    await real.append(ids.map((id) => alert(site, id)));
    await start(site, { store, rules });
    await site.clock.advance(SECOND);
    assert.ok(lost);
    await start(site, { rules });
    await site.clock.advance(SECOND);
    assert.deepEqual(await runsOf(site), ids);
    assert.deepEqual(
      await outcomes(site),
      ids.map(() => 'dispatched matched'),
    );
    assert.equal(await depth(site), 0);
  });
}

test('a store that cannot write is tried until it does: nothing is decided anew, and no run is started twice', async () => {
  const site = world();
  const { store: real } = site;
  let refusals = 0;
  const store = withMethods(real, {
    settle: (settlements) => (++refusals <= 5 ? Promise.reject(AWAY) : real.settle(settlements)),
  });
  await real.append(ids.map((id) => alert(site, id)));
  const { decided } = await start(site, { store });
  await site.clock.advance(10 * SECOND);
  assert.deepEqual([await depth(site), decided.length], [3, 0]);
  await site.clock.advance(2 * MINUTE);
  assert.deepEqual(await runsOf(site), ids);
  assert.equal(refusals, 6);
});

test('a settlement whose answer was lost is repeated without a second run', async () => {
  const site = world();
  const { store: real } = site;
  let losses = 1;
  const store = withMethods(real, {
    async settle(settlements) {
      await real.settle(settlements);
      if (losses-- > 0) throw AWAY;
    },
  });
  await real.append(ids.map((id) => alert(site, id)));
  await start(site, { store });
  await site.clock.advance(MINUTE);
  assert.deepEqual(await runsOf(site), ids);
  assert.deepEqual(
    await outcomes(site),
    ids.map(() => 'dispatched matched'),
  );
});

test('a stop does not wait for a store that is away', async () => {
  const site = world();
  const store = withMethods(site.store, { settle: () => Promise.reject(AWAY) });
  await site.store.append([alert(site, 'i-00000001')]);
  const { dispatcher } = await start(site, { store });
  await site.clock.advance(SECOND);
  await dispatcher.stop();
  assert.equal(await depth(site), 1);
});

test('while the groups cannot be read, decisions go on with a recent reading, and then events wait', async () => {
  const site = world();
  await site.store.append([alert(site, 'i-00000001')]);
  await start(site);
  await site.clock.advance(SECOND);
  site.readable = false;
  await site.clock.advance(5 * MINUTE);
  await site.store.append([alert(site, 'i-00000002')]);
  await site.clock.advance(SECOND);
  assert.deepEqual(await runsOf(site), ['i-00000001', 'i-00000002']);
  await site.clock.advance(10 * MINUTE);
  await site.store.append([alert(site, 'i-00000003')]);
  await site.clock.advance(MINUTE);
  assert.equal(await depth(site), 1, 'an old reading must not decide');
});

test('law 1: after an hour without the cloud the events that waited are decided within half a minute', async () => {
  const site = world();
  site.readable = false;
  await site.store.append(ids.map((id) => alert(site, id)));
  await start(site);
  await site.clock.advance(HOUR);
  assert.deepEqual([await depth(site), await runsOf(site)], [3, []]);
  assert.ok(site.reads < 400, `${site.reads} reads within the hour`);
  site.readable = true;
  await site.clock.advance(31 * SECOND);
  assert.deepEqual(await runsOf(site), ids);
});

test('an event about an instance that the last reading lacks is decided on a newer one', async () => {
  const site = world();
  await start(site);
  await site.store.append([alert(site, 'i-00000001')]);
  await site.clock.advance(3 * SECOND);
  site.members = [...ids, 'i-00000009'];
  await site.store.append([alert(site, 'i-00000009')]);
  await site.clock.advance(SECOND);
  assert.deepEqual(await runsOf(site), ['i-00000001', 'i-00000009']);
});

test('a flood of events about strangers does not become a flood of readings', async () => {
  const site = world();
  await start(site);
  for (let i = 0; i < 100; i++) {
    await site.store.append([alert(site, 'i-0badbad0')]);
    await site.clock.advance(100);
  }
  assert.ok(site.reads <= 7, `${site.reads} readings in ten seconds`);
  await site.clock.advance(2 * SECOND);
  assert.equal((await outcomes(site)).filter((one) => one === 'suppressed subject_unresolved').length, 100);
});

test('many events are decided in batches, none twice and none left out', async () => {
  const site = world();
  await start(site);
  for (let i = 0; i < 4; i++) {
    await site.store.append(
      Array.from({ length: 250 }, () => alert(site, 'i-00000001', { status: 'resolved' })),
    );
  }
  // The dispatcher gives requests real turns of the event loop in between, so it takes more than virtual time.
  for (let turn = 0; turn < 200 && (await depth(site)) > 0; turn++) await site.clock.advance(SECOND);
  assert.equal(await depth(site), 0);
  assert.equal((await outcomes(site)).length, 1000);
});

test('the log has the evidence of a decision as it is stored', async () => {
  const site = world();
  const lines: Readonly<Record<string, unknown>>[] = [];
  const log: Log = {
    ...silentLog,
    child: () => log,
    info: (fields: unknown) => void lines.push({ ...(fields as object) }),
  };
  const when = { fact: 'group.desired', operator: 'greaterThan', value: 1 };
  await start(site, { rules: [rule('swap-it', { when })], log });
  await site.store.append([alert(site, 'i-00000001')]);
  await site.clock.advance(SECOND);
  const [stored] = (await site.store.decisions({ limit: 1 })).items;
  assert.equal(stored?.because.length, 1);
  const { id: decision, rule: name, outcome, reason, detail, because: evidence, runId: run } = stored;
  const shared = { decision, rule: name, outcome, reason, detail, evidence, run };
  assert.deepEqual({ ...lines[0], ...shared }, lines[0]);
});

test('a daemon that only watches records what it would do, and starts no run', async () => {
  const site = world();
  const { rung } = await start(site, { shadow: true });
  await site.store.append([alert(site, 'i-00000001')]);
  await site.clock.advance(SECOND);
  assert.deepEqual(await outcomes(site), ['shadowed shadow_mode']);
  assert.deepEqual([await runsOf(site), rung()], [[], 0]);
});
