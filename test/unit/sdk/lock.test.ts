import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { Client, credentials, type ServiceDefinition } from '@grpc/grpc-js';
import { load } from '@grpc/proto-loader';
import { systemClock } from '../../../src/base/clock.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { type ClientOptions, createClient, type SendEnd } from '../../../src/sdk/client.ts';
import { type PluginOptions, startPlugin } from '../../../src/sdk/plugin-server.ts';
import { newAuthority, type Pair } from '../../certificates.ts';
import { CHECK } from '../ingest/foreign-caller.ts';
import { keptLog, pluginSite } from './plugin-site.ts';

const LIMIT = { timeout: 20_000 };
const EVENT = { type: 'test' };
const ignore = (): void => undefined;

const EXPOSURES: readonly [rule: string, options: PluginOptions, refused: boolean][] = [
  ['all addresses', { address: '0.0.0.0:0' }, true],
  ['all addresses of IPv6', { address: '[::]:0' }, true],
  ['a name that could be anything', { address: 'plugin.internal:0' }, true],
  ['all addresses, with a token', { address: '0.0.0.0:0', token: 'secret' }, false],
  ['all addresses, when told to', { address: '0.0.0.0:0', insecure: true }, false],
  ['any loopback', { address: '127.0.0.2:0' }, false],
  ['the loopback of IPv6', { address: '[::1]:0' }, false],
  ['localhost', { address: 'localhost:0' }, false],
];

for (const [rule, options, refused] of EXPOSURES) {
  test(`${refused ? 'refuses to listen' : 'listens'} on ${rule}`, LIMIT, async () => {
    const start = startPlugin(ignore, { ...options, log: keptLog(), graceMs: 0 }, systemClock);
    if (refused) await assert.rejects(start, /may be reached from other machines: give token/);
    else await (await start).stop();
  });
}

test('an empty token opens no door, and none is opened', LIMIT, async () => {
  const start = startPlugin(ignore, { token: '', log: keptLog() }, systemClock);
  await assert.rejects(start, { code: 'invalid_request', message: 'the token is empty' });
});

async function sending(t: TestContext, options: ClientOptions): Promise<() => Promise<SendEnd>> {
  const client = await createClient(options);
  t.after(() => client.close());
  return () => client.send(EVENT);
}

const codeOf = (end: SendEnd): string => (end.kind === 'ok' ? 'ok' : end.code);

test(
  'with a token, whoever shows another, or none, is UNAUTHENTICATED; health is for everybody',
  LIMIT,
  async (t) => {
    const { plugin, caller } = await pluginSite(t, ignore, { token: 'right' });
    const { address } = plugin;
    for (const protocol of ['v1', 'v2'] as const) {
      const rows = [
        [{ token: 'right' }, 'ok'],
        [{ token: 'wrong' }, 'UNAUTHENTICATED'],
        [{ token: 'righ' }, 'UNAUTHENTICATED'],
        [{}, 'UNAUTHENTICATED'],
      ] as const;
      for (const [shown, code] of rows)
        assert.equal(codeOf(await (await sending(t, { address, protocol, ...shown }))()), code);
    }
    assert.deepEqual(await caller.call(CHECK, {}), { status: 'SERVING' });
    await assert.rejects(servicesOf(plugin.address), /UNAUTHENTICATED/);
  },
);

test('reflection lists the services', LIMIT, async (t) => {
  const { plugin } = await pluginSite(t, ignore);
  const services = await servicesOf(plugin.address);
  for (const name of ['action.Action', 'proto.EventHandler', 'grpc.health.v1.Health'])
    assert.ok(services.includes(name), `${name} is not among ${services.join()}`);
});

async function folder(t: TestContext): Promise<(name: string, text: string) => Promise<string>> {
  const path = await mkdtemp(join(tmpdir(), 'coppice-sdk-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return async (name, text) => {
    const file = join(path, name);
    // Never half a file.
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
    return file;
  };
}

test('tokens of a file are good while they are in it', LIMIT, async (t) => {
  const write = await folder(t);
  const clock = new ManualClock();
  const tokenFile = await write('tokens', 'old\n');
  const { plugin, log } = await pluginSite(t, ignore, { tokenFile, clock });
  const { address } = plugin;
  const ends = async (): Promise<string[]> =>
    Promise.all(['old', 'new'].map(async (token) => codeOf(await (await sending(t, { address, token }))())));
  assert.deepEqual(await ends(), ['ok', 'UNAUTHENTICATED']);
  const change = async (text: string, message: string): Promise<void> => {
    const told = log.next(message);
    await write('tokens', text);
    await clock.advance(10_000);
    await told;
  };
  await change('old\n\n new \n', 'files read again');
  assert.deepEqual(await ends(), ['ok', 'ok']);
  await change('\n', 'files cannot be used; the last good ones stay in force');
  assert.deepEqual(await ends(), ['ok', 'ok']);
  await change('new\n', 'files read again');
  assert.deepEqual(await ends(), ['UNAUTHENTICATED', 'ok']);
});

const LOCAL = { commonName: 'plugin', names: ['DNS:localhost', 'IP:127.0.0.1'] };

test(
  'a new certificate counts from the next connection on, and one without its key changes nothing',
  LIMIT,
  async (t) => {
    const write = await folder(t);
    const [one, other] = [newAuthority('one'), newAuthority('other')];
    const [before, after] = [one.issue(LOCAL), other.issue(LOCAL)];
    const clock = new ManualClock();
    const tls = { certFile: await write('cert', before.cert), keyFile: await write('key', before.key) };
    const { plugin, log } = await pluginSite(t, ignore, { tls, clock });
    const trusting = async (ca: string): Promise<string> => {
      const caFile = await write('ca', ca);
      const send = await sending(t, { address: plugin.address, tls: { caFile } });
      return send().then(codeOf, (error: Error) => error.message);
    };
    assert.equal(await trusting(one.cert), 'ok');
    assert.match(await trusting(other.cert), /takes no events/);
    const unusable = log.next('files cannot be used; the last good ones stay in force');
    await write('cert', after.cert);
    await clock.advance(10_000);
    assert.match(JSON.stringify((await unusable).fields), /mismatch/);
    assert.equal(await trusting(one.cert), 'ok');
    const again = log.next('files read again');
    await write('key', after.key);
    await clock.advance(10_000);
    await again;
    assert.equal(await trusting(other.cert), 'ok');
    assert.match(await trusting(one.cert), /takes no events/);
  },
);

test('with clientCaFile, only certificates of that authority are let in', LIMIT, async (t) => {
  const write = await folder(t);
  const [own, foreign] = [newAuthority('own'), newAuthority('foreign')];
  const server = own.issue(LOCAL);
  const caFile = await write('ca', own.cert);
  const tls = {
    certFile: await write('cert', server.cert),
    keyFile: await write('key', server.key),
    clientCaFile: caFile,
  };
  const { plugin } = await pluginSite(t, ignore, { tls });
  const showing = async (name: string, pair: Pair | null): Promise<string> => {
    const shown =
      pair === null
        ? {}
        : { certFile: await write(`${name}.cert`, pair.cert), keyFile: await write(`${name}.key`, pair.key) };
    const send = await sending(t, { address: plugin.address, tls: { caFile, ...shown } });
    return send().then(codeOf, () => 'cut off');
  };
  assert.equal(await showing('own', own.issue({ commonName: 'engine' })), 'ok');
  assert.equal(await showing('foreign', foreign.issue({ commonName: 'engine' })), 'cut off');
  assert.equal(await showing('none', null), 'cut off');
});

test(
  'an empty file of authorities opens no door: believed is who was before, and at the start nobody',
  LIMIT,
  async (t) => {
    const write = await folder(t);
    const own = newAuthority('own');
    const server = own.issue(LOCAL);
    const files = { certFile: await write('cert', server.cert), keyFile: await write('key', server.key) };
    const tls = { ...files, clientCaFile: await write('authorities', own.cert) };
    const clock = new ManualClock();
    const { plugin, log } = await pluginSite(t, ignore, { tls, clock });
    const unusable = log.next('files cannot be used; the last good ones stay in force');
    for (const text of ['', 'no certificate\n']) {
      await write('authorities', text);
      await clock.advance(10_000);
      assert.match(JSON.stringify((await unusable).fields), /client authorities/);
      const start = startPlugin(ignore, { address: '127.0.0.1:0', tls, log: keptLog() }, systemClock);
      await assert.rejects(start, { code: 'invalid_request' });
    }
    const client = own.issue({ commonName: 'engine' });
    const caFile = await write('ca', own.cert);
    const shown = {
      certFile: await write('client', client.cert),
      keyFile: await write('client.key', client.key),
    };
    const send = await sending(t, { address: plugin.address, tls: { caFile, ...shown } });
    assert.equal(codeOf(await send()), 'ok');
  },
);

test(
  'a certificate that does not belong to its key is refused at the start, and the key is not told',
  LIMIT,
  async (t) => {
    const write = await folder(t);
    const authority = newAuthority();
    const [one, other] = [authority.issue(LOCAL), authority.issue(LOCAL)];
    const tls = { certFile: await write('cert', one.cert), keyFile: await write('key', other.key) };
    const start = startPlugin(ignore, { address: '127.0.0.1:0', tls, log: keptLog() }, systemClock);
    await assert.rejects(start, (error: Error) => {
      assert.equal(Reflect.get(error, 'code'), 'invalid_request');
      assert.match(error.message, /^certificate and key cannot be used/);
      assert.doesNotMatch(error.message, /PRIVATE/);
      return true;
    });
  },
);

test('a file that is not there is refused at the start, by its name', LIMIT, () =>
  assert.rejects(startPlugin(ignore, { tokenFile: '/nowhere/tokens', log: keptLog() }, systemClock), {
    code: 'invalid_request',
    message: /\/nowhere\/tokens/,
  }),
);

interface Listed {
  readonly listServicesResponse: { readonly service: readonly { readonly name: string }[] };
}

/** Asks as `grpcurl list` does. */
async function servicesOf(address: string): Promise<readonly string[]> {
  const proto = join(import.meta.dirname, '../../../node_modules/@grpc/reflection/build/proto');
  const definitions = await load('grpc/reflection/v1/reflection.proto', { includeDirs: [proto] });
  const service = definitions['grpc.reflection.v1.ServerReflection'] as ServiceDefinition;
  const method = service['ServerReflectionInfo'];
  assert.ok(method !== undefined);
  const client = new Client(address, credentials.createInsecure());
  const stream = client.makeBidiStreamRequest<object, Listed>(
    method.path,
    method.requestSerialize,
    method.responseDeserialize as (bytes: Buffer) => Listed,
  );
  try {
    const answer = once(stream, 'data') as Promise<[Listed]>;
    stream.write({ listServices: '' });
    const [{ listServicesResponse }] = await answer;
    return listServicesResponse.service.map(({ name }) => name);
  } finally {
    stream.on('error', ignore);
    stream.cancel();
    client.close();
  }
}
