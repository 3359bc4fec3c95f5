import assert from 'node:assert/strict';
import test from 'node:test';
import { resolveSettings } from '../../../../src/config/resolve-settings.ts';
import type { Settings } from '../../../../src/config/settings.ts';
import { type Imported, imported, saidOf } from './build.ts';

/** The settings that the daemon would read from the file that was written. */
function settingsIn({ files }: Imported): Settings {
  const text = files.find(({ path }) => path === 'coppice.yaml')?.text ?? '';
  const resolved = resolveSettings({ flags: {}, env: {}, file: { path: 'coppice.yaml', text } });
  if (resolved.kind === 'bad') assert.fail(JSON.stringify(resolved.problems));
  return resolved.settings;
}

const ADDRESSES: readonly (readonly [text: string, port: number, fate: string])[] = [
  ['global: { bindAddr: ":9092" }', 9092, 'changed'],
  ['global: { bindAddr: "10.0.0.1:80" }', 80, 'changed'],
  ['global: { bindAddr: "127.0.0.1:9099" }', 9099, 'carried'],
  ['global: { bindAddr: ":http" }', 9091, 'changed'],
  ['promalert: { listenAddress: ":7000" }', 7000, 'changed'],
];

for (const [text, port, fate] of ADDRESSES)
  test(`${text} keeps its port, on loopback, so that the daemon starts`, () => {
    const result = imported(`${text}\n`);
    assert.deepEqual(settingsIn(result)['http.listen'], { host: '127.0.0.1', port });
    const said = [...saidOf(result, 'global.bindAddr'), ...saidOf(result, 'promalert.listenAddress')];
    assert.match(said.join(), new RegExp(`^${fate}: `));
  });

test('an address that other machines could reach is told to want an access file', () => {
  const said = saidOf(imported('global: { bindAddr: ":9092" }\n'), 'global.bindAddr');
  assert.match(said.join(), /127\.0\.0\.1:9092.*http\.auth\.file/);
});

test('each version listens where it did when nothing is written', () => {
  assert.equal(settingsIn(imported('action_flows: []\n'))['http.listen'].port, 9091);
  assert.equal(settingsIn(imported('flows: {}\n'))['http.listen'].port, 8081);
});

test('the log is what it was, as far as Coppice knows the words', () => {
  const result = imported('flows: {}\nlog: { level: warning, format: logfmt, noColor: true }\n');
  const settings = settingsIn(result);
  assert.deepEqual([settings['log.level'], settings['log.format']], ['warn', 'text']);
  assert.match(saidOf(result, 'log.level').join(), /^changed/);
  assert.match(saidOf(result, 'log.noColor').join(), /^not needed/);
  assert.match(saidOf(imported('flows: {}\nlog: { level: loud }\n'), 'log.level').join(), /^not carried/);
});

test('the signing key is neither written nor repeated, and its loss is told', () => {
  const result = imported('flows: {}\npromalert: { useJWTAuth: true, jwtSigningKey: s3cret }\n');
  assert.equal(JSON.stringify(result).includes('s3cret'), false);
  assert.match(saidOf(result, 'promalert.useJWTAuth').join(), /^not carried: .*http\.auth\.file/);
  assert.match(saidOf(result, 'promalert.jwtSigningKey').join(), /^not carried: .*secretFile/);
});

test('health that was asked elsewhere is told', () => {
  const result = imported('healthcheck: { listenAddress: ":8082", endpoint: /alive }\n');
  assert.match(saidOf(result, 'healthcheck.endpoint').join(), /^changed: .*\/healthz/);
  assert.match(
    saidOf(imported('healthcheck: { endpoint: /healthz }\n'), 'healthcheck.endpoint').join(),
    /^not needed/,
  );
});

test('plugins that are not replaced are called as before, over the interface of their version', () => {
  const result = imported('plugins: [{ name: "a: #b", address: "c:1", type: grpc }]\n');
  assert.deepEqual(
    settingsIn(result).plugins.map(({ name, address, protocol }) => [name, address, protocol]),
    [['a: #b', 'c:1', 'v2']],
  );
  assert.match(result.files.at(-1)?.text ?? '', /\n {2}- \{ name: 'a: #b', address: c:1, protocol: v2 \}\n$/);
  const v1 = imported('action_plugins: [{ name: a, address: "c:1" }]\n');
  assert.deepEqual(
    settingsIn(v1).plugins.map(({ protocol }) => protocol),
    ['v1'],
  );
});

test('a plugin whose address cannot be called is no setting, and the flows that call it are left out', () => {
  const result = imported(
    'plugins: [{ name: a, address: nowhere }]\nflows: { x: { name: x, allowedEvents: [y], plugins: [a] } }\n',
  );
  assert.deepEqual(settingsIn(result).plugins, []);
  assert.match(saidOf(result, 'plugins[0]').join(), /^not carried: .*host:port/);
  assert.match(saidOf(result, 'flows.x').join(), /^not carried: .*'a'/);
});
