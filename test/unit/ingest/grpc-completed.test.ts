import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type ServiceError, status } from '@grpc/grpc-js';
import { Failure } from '../../../src/base/failure.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import type { Event } from '../../../src/engine/event.ts';
import type { Admission } from '../../../src/ingest/admission.ts';
import {
  type EventEnd,
  type EventEnds,
  type GrpcServer,
  startGrpcServer,
} from '../../../src/ingest/grpc-server.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { countingIds, FakeInbox } from './fake-inbox.ts';
import { type ForeignCaller, foreignCaller, HANDLE, HANDLE_ALERT } from './foreign-caller.ts';
import { openDoor } from './open-door.ts';

/** Somebody to wait for ends, who ends nothing before he is told to. */
class FakeEnds implements EventEnds {
  readonly asked: { readonly event: Event; readonly admission: Admission; readonly signal: AbortSignal }[] =
    [];
  readonly #end = Promise.withResolvers<EventEnd>();
  readonly #heard = Promise.withResolvers<void>();
  /** Settles when the first call waits. */
  readonly heard = this.#heard.promise;

  endOf(event: Event, admission: Admission, signal: AbortSignal): Promise<EventEnd> {
    this.asked.push({ event, admission, signal });
    this.#heard.resolve();
    const aborted = new Promise<never>((_, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', onAbort, { once: true });
    });
    return Promise.race([this.#end.promise, aborted]);
  }

  end(end: EventEnd): void {
    this.#end.resolve(end);
  }

  fail(failure: Error): void {
    this.#end.reject(failure);
  }

  /** Settles when the first caller is not waited for any more. */
  async abandoned(): Promise<void> {
    await this.heard;
    const signal = this.asked[0]?.signal;
    if (signal === undefined || signal.aborted) return;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }
}

const EVENT = {
  type: 'prometheus.server.alert.SpotTerminationNotice',
  extensions: { alertname: 'SpotTerminationNotice', instance_id: 'i-0a' },
};

let ends: FakeEnds;
let inbox: FakeInbox;
let server: GrpcServer;
let caller: ForeignCaller;

beforeEach(async () => {
  ends = new FakeEnds();
  inbox = new FakeInbox();
  const readiness = (): Promise<{ ready: boolean }> => Promise.resolve({ ready: true });
  server = await startGrpcServer(
    {
      ...{ ...openDoor, inbox, readiness, eventEnds: ends, newId: countingIds() },
      ...{ metrics: createMetrics(), clock: new ManualClock(), log: silentLog },
    },
    { host: '127.0.0.1', port: 0 },
  );
  caller = foreignCaller(server.port);
});

afterEach(async () => {
  caller.close();
  await server.stop(0);
});

describe('startGrpcServer that answers with the end', { timeout: 20_000 }, () => {
  for (const kind of ['ok', 'delayed', 'shadowed'] as const) {
    it(`answers ${kind} as the status of the result`, async () => {
      ends.end({ kind });
      assert.deepEqual(await caller.call(HANDLE, EVENT), { status: kind });
    });
  }

  const codes = [
    ['refused', status.FAILED_PRECONDITION],
    ['unavailable', status.UNAVAILABLE],
    ['internal', status.INTERNAL],
  ] as const;
  for (const [trouble, code] of codes) {
    it(`answers ${status[code]} with the message when it ended as ${trouble}`, async () => {
      ends.end({ kind: 'failed', trouble, message: 'no_candidate; run run_1' });
      const details = 'no_candidate; run run_1';
      await assert.rejects(caller.call(HANDLE_ALERT, { eventType: EVENT.type }), { code, details });
    });
  }

  it('waits for the end, and says of which event and whether it is a duplicate', async () => {
    const first = caller.call(HANDLE, EVENT);
    await ends.heard;
    const second = caller.call(HANDLE, { ...EVENT, id: 'another' });
    ends.end({ kind: 'ok' });
    await Promise.all([first, second]);
    assert.deepEqual(
      ends.asked.map(({ admission }) => admission),
      ['accepted', 'duplicate'],
    );
    assert.equal(ends.asked[0]?.event.id, inbox.events[0]?.id);
  });

  it('answers UNAVAILABLE where asking again helps', async () => {
    const answer = assert.rejects(caller.call(HANDLE, EVENT), {
      code: status.UNAVAILABLE,
      details: 'too many wait',
    });
    await ends.heard;
    ends.fail(new Failure('unavailable', 'retry', 'too many wait'));
    await answer;
  });

  it('answers UNAVAILABLE to callers that wait when it retires, and keeps their events', async () => {
    const answer = assert.rejects(caller.call(HANDLE, EVENT), (error: ServiceError) => {
      assert.equal(error.code, status.UNAVAILABLE);
      assert.match(error.details, /the event is kept, but the daemon stops/);
      return true;
    });
    await ends.heard;
    server.retire();
    await answer;
    assert.equal(inbox.events.length, 1);
  });

  it('waits no more when the deadline of the caller has passed', async () => {
    const deadline = new Date(Date.now() + 300);
    await assert.rejects(caller.call(HANDLE, EVENT, { deadline }), { code: status.DEADLINE_EXCEEDED });
    await ends.abandoned();
    assert.equal(inbox.events.length, 1);
  });

  it('waits no more when the caller has gone', async () => {
    const leaving = new AbortController();
    const answer = assert.rejects(caller.call(HANDLE, EVENT, { signal: leaving.signal }), {
      code: status.CANCELLED,
    });
    await ends.heard;
    leaving.abort();
    await answer;
    await ends.abandoned();
    assert.equal(inbox.events.length, 1);
  });
});
