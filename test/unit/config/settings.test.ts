import assert from 'node:assert/strict';
import test from 'node:test';
import { CLIENT_VARIABLES } from '../../../src/config/client-variables.ts';
import {
  type ResolvedSettings,
  resolveSettings,
  type SettingSources,
} from '../../../src/config/resolve-settings.ts';
import {
  environmentName,
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
  showSetting,
} from '../../../src/config/settings.ts';

/** Resolves from parts; `file` is the text of coppice.yaml. */
function resolve({
  flags = {},
  env = {},
  file,
}: {
  flags?: object;
  env?: SettingSources['env'];
  file?: string;
}): ResolvedSettings {
  const written = file === undefined ? null : { path: 'coppice.yaml', text: file };
  return resolveSettings({ flags: { ...flags }, env, file: written });
}

function ok(resolved: ResolvedSettings): Extract<ResolvedSettings, { kind: 'ok' }> {
  assert.ok(resolved.kind === 'ok', JSON.stringify(resolved));
  return resolved;
}

function problemsOf(resolved: ResolvedSettings): readonly string[] {
  return resolved.kind === 'ok' ? [] : resolved.problems.map(({ where, message }) => `${where}: ${message}`);
}

test('without any source everything has its default', () => {
  const { settings, origins } = ok(resolve({}));
  for (const name of SETTING_NAMES) {
    assert.deepEqual(settings[name], SETTINGS[name].default, name);
    assert.deepEqual(origins[name], { kind: 'default', where: 'default' });
  }
});

test('a flag beats the environment, which beats the file, which beats the default', () => {
  const sources = {
    flags: { 'worker.concurrency': '4' },
    env: { COPPICE_WORKER_CONCURRENCY: '3', COPPICE_INBOX_LIMIT: '30' },
    file: 'worker: { concurrency: 2 }\ninbox: { limit: 20, dedupWindow: 5m }\n',
  };
  const { settings, origins } = ok(resolve(sources));
  assert.equal(settings['worker.concurrency'], 4);
  assert.deepEqual(origins['worker.concurrency'], { kind: 'flag', where: '--worker.concurrency' });
  assert.equal(settings['inbox.limit'], 30);
  assert.deepEqual(origins['inbox.limit'], { kind: 'environment', where: 'COPPICE_INBOX_LIMIT' });
  assert.equal(settings['inbox.dedupWindow'], 300_000);
  assert.deepEqual(origins['inbox.dedupWindow'], { kind: 'file', where: 'coppice.yaml:2:21' });
  assert.equal(settings['reload.debounce'], 200);
});

/** Each setting once as text, as flags and variables have it, and as the file has it. */
const READ: {
  readonly [K in SettingName]: readonly [text: string, yaml: string, value: unknown, shown: unknown];
} = {
  'http.listen': ['127.0.0.2:80', '127.0.0.2:80', { host: '127.0.0.2', port: 80 }, '127.0.0.2:80'],
  'grpc.listen': ['[::1]:0', '"[::1]:0"', { host: '::1', port: 0 }, '[::1]:0'],
  'grpc.answer': ['completed', 'completed', 'completed', 'completed'],
  'http.auth.file': [
    '/etc/coppice/access.yaml',
    '/etc/coppice/access.yaml',
    '/etc/coppice/access.yaml',
    '/etc/coppice/access.yaml',
  ],
  'http.tls.cert': ['/tls/tls.crt', '/tls/tls.crt', '/tls/tls.crt', '/tls/tls.crt'],
  'http.tls.key': ['/tls/tls.key', '/tls/tls.key', '/tls/tls.key', '/tls/tls.key'],
  'http.tls.clientCa': ['/tls/ca.crt', '/tls/ca.crt', '/tls/ca.crt', '/tls/ca.crt'],
  'http.tls.clientCertificates': ['required', 'required', 'required', 'required'],
  'grpc.auth.file': [
    '/etc/coppice/access.yaml',
    '/etc/coppice/access.yaml',
    '/etc/coppice/access.yaml',
    '/etc/coppice/access.yaml',
  ],
  'grpc.tls.cert': ['/tls/tls.crt', '/tls/tls.crt', '/tls/tls.crt', '/tls/tls.crt'],
  'grpc.tls.key': ['/tls/tls.key', '/tls/tls.key', '/tls/tls.key', '/tls/tls.key'],
  'grpc.tls.clientCa': ['/tls/ca.crt', '/tls/ca.crt', '/tls/ca.crt', '/tls/ca.crt'],
  'grpc.tls.clientCertificates': ['required', 'required', 'required', 'required'],
  'limits.requestsPerSecond': ['0', '0', 0, 0],
  'limits.connections': ['500', '500', 500, 500],
  'insecure.noAuth': ['true', 'true', true, true],
  rules: ['a/*.{yaml,yml}, b', '["a/*.{yaml,yml}", b]', ['a/*.{yaml,yml}', 'b'], ['a/*.{yaml,yml}', 'b']],
  shadow: ['true', 'true', true, true],
  cloud: ['simulated', 'simulated', 'simulated', 'simulated'],
  'aws.regions': [
    'eu-west-1,us-gov-west-1',
    '[eu-west-1, us-gov-west-1]',
    ['eu-west-1', 'us-gov-west-1'],
    ['eu-west-1', 'us-gov-west-1'],
  ],
  'aws.endpoint': [
    'http://u:p@h:5000/x?k=v',
    'http://u:p@h:5000/x?k=v',
    'http://u:p@h:5000/x?k=v',
    'http://<secret>@h:5000/x?<secret>',
  ],
  'aws.launchVia': ['fleet', 'fleet', 'fleet', 'fleet'],
  'aws.ownInstance': [
    'i-0123456789abcdef0',
    'i-0123456789abcdef0',
    'i-0123456789abcdef0',
    'i-0123456789abcdef0',
  ],
  'aws.spotAdvisor': ['https://h/x?k=v', 'https://h/x?k=v', 'https://h/x?k=v', 'https://h/x?<secret>'],
  'recommender.url': ['http://h:9090/r', 'http://h:9090/r', 'http://h:9090/r', 'http://h:9090/r'],
  plugins: [
    '[{"name":"drain","address":"drain:80","tls":true,"timeout":"2m","tokenFile":"/t"}]',
    '[{ name: drain, address: "drain:80", tls: true, timeout: 2m, tokenFile: /t }]',
    [
      {
        ...{ name: 'drain', address: 'drain:80', protocol: 'v2', timeoutMs: 120_000, tokenFile: '/t' },
        tls: { ca: null, cert: null, key: null, serverName: null },
      },
    ],
    ['drain drain:80 v2 2m tls token'],
  ],
  'state.url': ['sqlite:/tmp/x.db', 'sqlite:/tmp/x.db', 'sqlite:/tmp/x.db', 'sqlite:/tmp/x.db'],
  'state.retention': ['7d', '7d', 604_800_000, '7d'],
  'worker.concurrency': ['8', '8', 8, 8],
  'inbox.limit': ['50', '50', 50, 50],
  'inbox.dedupWindow': ['0', '0', 0, '0s'],
  'reload.pollInterval': ['1m', '1m', 60_000, '1m'],
  'reload.debounce': ['500ms', '500ms', 500, '500ms'],
  'log.level': ['debug', 'debug', 'debug', 'debug'],
  'log.format': ['text', 'text', 'text', 'text'],
};
/** With what the setting may not be without, said where nothing hides it. */
function beside(name: SettingName, sources: Parameters<typeof resolve>[0]): Parameters<typeof resolve>[0] {
  const [door, section] = name.split('.');
  if (section !== 'tls') return sources;
  const needed = ['cert', 'key', 'clientCa'].map((key) => `${door}.tls.${key}`).filter((key) => key !== name);
  if (sources.file === undefined) return { ...sources, file: needed.map((key) => `${key}: x\n`).join('') };
  return { ...sources, flags: Object.fromEntries(needed.map((key) => [key, 'x'])) };
}

for (const name of SETTING_NAMES) {
  const [text, yaml, value, shown] = READ[name];
  test(`${name} is read alike from its flag, its variable and the file, and shown without secrets`, () => {
    const nested = name.split('.').reduceRight((inner, key) => `{ ${key}: ${inner} }`, yaml);
    const given = [
      { flags: { [name]: text } },
      { env: { [environmentName(name)]: text } },
      { file: `${name}: ${yaml}\n` },
      { file: `${nested}\n` },
    ];
    for (const sources of given) {
      const { settings } = ok(resolve(beside(name, sources)));
      assert.deepEqual(settings[name], value);
      assert.deepEqual(showSetting(settings, name), shown);
    }
  });
}

const ENTRY = '{ name: a, address: "h:1" }';

/** Values of the setting in the file, and each mistake with its place. */
const PLUGIN_MISTAKES: readonly [rule: string, yaml: string, problems: readonly string[]][] = [
  [
    'a map is no list',
    ENTRY,
    [
      '1:1: plugins must be a list of maps with name and address, such as [{"name":"drain","address":"drain.infra:8080"}]',
    ],
  ],
  [
    'an entry needs a name and an address',
    '[{ protocol: v1 }]',
    ["1:11: plugins[0] needs the key 'name'", "1:11: plugins[0] needs the key 'address'"],
  ],
  [
    'a misspelt key is told with the right one',
    '[{ name: a, adress: "h:1" }]',
    ["1:22: plugins[0] has no key 'adress'; did you mean 'address'?"],
  ],
  [
    'an address has a port',
    '[{ name: a, address: nowhere }]',
    ['1:31: plugins[0].address must be host:port, e.g. drain.infra:8080 or [::1]:8080'],
  ],
  [
    'a port has an end',
    '[{ name: a, address: "h:65536" }]',
    ['1:31: plugins[0].address must be host:port, e.g. drain.infra:8080 or [::1]:8080'],
  ],
  [
    'a name is there once',
    `[${ENTRY}, ${ENTRY}]`,
    ['1:48: plugins[1].name is the name of plugins[0] already; rename one'],
  ],
  [
    'a protocol is one of two',
    '[{ name: a, address: "h:1", protocol: v3 }]',
    ["1:48: plugins[0].protocol must be one of v1, v2; did you mean 'v1'?"],
  ],
  [
    'a time is one',
    '[{ name: a, address: "h:1", timeout: 5 }]',
    ['1:47: plugins[0].timeout must be a duration such as 90s, 15m or 1h30m'],
  ],
  [
    'tls is true or a map',
    '[{ name: a, address: "h:1", tls: false }]',
    ['1:43: plugins[0].tls must be true, or a map of ca, cert, key and serverName'],
  ],
  [
    'a certificate has a key',
    '[{ name: a, address: "h:1", tls: { cert: /c } }]',
    ['1:43: plugins[0].tls must have both of the keys cert and key, or none'],
  ],
  [
    'a key itself is no path, and is not repeated',
    '[{ name: a, address: "h:1", tls: { cert: /c, key: "-----BEGIN\\nMII" } }]',
    ['1:60: plugins[0].tls.key must be the path of a file'],
  ],
];
for (const [rule, yaml, problems] of PLUGIN_MISTAKES) {
  test(`of plugins ${rule}`, () => {
    assert.deepEqual(
      problemsOf(resolve({ file: `plugins: ${yaml}\n` })),
      problems.map((problem) => `coppice.yaml:${problem}`),
    );
  });
}

test('what is wrong with plugins of a variable or a flag is told of its part as well', () => {
  const text = '[{"name":"a","address":"h"}]';
  const told = 'plugins[0].address must be host:port, e.g. drain.infra:8080 or [::1]:8080';
  assert.deepEqual(problemsOf(resolve({ env: { COPPICE_PLUGINS: text } })), [`COPPICE_PLUGINS: ${told}`]);
  assert.deepEqual(problemsOf(resolve({ flags: { plugins: [text] } })), [`--plugins: ${told}`]);
  assert.match(
    problemsOf(resolve({ env: { COPPICE_PLUGINS: 'drain=h:1' } })).join(),
    /must be a list of maps/,
  );
});

test('flags that are given several times name a plugin each', () => {
  const { settings } = ok(
    resolve({ flags: { plugins: ['{"name":"a","address":"h:1"}', '{"name":"b","address":"[::1]:2"}'] } }),
  );
  assert.deepEqual(
    settings.plugins.map(({ name, address, protocol, timeoutMs }) => [name, address, protocol, timeoutMs]),
    [
      ['a', 'h:1', 'v2', 60_000],
      ['b', '[::1]:2', 'v2', 60_000],
    ],
  );
});

const REFUSED: readonly [rule: string, sources: Parameters<typeof resolve>[0], problem: RegExp][] = [
  [
    'an address needs a port',
    { flags: { 'http.listen': 'localhost' } },
    /^--http\.listen: http\.listen must be an address/,
  ],
  ['a port has an end', { flags: { 'http.listen': '127.0.0.1:65536' } }, /must be an address/],
  [
    'a port alone is no address in a file',
    { file: 'http.listen: 8080\n' },
    /^coppice\.yaml:1:1: http\.listen must be an address/,
  ],
  [
    'a number has limits',
    { env: { COPPICE_WORKER_CONCURRENCY: '0' } },
    /^COPPICE_WORKER_CONCURRENCY: .* from 1 to 256$/,
  ],
  ['a number is whole', { file: 'worker.concurrency: 1.5\n' }, /must be a whole number/],
  ['a number is a number', { flags: { 'inbox.limit': '1e3' } }, /must be a whole number/],
  [
    'a duration has a unit',
    { file: 'reload: { pollInterval: 30 }\n' },
    /^coppice\.yaml:1:11: .* duration such as 30s, from 1s to 1d$/,
  ],
  ['a duration has limits', { flags: { 'reload.pollInterval': '100ms' } }, /from 1s to 1d$/],
  ['a word is one of those known', { flags: { cloud: 'azure' } }, /must be one of aws, simulated$/],
  ['yes is not true', { file: 'shadow: yes\n' }, /must be true or false$/],
  ['an empty list of rules is none', { file: 'rules: ""\n' }, /must be a list of paths/],
  [
    'a region looks like one',
    { flags: { 'aws.regions': ['eu-west-1', 'Europe'] } },
    /must be a list of regions/,
  ],
  [
    'the own instance is an id, not a name of a node',
    { flags: { 'aws.ownInstance': 'ip-10-0-0-4.ec2.internal' } },
    /must be auto, none, or the id of an instance such as i-/,
  ],
  [
    'the feed of the Spot Advisor is not read in the clear',
    { flags: { 'aws.spotAdvisor': 'http://h/x' } },
    /path of a file, or an https address/,
  ],
  [
    'a recommender has no password in its address',
    { flags: { 'recommender.url': 'http://u:p@h' } },
    /without user and query/,
  ],
  [
    'a recommender has no query in its address',
    { flags: { 'recommender.url': 'http://h?k=v' } },
    /without user and query/,
  ],
  ['an endpoint is http', { flags: { 'aws.endpoint': 'ftp://x' } }, /must be an address such as http/],
  [
    'another store than SQLite is not there yet',
    { flags: { 'state.url': 'postgres://u:p@h/d' } },
    /^--state\.url: state\.url must be sqlite:PATH/,
  ],
  [
    'an unknown key of the file is an error',
    { file: 'http:\n  lisen: x\n' },
    /^coppice\.yaml:2:3: there is no setting 'http\.lisen'; did you mean 'http\.listen'\?$/,
  ],
  [
    'an unknown section of the file is an error',
    { file: 'exporters: []\n' },
    /^coppice\.yaml:1:1: there is no setting 'exporters'/,
  ],
  ['a section is a map', { file: 'http: 5\n' }, /^coppice\.yaml:1:1: http must be a map of settings$/],
  ['a section without content is a slip', { file: 'http:\n' }, /http must be a map of settings$/],
  ['a file is a map', { file: '- http\n' }, /^coppice\.yaml:1:1: the file must be a map of settings$/],
  [
    'nested and dotted are the same setting',
    { file: 'http: { listen: "127.0.0.1:1" }\nhttp.listen: 127.0.0.1:2\n' },
    /^coppice\.yaml:2:1: http\.listen is given twice/,
  ],
  [
    'a certificate needs its key',
    { flags: { 'http.tls.cert': 'a' } },
    /^--http\.tls\.cert: http\.tls\.cert needs http\.tls\.key beside it/,
  ],
  [
    'a key needs its certificate',
    { env: { COPPICE_GRPC_TLS_KEY: 'a' } },
    /^COPPICE_GRPC_TLS_KEY: grpc\.tls\.key needs grpc\.tls\.cert beside it/,
  ],
  [
    'authorities of clients need TLS',
    { file: 'http:\n  tls: { clientCa: a }\n' },
    /^coppice\.yaml:2:10: http\.tls\.clientCa needs http\.tls\.cert and http\.tls\.key beside it/,
  ],
  [
    'client certificates are required of somebody only where an authority is believed',
    { flags: { 'grpc.tls.cert': 'a', 'grpc.tls.key': 'b', 'grpc.tls.clientCertificates': 'required' } },
    /^--grpc\.tls\.clientCertificates: .* only where grpc\.tls\.clientCa says which authorities/,
  ],
  ['a path is not empty', { file: 'http.auth.file: ""\n' }, /http\.auth\.file must be the path of a file$/],
  ['a file with a syntax error says where', { file: 'http: [\n' }, /^coppice\.yaml:2:1: this is not YAML/],
  [
    'a misspelled variable is an error',
    { env: { COPPICE_HTTP_LISTN: 'x' } },
    /^COPPICE_HTTP_LISTN: no setting has this variable; did you mean COPPICE_HTTP_LISTEN\?$/,
  ],
  [
    'a bad value is told though a flag would hide it',
    { flags: { shadow: true }, file: 'shadow: 5\n' },
    /must be true or false$/,
  ],
];
for (const [rule, sources, problem] of REFUSED) {
  test(rule, () => {
    const problems = problemsOf(resolve(sources));
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.match(problems[0] ?? '', problem);
  });
}

test('no problem repeats a value, which may be a secret', () => {
  const problems = problemsOf(
    resolve({ flags: { 'state.url': 'postgres://u:hunter2@h/d', 'aws.endpoint': 'ftp://u:hunter2@h' } }),
  );
  assert.equal(problems.length, 2);
  assert.doesNotMatch(problems.join(), /hunter2/);
});

test('all problems of all sources are told at once', () => {
  const sources = { flags: { cloud: 'x' }, env: { COPPICE_LOG_LEVEL: 'x' }, file: 'rulez: x\nshadow: 5\n' };
  assert.equal(problemsOf(resolve(sources)).length, 4);
});

for (const address of [
  '0.0.0.0:8080',
  ':8080',
  '[::]:8080',
  '10.0.0.1:8080',
  'example.com:8080',
  '127.example.com:80',
]) {
  test(`${address} can be reached by others, so it is refused without an access file`, () => {
    for (const door of ['http', 'grpc']) {
      const name = `${door}.listen`;
      const refused = problemsOf(resolve({ flags: { [name]: address } }));
      assert.equal(refused.length, 1);
      const start = `^--${name}: ${name} can be reached by other machines, so set ${door}.auth.file`;
      assert.match(refused[0] ?? '', new RegExp(start));
      ok(resolve({ flags: { [name]: address, [`${door}.auth.file`]: 'access.yaml' } }));
      ok(resolve({ flags: { [name]: address, 'insecure.noAuth': true } }));
    }
  });
}

test('the access file of one door does not lock the other', () => {
  const flags = { 'http.listen': ':8080', 'grpc.listen': ':8888', 'http.auth.file': 'a' };
  assert.deepEqual(
    problemsOf(resolve({ flags })).map((problem) => problem.split(':')[0]),
    ['--grpc.listen'],
  );
});

test('client certificates that are required are no access file: nobody would have scopes', () => {
  const tls = { 'http.tls.cert': 'a', 'http.tls.key': 'b', 'http.tls.clientCa': 'c' };
  const flags = { ...tls, 'http.tls.clientCertificates': 'required', 'http.listen': ':8080' };
  assert.equal(problemsOf(resolve({ flags })).length, 1);
});

test('variables that Kubernetes or the client uses are left alone', () => {
  const env = {
    COPPICE_PORT: 'tcp://10.0.0.1:8080',
    COPPICE_SERVICE_HOST: '10.0.0.1',
    COPPICE_HTTP_PORT: 'tcp://10.0.0.1:8080',
    COPPICE_RULES_SERVICE_PORT: '80',
    COPPICE_HTTP_LISTEN_PORT: 'tcp://10.0.0.1:8080',
    ...Object.fromEntries(CLIENT_VARIABLES.map((name) => [name, 'x'])),
    HTTP_LISTEN: 'x',
  };
  ok(resolve({ env }));
});

test('an empty variable and a file of comments say nothing', () => {
  const { origins } = ok(resolve({ env: { COPPICE_HTTP_LISTEN: '' }, file: '# http.listen: x\n' }));
  assert.equal(origins['http.listen'].kind, 'default');
});

test('every setting is documented in a sentence', () => {
  for (const name of SETTING_NAMES) assert.match(SETTINGS[name].doc, /^[A-Za-z].*\.$/, name);
});

test('two settings never share a variable', () => {
  assert.equal(new Set(SETTING_NAMES.map(environmentName)).size, SETTING_NAMES.length);
  assert.equal(environmentName('reload.pollInterval'), 'COPPICE_RELOAD_POLL_INTERVAL');
});
