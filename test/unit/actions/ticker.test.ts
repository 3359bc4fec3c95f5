import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fleet } from '../../../src/actions/fleet.ts';
import { createTicker, type Ticker } from '../../../src/actions/ticker.ts';
import { Failure } from '../../../src/base/failure.ts';
import { idMaker } from '../../../src/base/id.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { Event } from '../../../src/engine/event.ts';
import type { GroupView } from '../../../src/engine/fleet.ts';
import type { RuleSpec } from '../../../src/engine/rule.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { fleet, group, HOUR, instance, lax, MINUTE, rule, ruleset, trigger } from '../engine/build.ts';
import { openStore } from './fake-walk.ts';

const SECOND = 1000;
const AWAY = new Failure('unavailable', 'retry', 'AWS is away');

interface World {
  readonly clock: ManualClock;
  readonly sent: string[];
  readonly append: (events: readonly Event[]) => Promise<unknown>;
  rules: readonly RuleSpec[];
  groups: readonly GroupView[];
  readable: boolean;
  full: boolean;
  /** The rule that there is no room for. */
  refused: string | null;
  /** Globs of the groups that are managed. */
  names: readonly string[];
  reads: number;
}

function every(name: string, everyMs: number, but: Partial<RuleSpec> = {}): RuleSpec {
  return rule(name, { on: [{ kind: 'every', everyMs }], ...but });
}

function cron(name: string, expression: string, timezone = 'UTC'): RuleSpec {
  return rule(name, { on: [{ kind: 'cron', cron: expression, timezone }] });
}

const named = (name: string): GroupView =>
  group([instance(`i-${name}`)], { group: { account: '111111111111', region: 'eu-west-1', name } });

/** The inbox is the real one, so that duplicates are what they are in the daemon. */
function world(rules: readonly RuleSpec[]): World {
  const clock = new ManualClock();
  const store = openStore(clock);
  const site: World = {
    ...{ clock, sent: [], rules, groups: [named('web')], readable: true, full: false },
    ...{ refused: null, names: ['web', 'api'], reads: 0 },
    async append(events) {
      if (site.full || events.some(({ labels }) => labels['rule'] === site.refused))
        throw new Failure('inbox_full', 'retry', 'full');
      const admissions = await store.append(events);
      for (const [position, { labels }] of events.entries()) {
        if (admissions[position] === 'accepted') site.sent.push(`${labels['rule']} ${labels['asg_name']}`);
      }
    },
  };
  return site;
}

function start(site: World): Ticker {
  const { clock, append } = site;
  const view: Fleet = {
    current: () => null,
    async atMost() {
      site.reads += 1;
      if (!site.readable) throw AWAY;
      return Promise.resolve(fleet(...site.groups));
    },
  };
  const current = { current: () => ruleset(site.rules, [lax({ groups: { names: site.names } })]) };
  const newId = idMaker(clock, seededRandom(Math.floor(clock.now() % 1000)));
  const random = seededRandom(1);
  const ticker = createTicker({
    append,
    fleet: view,
    ruleset: current,
    clock,
    random,
    newId,
    log: silentLog,
  });
  ticker.start();
  return ticker;
}

test('every period has one event for each rule and managed group', async () => {
  const site = world([every('a', MINUTE), every('b', 2 * MINUTE)]);
  site.groups = [named('web'), named('api'), named('unmanaged')];
  start(site);
  await site.clock.advance(4 * MINUTE - SECOND);
  const count = (what: string): number => site.sent.filter((one) => one === what).length;
  assert.deepEqual(['a web', 'a api', 'b web', 'b api'].map(count), [4, 4, 2, 2]);
  assert.equal(site.sent.length, 12);
});

test('a cron expression wakes its rule at its times, for each managed group', async () => {
  const site = world([cron('nightly', '5,20 1 * * *', 'Europe/Budapest')]);
  site.groups = [named('web'), named('api'), named('unmanaged')];
  start(site);
  await site.clock.advance(5 * MINUTE - SECOND);
  assert.deepEqual([site.sent, site.reads], [[], 0]);
  await site.clock.advance(2 * SECOND);
  assert.deepEqual(site.sent, ['nightly web', 'nightly api']);
  await site.clock.advance(15 * MINUTE);
  assert.equal(site.sent.length, 4);
});

test('all groups are read once for all rules whose time has come, and not at all while none has', async () => {
  const rules = Array.from({ length: 20 }, (_, index) =>
    index % 2 === 0 ? every(`r${index}`, 10 * MINUTE) : cron(`r${index}`, '*/10 * * * *'),
  );
  const site = world(rules);
  site.groups = Array.from({ length: 50 }, (_, index) => named(`g${index}`));
  site.names = ['g*'];
  start(site);
  await site.clock.advance(30 * MINUTE - SECOND);
  assert.deepEqual([site.sent.length, site.reads], [3 * 20 * 50, 3]);
});

test('law 2: replicas and restarts at a cron time wake the rule once', async () => {
  const site = world([cron('nightly', '0 3 * * *')]);
  await site.clock.advance(3 * HOUR - MINUTE);
  const [first] = [start(site), start(site)];
  await site.clock.advance(2 * MINUTE);
  await first.stop();
  start(site);
  await site.clock.advance(MINUTE);
  assert.deepEqual(site.sent, ['nightly web']);
});

test('a rule that the inbox has no room for does not keep others out, and none is sent twice', async () => {
  const site = world([every('a', HOUR), every('b', HOUR)]);
  site.refused = 'b';
  start(site);
  await site.clock.advance(5 * MINUTE);
  assert.deepEqual(site.sent, ['a web']);
  site.refused = null;
  await site.clock.advance(MINUTE);
  assert.deepEqual(site.sent, ['a web', 'b web']);
});

test('law 2: a restart within a period sends no second event', async () => {
  const site = world([every('a', MINUTE)]);
  for (let restart = 0; restart < 3; restart++) {
    const ticker = start(site);
    await site.clock.advance(5 * SECOND);
    await ticker.stop();
  }
  assert.deepEqual(site.sent, ['a web']);
});

test('law 2: two replicas send one event a period', async () => {
  const site = world([every('a', MINUTE)]);
  start(site);
  start(site);
  await site.clock.advance(3 * MINUTE - SECOND);
  assert.deepEqual(site.sent, ['a web', 'a web', 'a web']);
});

test('a rule with another trigger, or one that is switched off, gets no events', async () => {
  const site = world([rule('alert'), every('off', MINUTE, { enabled: false })]);
  start(site);
  await site.clock.advance(5 * MINUTE);
  assert.deepEqual([site.sent, site.reads], [[], 0]);
});

test('a rule that wakes on time and on alerts is ticked at the shortest of its periods', async () => {
  const both = rule('both', {
    on: [trigger(), { kind: 'every', everyMs: 2 * MINUTE }, { kind: 'every', everyMs: MINUTE }],
  });
  const site = world([both]);
  start(site);
  await site.clock.advance(3 * MINUTE - SECOND);
  assert.equal(site.sent.length, 3);
});

test('a period that could not be sent is sent as soon as it can be, but the ones missed are not made up for', async () => {
  const site = world([every('a', 10 * MINUTE)]);
  site.full = true;
  start(site);
  await site.clock.advance(35 * MINUTE);
  assert.deepEqual(site.sent, []);
  site.full = false;
  await site.clock.advance(MINUTE);
  assert.deepEqual(site.sent, ['a web']);
});

test('while the groups cannot be read they are not asked for every second', async () => {
  const site = world([every('a', MINUTE)]);
  site.readable = false;
  start(site);
  await site.clock.advance(30 * MINUTE);
  assert.ok(site.reads <= 120, `${site.reads} reads in half an hour`);
  site.readable = true;
  await site.clock.advance(MINUTE);
  assert.ok(site.sent.length >= 1);
});

test('a rule that comes with a reload is ticked within a second, and one that goes is not ticked any more', async () => {
  const site = world([every('a', MINUTE)]);
  start(site);
  await site.clock.advance(90 * SECOND);
  site.rules = [every('b', MINUTE)];
  await site.clock.advance(2 * SECOND);
  assert.equal(site.sent.at(-1), 'b web');
  await site.clock.advance(2 * MINUTE);
  assert.equal(site.sent.filter((one) => one === 'a web').length, 2);
});

test('a group that is new at the next period is ticked then', async () => {
  const site = world([every('a', MINUTE)]);
  start(site);
  await site.clock.advance(SECOND);
  site.groups = [named('web'), named('api')];
  await site.clock.advance(MINUTE);
  assert.deepEqual(site.sent, ['a web', 'a web', 'a api']);
});
