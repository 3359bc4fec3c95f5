import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
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

/** Serves on free ports until the status was read. */
async function statusWith(t: TestContext, env: Readonly<Record<string, string>>): Promise<object> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-serve-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'rules.yaml'), 'policies: [{ name: all, groups: { names: ["*"] } }]\n');
  const listening = Promise.withResolvers<string>();
  const io = recorder({ env });
  const err = (text: string): void => {
    const [, url] = /(http:\/\/[^,]+),/.exec(text) ?? [];
    if (url === undefined) listening.reject(new Error(text));
    else listening.resolve(url);
  };
  const settings = ['--http.listen', '127.0.0.1:0', '--grpc.listen', '127.0.0.1:0', '--cloud', 'simulated'];
  const more = ['--state.url', 'sqlite::memory:', '--rules', folder, '--log.level', 'silent'];
  const served = run(serveCommand({ ...io, err }, { version: 'test' }), ...settings, ...more);
  const answer = await fetch(`${await listening.promise}/api/v1/status`);
  const status = (await answer.json()) as object;
  io.interrupt();
  await served;
  return status;
}

describe('serve', () => {
  it('spares the instance that COPPICE_AWS_OWN_INSTANCE names', async (t) => {
    const status = await statusWith(t, { COPPICE_AWS_OWN_INSTANCE: ID });
    assert.equal((status as { ownInstance: string | null }).ownInstance, ID);
  });
});
