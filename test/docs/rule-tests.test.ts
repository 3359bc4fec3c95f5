import assert from 'node:assert/strict';
import test from 'node:test';
import { testCommand } from '../../src/cli/test.ts';
import { recorder, run } from '../unit/cli/daemon.ts';
import { fill, temporaryDirectory } from '../unit/config/temp-directory.ts';
import { document, fences, section } from './documents.ts';

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

/** The recipe's policy stands elsewhere, as the page says. */
const DRAIN_TEST = `
tests:
  - name: a termination notice calls the plugin, then swaps
    policies:
      - { name: opted-in, groups: { tags: { coppice-enabled: "true" } } }
    cloud:
      groups:
        - name: web
          min: 2
          tags: { coppice-enabled: "true" }
          instances: [{ type: m5.large, zone: eu-west-1a, purchaseOption: spot, count: 2 }]
    events:
      - { at: 0s, interrupt: i-00000000000000001 }
      - at: 10s
        event:
          type: prometheus.server.alert.SpotTerminationNotice
          labels: { instance_id: i-00000000000000001 }
    expect:
      - { at: 10s, rule: drain-and-replace, outcome: dispatched, actions: [plugin, swap] }
      - { at: 2m, run: succeeded, rule: drain-and-replace }
      - { at: 10m, group: web, facts: { desired: 2, inServiceCount: 2 } }
    exact: true
`;

test('the recipe with a plugin calls it and replaces the instance in time', async (context) => {
  const recipe = section(document('docs/rules.md'), '### Drain first, but never wait for it');
  const [rules] = fences(recipe, 'yaml');
  assert.ok(rules !== undefined);
  const files = { 'drain.yaml': rules.text, 'drain.test.yaml': DRAIN_TEST };
  const directory = await fill(await temporaryDirectory(context), files);
  const io = recorder();
  await run(testCommand(io), directory, '--threshold', '100');
  assert.equal(io.code(), 0, io.stdout());
});
