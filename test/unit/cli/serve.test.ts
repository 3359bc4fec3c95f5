import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ownInstanceOf, serveCommand } from '../../../src/cli/serve.ts';
import { recorder, run } from './daemon.ts';

const ID = 'i-0123456789abcdef0';
const REAL = { cloud: 'aws', 'aws.endpoint': null, 'aws.ownInstance': 'auto' } as const;

describe('which instance serve runs on', () => {
  it('is asked of the metadata service as the SDKs` variables say, where the cloud is the real one', () => {
    const env = {
      AWS_EC2_METADATA_DISABLED: 'false',
      AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://[fd00:ec2::254]',
      AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: 'IPv6',
      AWS_ENDPOINT_URL_EC2: 'https://vpce-1.ec2.eu-west-1.vpce.amazonaws.com',
    };
    assert.deepEqual(ownInstanceOf(REAL, { env }), {
      kind: 'ask',
      service: { disabled: 'false', endpoint: 'http://[fd00:ec2::254]', mode: 'IPv6' },
    });
  });

  const NOT_ASKED: readonly [rule: string, settings: object, env: Readonly<Record<string, string>>][] = [
    ['a simulated cloud', { cloud: 'simulated' }, {}],
    ['an endpoint for all of AWS', { 'aws.endpoint': 'http://localhost:5000' }, {}],
    ['the same in the SDKs` variable', {}, { AWS_ENDPOINT_URL: 'http://localhost:5000' }],
    ['none in the settings', { 'aws.ownInstance': 'none' }, {}],
  ];
  for (const [rule, settings, env] of NOT_ASKED) {
    it(`is unknown, and nobody is asked, with ${rule}`, () => {
      assert.equal(ownInstanceOf({ ...REAL, ...settings }, { env }).kind, 'unknown');
    });
  }

  it('is what the setting says, whatever the cloud', () => {
    for (const cloud of ['aws', 'simulated'] as const) {
      const settings = { ...REAL, cloud, 'aws.ownInstance': ID };
      assert.deepEqual(ownInstanceOf(settings, { env: {} }), { kind: 'known', id: ID });
    }
  });
});

const POLICIES = 'policies: [{ name: all, groups: { names: ["*"] } }]\n';

interface Serving {
  readonly folder: string;
  readonly hangUp: () => void;
  status(): Promise<Readonly<Record<string, unknown>>>;
}

/** Serves on free ports, and stops when the work is done. */
async function serving(
  t: TestContext,
  env: Readonly<Record<string, string>>,
  work: (daemon: Serving) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-serve-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'rules.yaml'), POLICIES);
  const listening = Promise.withResolvers<string>();
  const io = recorder({ env });
  const err = (text: string): void => {
    const [, url] = /(http:\/\/[^,]+),/.exec(text) ?? [];
    if (url === undefined) listening.reject(new Error(text));
    else listening.resolve(url);
  };
  let hangUp: () => void = () => undefined;
  const onHangup = (reload: () => void): (() => void) => {
    hangUp = reload;
    return () => undefined;
  };
  const settings = ['--http.listen', '127.0.0.1:0', '--grpc.listen', '127.0.0.1:0', '--cloud', 'simulated'];
  const more = ['--state.url', 'sqlite::memory:', '--rules', folder, '--log.level', 'silent'];
  const quiet = ['--reload.pollInterval', '1d', '--reload.debounce', '1m'];
  const command = serveCommand({ ...io, err, onHangup }, { version: 'test' });
  const served = run(command, ...settings, ...more, ...quiet);
  const url = await listening.promise;
  const status = async (): Promise<Readonly<Record<string, unknown>>> =>
    (await (await fetch(`${url}/api/v1/status`)).json()) as Readonly<Record<string, unknown>>;
  await work({ folder, hangUp: () => hangUp(), status });
  io.interrupt();
  await served;
}

describe('serve', () => {
  it('spares the instance that COPPICE_AWS_OWN_INSTANCE names', async (t) => {
    await serving(t, { COPPICE_AWS_OWN_INSTANCE: ID }, async ({ status }) => {
      assert.equal((await status())['ownInstance'], ID);
    });
  });

  it('reads the rules again on SIGHUP', { timeout: 20_000 }, async (t) => {
    await serving(t, {}, async ({ folder, hangUp, status }) => {
      await writeFile(join(folder, 'rules.yaml'), POLICIES.replace('name: all', 'name: every'));
      hangUp();
      const generation = async (): Promise<unknown> =>
        ((await status())['ruleset'] as { generation: number }).generation;
      while ((await generation()) !== 2) await new Promise((resolve) => setImmediate(resolve));
    });
  });

  it('does not start with bad rules and none to fall back on: it prints each problem and why, and exits with 2', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'coppice-serve-'));
    t.after(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'rules.yaml'), 'rulez: []\n');
    const io = recorder();
    const settings = ['--http.listen', '127.0.0.1:0', '--grpc.listen', '127.0.0.1:0', '--cloud', 'simulated'];
    const more = ['--state.url', 'sqlite::memory:', '--rules', folder, '--log.level', 'silent'];
    await run(serveCommand(io, { version: 'test' }), ...settings, ...more);
    assert.deepEqual(io.stderr().split('\n'), [
      `${folder}/rules.yaml:1:1: error: the file has no key 'rulez'; did you mean 'rules'? [unknown-key]`,
      'coppice: the rules cannot be loaded, and no rules are kept from an earlier start; nothing was started',
      '',
    ]);
    assert.equal(io.code(), 2);
  });

  it('does not start with bad files of the locks: it prints each problem, and exits with 2', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'coppice-serve-'));
    t.after(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'access.yaml'), 'users: []\n', { mode: 0o600 });
    const io = recorder();
    const settings = ['--http.listen', '127.0.0.1:0', '--grpc.listen', '127.0.0.1:0', '--cloud', 'simulated'];
    const more = ['--state.url', `sqlite:${folder}/state.db`, '--rules', folder, '--log.level', 'silent'];
    const lock = ['--http.auth.file', join(folder, 'access.yaml'), '--grpc.auth.file', join(folder, 'gone')];
    await run(serveCommand(io, { version: 'test' }), ...settings, ...more, ...lock);
    assert.deepEqual(io.stderr().split('\n'), [
      `${folder}/access.yaml:1:1: error: the file has no key 'users'; known are tokens, passwords, certificates, jwt [unknown-key]`,
      `${folder}/gone:1:1: error: the access file does not exist [not-found]`,
      'coppice: the files that lock the doors cannot be used; nothing was started',
      '',
    ]);
    assert.equal(io.code(), 2);
    assert.deepEqual(await readdir(folder), ['access.yaml']);
  });
});
