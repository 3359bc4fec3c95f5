import assert from 'node:assert/strict';
import test from 'node:test';
import { testCommand } from '../../src/cli/test.ts';
import { recorder, run } from '../unit/cli/daemon.ts';
import { fill, temporaryDirectory } from '../unit/config/temp-directory.ts';
import { document, fences } from './documents.ts';

test('the example of the page about tests of rules passes, and exercises all that is in it', async (context) => {
  const files = fences(document('docs/rule-tests.md'), 'yaml').map(({ text }) => {
    const name = /^# ([\w.-]+)\n/.exec(text)?.[1];
    assert.ok(name !== undefined, 'every example says which file it is');
    return [name, text] as const;
  });
  assert.deepEqual(
    files.map(([name]) => name),
    ['web.yaml', 'web.test.yaml'],
  );
  const directory = await fill(await temporaryDirectory(context), Object.fromEntries(files));
  const io = recorder();
  await run(testCommand(io), directory, '--threshold', '100');
  assert.equal(io.code(), 0, io.stdout());
});
