import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { configCommand } from '../../../src/cli/config-show.ts';
import { SETTING_NAMES } from '../../../src/config/settings.ts';
import { fill, temporaryDirectory } from '../config/temp-directory.ts';
import { type Recorder, recorder, run } from './daemon.ts';

/** Runs `config show` in a directory of its own, so that no coppice.yaml of the developer counts. */
async function show(
  context: TestContext,
  {
    files = {},
    env = {},
  }: { files?: Readonly<Record<string, string>>; env?: Readonly<Record<string, string>> },
  ...words: string[]
): Promise<Recorder> {
  const directory = await fill(await temporaryDirectory(context), files);
  const before = process.cwd();
  process.chdir(directory);
  const io = recorder({ env });
  try {
    await run(configCommand(io), 'show', ...words);
  } finally {
    process.chdir(before);
  }
  return io;
}

test('each setting is a line with its value and where it came from', async (context) => {
  const sources = {
    files: { 'coppice.yaml': 'worker: { concurrency: 4 }\n' },
    env: { COPPICE_CLOUD: 'simulated' },
  };
  const { stdout, code } = await show(
    context,
    sources,
    '--http.listen',
    '127.0.0.1:9',
    '--rules',
    'a',
    '--rules',
    'b',
  );
  for (const line of [
    /^http\.listen +127\.0\.0\.1:9 +--http\.listen$/m,
    /^cloud +simulated +COPPICE_CLOUD$/m,
    /^worker\.concurrency +4 +coppice\.yaml:1:11$/m,
    /^rules +a, b +--rules$/m,
    /^reload\.pollInterval +30s +default$/m,
  ])
    assert.match(stdout(), line);
  assert.equal(stdout().trimEnd().split('\n').length, SETTING_NAMES.length + 1);
  assert.equal(code(), 0);
});

test('JSON has the same, with kinds of origin', async (context) => {
  const { stdout } = await show(context, { env: { COPPICE_INBOX_LIMIT: '7' } }, '-o', 'json');
  const { settings } = JSON.parse(stdout()) as { settings: readonly { name: string }[] };
  assert.deepEqual(
    settings.map(({ name }) => name),
    SETTING_NAMES,
  );
  assert.deepEqual(
    settings.find(({ name }) => name === 'inbox.limit'),
    {
      name: 'inbox.limit',
      value: 7,
      origin: { kind: 'environment', where: 'COPPICE_INBOX_LIMIT' },
    },
  );
});

for (const format of ['text', 'json']) {
  test(`secrets are covered in ${format}`, async (context) => {
    const { stdout } = await show(
      context,
      {},
      '--aws.endpoint',
      'http://user:hunter2@host:5000',
      '-o',
      format,
    );
    assert.match(stdout(), /http:\/\/<secret>@host:5000/);
    assert.doesNotMatch(stdout(), /hunter2/);
  });
}

test('a switch may be given alone, or with its value', async (context) => {
  assert.match((await show(context, {}, '--shadow')).stdout(), /^shadow +true +--shadow$/m);
  assert.match((await show(context, {}, '--shadow', 'false')).stdout(), /^shadow +false +--shadow$/m);
});

for (const flag of ['--insecure-no-auth', '--insecure.noAuth']) {
  test(`${flag} lets an open door be reached by others`, async (context) => {
    const open = ['--http.listen', ':8080'];
    assert.equal((await show(context, {}, ...open)).code(), 2);
    const { stdout, code } = await show(context, {}, ...open, flag);
    assert.match(stdout(), /^insecure\.noAuth +true +--insecure\.noAuth$/m);
    assert.equal(code(), 0);
  });
}

test('the files of the locks are shown: a path is no secret', async (context) => {
  const { stdout } = await show(context, {}, '--http.auth.file', '/etc/coppice/access.yaml');
  assert.match(stdout(), /^http\.auth\.file +\/etc\/coppice\/access\.yaml +--http\.auth\.file$/m);
});

test('bad settings are all told on stderr, nothing is shown, and the exit code is 2', async (context) => {
  const files = { 'other.yaml': 'rulz: x\n' };
  const { stdout, stderr, code } = await show(
    context,
    { files },
    '--config',
    'other.yaml',
    '--cloud',
    'azure',
  );
  assert.equal(stdout(), '');
  assert.match(
    stderr(),
    /^coppice: other\.yaml:1:1: there is no setting 'rulz'.*\ncoppice: --cloud: cloud must be one of/,
  );
  assert.equal(code(), 2);
});

test('a settings file that is named must be there', async (context) => {
  const { stderr, code } = await show(context, {}, '--config', join('gone', 'coppice.yaml'));
  assert.equal(stderr(), 'coppice: gone/coppice.yaml: the settings file cannot be read: ENOENT\n');
  assert.equal(code(), 2);
});
