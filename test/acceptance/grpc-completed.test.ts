import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { type Deadline, type ServiceError, status } from '@grpc/grpc-js';
import { leftBehind } from '../../src/cloud/simulated/snapshot.ts';
import {
  CHECK,
  type ForeignCaller,
  foreignCaller,
  HANDLE,
  HANDLE_ALERT,
} from '../unit/ingest/foreign-caller.ts';
import { type Daemon, daemon, over } from './daemon.ts';

const RULES = `
rules:
  - name: spot-termination
    on: { type: prometheus.server.alert.SpotTerminationNotice }
    then: [{ swap: { urgent: true } }]
  - name: later
    on: { type: prometheus.server.alert.Sick }
    delay: 10m
    then: [{ swap: {} }]
policies:
  - { name: all, groups: { names: ["*"] }, cooldown: 0, budgets: unlimited, minInstanceAge: 0, minHealthy: 0 }
`;

/** A daemon and the engine that calls it as the original did: specversion 0.2, Go's notation of time, an id that is new each time. */
async function site(t: TestContext) {
  const house = await daemon(t, RULES);
  let caller = foreignCaller(house.grpcPort());
  t.after(() => caller.close());
  let sent = 0;
  const message = (instance: string, alertname: string): object => {
    const labels = { alertname, instance_id: instance };
    const type = `prometheus.server.alert.${alertname}`;
    const source = 'http://prometheus:9090/graph';
    const id = `00000000-0000-4000-8000-${String(++sent).padStart(12, '0')}`;
    const contenttype = 'application/cloudevents+json';
    const event = { specversion: '0.2', type, source, id, contenttype };
    const data = { ...event, ...labels, labels, correlationid: id, eventtype: 'prometheus' };
    return {
      ...{ ...event, time: '2025-12-31 23:59:59.123 +0000 UTC', extensions: labels },
      data: Buffer.from(JSON.stringify(data)),
    };
  };
  return {
    ...house,
    caller: (): ForeignCaller => caller,
    notice: (
      instance: string,
      options: { deadline?: Deadline; signal?: AbortSignal } = {},
      alertname?: string,
    ) => caller.call(HANDLE, message(instance, alertname ?? 'SpotTerminationNotice'), options),
    async restart() {
      await house.restart();
      caller.close();
      caller = foreignCaller(house.grpcPort());
    },
  };
}

/** Lets time pass until the call has been answered. */
async function answered<T>({ clock }: Daemon, call: Promise<T>): Promise<T> {
  const state = { done: false };
  const ended = call.finally(() => {
    state.done = true;
  });
  ended.catch(() => undefined);
  for (let passed = 0; !state.done && passed < 7200; passed++) await clock.advance(1000);
  assert.ok(state.done, 'the call is not answered');
  return ended;
}

/** Lets time pass until there is a run; answers its id. */
async function runOf(house: Daemon): Promise<string> {
  for (let asked = 0; asked < 1000; asked++) {
    const { items } = await house.get('/api/v1/runs');
    const [run] = items as { id: string }[];
    if (run !== undefined) return run.id;
  }
  assert.fail('there is no run');
}

function first({ members }: Daemon): string {
  const [member] = members;
  assert.ok(member !== undefined);
  return member;
}

test('a call ends with ok when the swap has succeeded, and not before', { timeout: 60_000 }, async (t) => {
  const house = await site(t);
  const call = house.notice(first(house));
  const state = { done: false };
  void call.then(() => {
    state.done = true;
  });
  const run = await runOf(house);
  assert.equal(state.done, false);
  assert.deepEqual(await answered(house, call), { status: 'ok' });
  assert.equal((await house.get(`/api/v1/runs/${run}`))['state'], 'succeeded');
  assert.deepEqual(await answered(house, house.caller().call(CHECK, {})), { status: 'SERVING' });
});

test('a call that no rule listens to ends with ok', { timeout: 60_000 }, async (t) => {
  const house = await site(t);
  const call = house.caller().call(HANDLE_ALERT, { eventType: 'prometheus.server.alert.Other' });
  assert.deepEqual(await answered(house, call), { status: 'ok' });
});

test('a rule with a delay is not waited for, and the answer says so', { timeout: 60_000 }, async (t) => {
  const house = await site(t);
  const call = house.notice(first(house), {}, 'Sick');
  assert.deepEqual(await answered(house, call), { status: 'delayed' });
});

test('a refusal by a policy is FAILED_PRECONDITION with rule, reason and decision', {
  timeout: 60_000,
}, async (t) => {
  const house = await site(t);
  await house.post('/api/v1/pause', { reason: 'the secret plan' });
  await assert.rejects(answered(house, house.notice(first(house))), (error: ServiceError) => {
    assert.equal(error.code, status.FAILED_PRECONDITION);
    assert.match(error.details, /^rule spot-termination: suppressed: policy_paused \(.+\); decision dec_/);
    assert.doesNotMatch(error.details, /secret/);
    return true;
  });
});

test('a run that is called off is FAILED_PRECONDITION with the run', { timeout: 60_000 }, async (t) => {
  const house = await site(t);
  const call = house.notice(first(house));
  call.catch(() => undefined);
  const run = await runOf(house);
  const { status: answer } = await house.post(`/api/v1/runs/${run}/cancel`);
  assert.ok(answer < 300);
  await assert.rejects(answered(house, call), (error: ServiceError) => {
    assert.equal(error.code, status.FAILED_PRECONDITION);
    assert.match(error.details, new RegExp(`^rule spot-termination: \\w+: cancelled .*; run ${run}$`));
    return true;
  });
  assert.deepEqual(leftBehind(house.before, house.cloud.snapshot()), []);
});

test('a repeated call waits for the run of the first', { timeout: 60_000 }, async (t) => {
  const house = await site(t);
  const calls = [house.notice(first(house))];
  const run = await runOf(house);
  calls.push(house.notice(first(house)));
  const answers = await answered(house, Promise.all(calls));
  assert.deepEqual(answers, [{ status: 'ok' }, { status: 'ok' }]);
  // The record tells whoever asks afterwards.
  assert.deepEqual(await answered(house, house.notice(first(house))), { status: 'ok' });
  const { items } = await house.get('/api/v1/runs');
  assert.deepEqual(
    (items as { id: string }[]).map(({ id }) => id),
    [run],
  );
});

test('a run goes on after the deadline of its caller', { timeout: 60_000 }, async (t) => {
  const house = await site(t);
  const call = house.notice(first(house), { deadline: new Date(Date.now() + 1000) });
  call.catch(() => undefined);
  const run = await runOf(house);
  // The manual clock stands, so that the run cannot end before.
  await assert.rejects(call, { code: status.DEADLINE_EXCEEDED });
  await house.until(run, over);
  assert.equal((await house.get(`/api/v1/runs/${run}`))['state'], 'succeeded');
});

test('a run goes on when its caller has gone', { timeout: 60_000 }, async (t) => {
  const house = await site(t);
  const leaving = new AbortController();
  const call = house.notice(first(house), { signal: leaving.signal });
  call.catch(() => undefined);
  const run = await runOf(house);
  leaving.abort();
  await assert.rejects(call, { code: status.CANCELLED });
  await house.until(run, over);
  assert.equal((await house.get(`/api/v1/runs/${run}`))['state'], 'succeeded');
});

test('a daemon that stops answers UNAVAILABLE, and the next one answers the repeated call', {
  timeout: 60_000,
}, async (t) => {
  const house = await site(t);
  const call = house.notice(first(house));
  const cutOff = assert.rejects(call, (error: ServiceError) => {
    assert.equal(error.code, status.UNAVAILABLE);
    assert.match(error.details, /the event is kept, but the daemon stops/);
    return true;
  });
  const run = await runOf(house);
  await house.restart();
  await cutOff;
  const again = [house.notice(first(house))];
  again.push(house.notice(first(house)));
  assert.deepEqual(await answered(house, Promise.all(again)), [{ status: 'ok' }, { status: 'ok' }]);
  const { items } = await house.get('/api/v1/runs');
  assert.deepEqual(
    (items as { id: string; state: string }[]).map(({ id, state }) => [id, state]),
    [[run, 'succeeded']],
  );
});
