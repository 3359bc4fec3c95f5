import assert from 'node:assert/strict';
import { on } from 'node:events';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Client, credentials, type ServiceDefinition, type ServiceError, status } from '@grpc/grpc-js';
import { load } from '@grpc/proto-loader';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { type GrpcServer, startGrpcServer } from '../../../src/ingest/grpc-server.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { countingIds, FakeInbox } from '../ingest/fake-inbox.ts';
import { CHECK, type ForeignCaller, foreignCaller, LIST, WATCH } from '../ingest/foreign-caller.ts';
import { openDoor } from '../ingest/open-door.ts';

const SERVICES = ['', 'action.Action', 'proto.EventHandler'];

let clock: ManualClock;
/** What the readiness is found to be. */
let ready: boolean | Error;
let server: GrpcServer;
let caller: ForeignCaller;

beforeEach(async () => {
  clock = new ManualClock();
  ready = true;
  server = await startGrpcServer(
    {
      ...{ ...openDoor, inbox: new FakeInbox(), eventEnds: null, newId: countingIds() },
      ...{ metrics: createMetrics(), clock, log: silentLog },
      readiness: async () => {
        if (ready instanceof Error) throw ready;
        return { ready };
      },
    },
    { host: '127.0.0.1', port: 0 },
  );
  caller = foreignCaller(server.port);
});

afterEach(async () => {
  caller.close();
  await server.stop(0);
});

/** The answers of a watch, one after the other. */
function watch(service: string) {
  const call = caller.open(WATCH, { service });
  const ended = new Promise<ServiceError>((resolve) => call.once('error', resolve));
  const answers = on(call, 'data');
  return {
    ended,
    async next(): Promise<unknown> {
      const { value } = (await answers.next()) as { value: [{ status: unknown }] };
      return value[0].status;
    },
    cancel: () => call.cancel(),
  };
}

describe('grpc.health.v1.Health', { timeout: 20_000 }, () => {
  for (const service of SERVICES) {
    it(`tells whether '${service}' is ready`, async () => {
      assert.deepEqual(await caller.call(CHECK, { service }), { status: 'SERVING' });
      ready = false;
      assert.deepEqual(await caller.call(CHECK, { service }), { status: 'NOT_SERVING' });
    });
  }

  it('is not serving when nobody can tell whether it is ready', async () => {
    ready = new Error('secret');
    assert.deepEqual(await caller.call(CHECK, {}), { status: 'NOT_SERVING' });
  });

  it('answers NOT_FOUND for a service that nobody serves', async () => {
    await assert.rejects(caller.call(CHECK, { service: 'action.Other' }), { code: status.NOT_FOUND });
  });

  it('lists the services', async () => {
    const statuses = Object.fromEntries(SERVICES.map((service) => [service, { status: 'SERVING' }]));
    assert.deepEqual(await caller.call(LIST, {}), { statuses });
  });

  it('tells a watcher each change once, within a second', async () => {
    ready = false;
    const watching = watch('proto.EventHandler');
    assert.equal(await watching.next(), 'NOT_SERVING');
    await clock.advance(5_000);
    ready = true;
    await clock.advance(1_000);
    assert.equal(await watching.next(), 'SERVING');
    watching.cancel();
    await watching.ended;
  });

  it('lets a watcher of an unknown service wait', async () => {
    const watching = watch('action.Other');
    assert.equal(await watching.next(), 'SERVICE_UNKNOWN');
    watching.cancel();
    await watching.ended;
  });

  it('is not serving once it retires, and sends watchers away, so that it can stop at once', async () => {
    const watching = watch('');
    assert.equal(await watching.next(), 'SERVING');
    server.retire();
    assert.equal(await watching.next(), 'NOT_SERVING');
    assert.equal((await watching.ended).code, status.UNAVAILABLE);
    assert.deepEqual(await caller.call(CHECK, {}), { status: 'NOT_SERVING' });
    assert.equal((await watch('').ended).code, status.UNAVAILABLE);
    // No time passes on the manual clock, so it does not end by its grace.
    await server.stop(1);
  });

  it('sends the thousand-and-first watcher away', async () => {
    const watching = Array.from({ length: 1000 }, () => watch('action.Action'));
    await Promise.all(watching.map((one) => one.next()));
    assert.equal((await watch('action.Action').ended).code, status.RESOURCE_EXHAUSTED);
    watching[0]?.cancel();
    await watching[0]?.ended;
    // Once this is answered, the server has heard of it.
    await caller.call(LIST, {});
    const another = watch('action.Action');
    assert.equal(await another.next(), 'SERVING');
    server.retire();
  });
});

describe('server reflection', { timeout: 20_000 }, () => {
  for (const version of ['v1', 'v1alpha']) {
    it(`describes every service by ${version}, as grpcurl asks for it`, async () => {
      const services = await reflect(version, { listServices: '' });
      const { service } = services['listServicesResponse'] as { service: { name: string }[] };
      assert.deepEqual(service.map(({ name }) => name).sort(), [
        'action.Action',
        'grpc.health.v1.Health',
        'proto.EventHandler',
      ]);
      for (const name of ['action.Action', 'proto.EventHandler.Handle', 'grpc.health.v1.Health']) {
        const file = await reflect(version, { fileContainingSymbol: name });
        const { fileDescriptorProto } = file['fileDescriptorResponse'] as { fileDescriptorProto: unknown[] };
        assert.ok(fileDescriptorProto.length > 0, name);
      }
    });
  }
});

/** One question to the reflection service, by the definition that its package brings. */
async function reflect(version: string, question: object): Promise<Readonly<Record<string, unknown>>> {
  const file = import.meta.resolve(
    `@grpc/reflection/build/proto/grpc/reflection/${version}/reflection.proto`,
  );
  const definitions = await load(new URL(file).pathname, { oneofs: true });
  const service = definitions[`grpc.reflection.${version}.ServerReflection`] as ServiceDefinition;
  const method = service['ServerReflectionInfo'];
  assert.ok(method !== undefined);
  const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
  const { path, requestSerialize, responseDeserialize } = method;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  try {
    const answers = on(call, 'data');
    call.write(question);
    const { value } = (await answers.next()) as { value: [Readonly<Record<string, unknown>>] };
    call.end();
    return value[0];
  } finally {
    client.close();
  }
}
