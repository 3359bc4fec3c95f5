import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import test, { type TestContext } from 'node:test';
import { inspect } from 'node:util';
import { status } from '@grpc/grpc-js';
import { systemClock } from '../../../src/base/clock.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import type { PluginContext, PluginHandler } from '../../../src/sdk/calls.ts';
import type { PluginEvent } from '../../../src/sdk/event.ts';
import { Refused, serve, Unavailable } from '../../../src/sdk/plugin.ts';
import { type PluginOptions, startPlugin } from '../../../src/sdk/plugin-server.ts';
import { CHECK, HANDLE, HANDLE_ALERT, type Method, WATCH } from '../ingest/foreign-caller.ts';
import { keptLog, pluginSite } from './plugin-site.ts';

const LIMIT = { timeout: 20_000 };
const TYPE = 'prometheus.server.alert.SpotTerminationNotice';
const SOURCE = 'http://prometheus:9090/graph?g0.expr=up';
const LABELS = { alertname: 'SpotTerminationNotice', instance_id: 'i-0a', Zone: 'eu-west-1a' };

/** As an engine of Hollowtrees v1 fills it. */
const ALERT_EVENT = {
  eventId: 'dc5d9f1b-6e0b-4f0a-9e57-6d7a3fbb2c11',
  eventType: TYPE,
  resource: { resourceType: 'prometheus.server', resourceId: SOURCE },
  data: LABELS,
};

const ID = '5b6dd17f-77ff-4f3c-a3b6-8a6c4f7a7f00';
/** The whole event once more, with the labels lower-cased at the top level. */
const DATA = Buffer.from(
  JSON.stringify({
    specversion: '0.2',
    type: TYPE,
    source: SOURCE,
    id: ID,
    time: '2018-12-20T10:11:12.123Z',
    alertname: 'SpotTerminationNotice',
    instance_id: 'i-0a',
    zone: 'eu-west-1a',
    labels: LABELS,
    correlationid: 'c',
    eventtype: 'prometheus',
  }),
);
/** As an engine of Hollowtrees v2 fills it. */
const CLOUD_EVENT = {
  specversion: '0.2',
  type: TYPE,
  source: SOURCE,
  id: ID,
  time: '2018-12-20 10:11:12.123 +0000 UTC',
  schemaurl: '',
  contenttype: 'application/cloudevents+json',
  data: DATA,
  extensions: LABELS,
};

const READ_V2 = {
  id: ID,
  type: TYPE,
  source: SOURCE,
  time: new Date('2018-12-20T10:11:12.123Z'),
  labels: LABELS,
  protocol: 'v2',
};

const READINGS: readonly [rule: string, method: Method, message: object, expected: object][] = [
  [
    'an alert of a v1 engine',
    HANDLE_ALERT,
    ALERT_EVENT,
    { id: ALERT_EVENT.eventId, type: TYPE, source: SOURCE, time: null, labels: LABELS, protocol: 'v1' },
  ],
  ['an event of a v2 engine', HANDLE, CLOUD_EVENT, READ_V2],
  [
    'labels of the data, where the extensions were dropped',
    HANDLE,
    { ...CLOUD_EVENT, extensions: {} },
    READ_V2,
  ],
  [
    'data that has the labels at its top level only',
    HANDLE,
    { ...CLOUD_EVENT, extensions: {}, data: Buffer.from('{"id":"x","instance_id":"i-0a","count":2}') },
    { ...READ_V2, labels: { instance_id: 'i-0a', count: '2' } },
  ],
  [
    'an event that has nothing but its type',
    HANDLE,
    { type: 't', data: Buffer.from('no JSON') },
    { id: '', type: 't', source: '', time: null, labels: {}, protocol: 'v2' },
  ],
  [
    'an alert that has nothing but its type',
    HANDLE_ALERT,
    { eventType: 't' },
    { id: '', type: 't', source: '', time: null, labels: {}, protocol: 'v1' },
  ],
];

for (const [rule, method, message, expected] of READINGS) {
  test(`hands over ${rule}`, LIMIT, async (t) => {
    const events: PluginEvent[] = [];
    const { caller } = await pluginSite(t, (event) => void events.push(event));
    assert.deepEqual(await caller.call(method, message), { status: 'ok' });
    const [{ data, ...event } = { data: null }, ...more] = events;
    assert.deepEqual(event, expected);
    assert.deepEqual(
      Buffer.from(data ?? []),
      Reflect.get(message, 'data') instanceof Buffer ? Reflect.get(message, 'data') : Buffer.alloc(0),
    );
    assert.deepEqual(more, []);
  });
}

test('an event without a type is INVALID_ARGUMENT, and no handler hears of it', LIMIT, async (t) => {
  const { caller } = await pluginSite(t, () => assert.fail('called'));
  for (const method of [HANDLE, HANDLE_ALERT]) {
    await assert.rejects(caller.call(method, {}), {
      code: status.INVALID_ARGUMENT,
      details: 'type is missing',
    });
  }
});

test('a message over 1 MiB is RESOURCE_EXHAUSTED', LIMIT, async (t) => {
  const { caller } = await pluginSite(t, () => assert.fail('called'));
  const data = Buffer.alloc(1_048_577);
  await assert.rejects(caller.call(HANDLE, { ...CLOUD_EVENT, data }), { code: status.RESOURCE_EXHAUSTED });
});

const ERRORS: readonly [rule: string, thrown: unknown, code: status, details: string][] = [
  ['Refused is FAILED_PRECONDITION', new Refused('not this one'), status.FAILED_PRECONDITION, 'not this one'],
  ['Unavailable is UNAVAILABLE', new Unavailable('later'), status.UNAVAILABLE, 'later'],
  ['an error is INTERNAL', new Error('secret'), status.INTERNAL, 'the plugin failed; its log says more'],
  ['a text is INTERNAL', 'secret', status.INTERNAL, 'the plugin failed; its log says more'],
  ['nothing is INTERNAL', undefined, status.INTERNAL, 'the plugin failed; its log says more'],
  [
    'what has no text is INTERNAL',
    Object.create(null),
    status.INTERNAL,
    'the plugin failed; its log says more',
  ],
  ['a message is cut', new Refused('é'.repeat(9000)), status.FAILED_PRECONDITION, `${'é'.repeat(500)}…`],
  [
    'a message is cut in the middle of a character',
    new Refused(`${'a'.repeat(499)}😀`),
    status.FAILED_PRECONDITION,
    `${'a'.repeat(499)}\ufffd…`,
  ],
  [
    'a message has half a character',
    new Unavailable('half \ud83d of it'),
    status.UNAVAILABLE,
    'half \ufffd of it',
  ],
];

for (const [rule, thrown, code, details] of ERRORS) {
  test(`thrown, ${rule}, and only what nobody foresaw is logged`, LIMIT, async (t) => {
    const ways: readonly PluginHandler[] = [
      () => {
        throw thrown;
      },
      () => Promise.reject(thrown as Error),
    ];
    for (const handler of ways) {
      const { caller, log } = await pluginSite(t, handler);
      await assert.rejects(caller.call(HANDLE, CLOUD_EVENT), { code, details });
      const failures = log.lines.filter(({ level }) => level === 'error');
      assert.equal(failures.length, code === status.INTERNAL ? 1 : 0);
      assert.equal(JSON.stringify(failures).includes('secret'), inspect(thrown).includes('secret'));
    }
  });
}

/** A handler that runs until it is told to end, and what it saw. */
function longHandler(): {
  readonly handler: PluginHandler;
  readonly begun: Promise<PluginContext>;
  readonly aborted: Promise<unknown>;
} {
  const begun = Promise.withResolvers<PluginContext>();
  const aborted = Promise.withResolvers<unknown>();
  return {
    begun: begun.promise,
    aborted: aborted.promise,
    async handler(_event, context) {
      begun.resolve(context);
      await once(context.signal, 'abort');
      aborted.resolve(context.signal.reason);
      context.signal.throwIfAborted();
    },
  };
}

test('a deadline is told, and its passing aborts the signal', LIMIT, async (t) => {
  const { handler, begun, aborted } = longHandler();
  const { caller, log } = await pluginSite(t, handler);
  const deadline = new Date(systemClock.now() + 150);
  const call = caller.call(HANDLE, CLOUD_EVENT, { deadline });
  await assert.rejects(call, { code: status.DEADLINE_EXCEEDED });
  const { deadline: told } = await begun;
  assert.ok(told !== null && Math.abs(told.getTime() - deadline.getTime()) < 100, String(told));
  await aborted;
  assert.deepEqual(
    log.lines.filter(({ level }) => level === 'error'),
    [],
  );
});

test('a caller that goes away aborts the signal', LIMIT, async (t) => {
  const { handler, begun, aborted } = longHandler();
  const { caller } = await pluginSite(t, handler);
  const away = new AbortController();
  const call = assert.rejects(caller.call(HANDLE, CLOUD_EVENT, { signal: away.signal }));
  assert.equal((await begun).deadline, null);
  away.abort();
  await call;
  assert.match(String(await aborted), /the caller has gone/);
});

test('what a handler throws when its caller has gone is logged all the same', LIMIT, async (t) => {
  const handler = async (_event: PluginEvent, { signal }: PluginContext): Promise<void> => {
    await once(signal, 'abort');
    throw new Error('half done');
  };
  const { caller, log } = await pluginSite(t, handler);
  const logged = log.next('the handler failed');
  await assert.rejects(caller.call(HANDLE, CLOUD_EVENT, { deadline: new Date(systemClock.now() + 100) }));
  assert.match(JSON.stringify((await logged).fields), /half done/);
});

test('a repeat is told by its id, and nothing without an id is one', LIMIT, async (t) => {
  const repeats: boolean[] = [];
  const { caller } = await pluginSite(t, (_event, { repeat }) => void repeats.push(repeat));
  for (const id of ['a', 'b', 'a', '', '']) await caller.call(HANDLE, { ...CLOUD_EVENT, id });
  assert.deepEqual(repeats, [false, false, true, false, false]);
});

test('beyond its concurrency it is UNAVAILABLE, until a handler has ended', LIMIT, async (t) => {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const handler = (): Promise<void> => {
    begun.resolve();
    return gate.promise;
  };
  const { caller } = await pluginSite(t, handler, { concurrency: 1 });
  const first = caller.call(HANDLE, CLOUD_EVENT);
  await begun.promise;
  await assert.rejects(caller.call(HANDLE, CLOUD_EVENT), { code: status.UNAVAILABLE });
  gate.resolve();
  await first;
  await caller.call(HANDLE, CLOUD_EVENT);
});

test('health is what ready says, and an error is no', LIMIT, async (t) => {
  let ready = (): boolean | Promise<boolean> => true;
  const { caller } = await pluginSite(t, () => undefined, { ready: () => ready() });
  for (const service of ['', 'action.Action', 'proto.EventHandler'])
    assert.deepEqual(await caller.call(CHECK, { service }), { status: 'SERVING' });
  ready = () => Promise.resolve(false);
  assert.deepEqual(await caller.call(CHECK, {}), { status: 'NOT_SERVING' });
  ready = () => {
    throw new Error('broken');
  };
  assert.deepEqual(await caller.call(CHECK, {}), { status: 'NOT_SERVING' });
});

test('stopping says NOT_SERVING first, and lets handlers end', LIMIT, async (t) => {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const handler = (): Promise<void> => {
    begun.resolve();
    return gate.promise;
  };
  const { plugin, caller } = await pluginSite(t, handler, { graceMs: 60_000 });
  const watch = caller.open(WATCH, {});
  const told: unknown[] = [];
  watch.on('data', (message) => told.push(message));
  await once(watch, 'data');
  const call = caller.call(HANDLE, CLOUD_EVENT);
  await begun.promise;
  const away = once(watch, 'error');
  const stopped = plugin.stop();
  await away;
  assert.deepEqual(told, [{ status: 'SERVING' }, { status: 'NOT_SERVING' }]);
  gate.resolve();
  assert.deepEqual(await call, { status: 'ok' });
  await stopped;
  await plugin.stopped;
});

test(
  'what does not end within the grace time is cut off, and its caller told to try again',
  LIMIT,
  async (t) => {
    const clock = new ManualClock();
    const { handler, begun, aborted } = longHandler();
    const { plugin, caller, log } = await pluginSite(t, handler, { clock, graceMs: 5_000 });
    const call = caller.call(HANDLE, CLOUD_EVENT);
    const { signal } = await begun;
    const cut = assert.rejects(call, { code: status.UNAVAILABLE, details: 'the plugin stops' });
    const stopped = plugin.stop();
    await clock.advance(4_999);
    assert.equal(signal.aborted, false);
    await clock.advance(1);
    assert.ok((await aborted) instanceof Unavailable);
    await cut;
    await clock.advance(500);
    await stopped;
    assert.match(String(log.lines.find(({ level }) => level === 'error')?.message), /cut off/);
  },
);

test('a handler whose caller has gone is waited for, too', LIMIT, async (t) => {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const handler = (): Promise<void> => {
    begun.resolve();
    return gate.promise;
  };
  const { plugin, caller, log } = await pluginSite(t, handler, { graceMs: 60_000 });
  const away = new AbortController();
  const call = assert.rejects(caller.call(HANDLE, CLOUD_EVENT, { signal: away.signal }));
  await begun.promise;
  away.abort();
  await call;
  caller.close();
  const onlooker = connect(`http://${plugin.address}`);
  await once(onlooker, 'connect');
  const closed = once(onlooker, 'close');
  const stopped = plugin.stop();
  await closed;
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  const isStopped = (): boolean => log.lines.some(({ message }) => message === 'plugin stopped');
  assert.equal(isStopped(), false);
  gate.resolve();
  await stopped;
  assert.equal(isStopped(), true);
});

test('SIGTERM stops it, and a signal after that is nobody but the process’ own', LIMIT, async () => {
  const before = process.listenerCount('SIGTERM');
  const plugin = await serve(() => undefined, { address: '127.0.0.1:0', log: keptLog() });
  assert.equal(process.listenerCount('SIGTERM'), before + 1);
  process.emit('SIGTERM');
  assert.equal(process.listenerCount('SIGTERM'), before);
  assert.equal(process.listenerCount('SIGINT'), before);
  await plugin.stopped;
});

test('with handleSignals off, signals are left alone', LIMIT, async () => {
  const before = process.listenerCount('SIGTERM');
  const options = { address: '127.0.0.1:0', log: keptLog(), handleSignals: false };
  const plugin = await serve(() => undefined, options);
  assert.equal(process.listenerCount('SIGTERM'), before);
  await plugin.stop();
});

const UNUSABLE: readonly [rule: string, options: PluginOptions][] = [
  ['an address without a port', { address: '127.0.0.1' }],
  ['an address without a host', { address: ':8889' }],
  ['an address with a port beyond all', { address: '127.0.0.1:65536' }],
  ['an address of IPv6 without brackets', { address: '::1:8889' }],
  ['a concurrency that is no number', { concurrency: Number.NaN }],
  ['a concurrency that lets no handler run', { concurrency: 0 }],
  ['a grace time that is no number', { graceMs: Number('10s') }],
  ['a grace time that is less than none', { graceMs: -1 }],
];

for (const [rule, options] of UNUSABLE) {
  test(`refuses ${rule}`, LIMIT, () =>
    assert.rejects(
      startPlugin(() => undefined, { address: '127.0.0.1:0', ...options, log: keptLog() }, systemClock),
      {
        code: 'invalid_request',
      },
    ),
  );
}

test('refuses what is no handler, before anybody calls', LIMIT, async () => {
  const handler: unknown = { handle: () => undefined };
  await assert.rejects(serve(handler as PluginHandler, { address: '127.0.0.1:0', log: keptLog() }), {
    code: 'invalid_request',
    message: 'the handler is no function',
  });
});

test('an address that is taken is unavailable', LIMIT, async (t: TestContext) => {
  const { plugin } = await pluginSite(t, () => undefined);
  const address = plugin.address;
  await assert.rejects(
    startPlugin(() => undefined, { address, log: keptLog() }, systemClock),
    (error: Error) => {
      assert.equal(Reflect.get(error, 'code'), 'unavailable');
      assert.match(error.message, new RegExp(`listening on ${address}`));
      return true;
    },
  );
});
