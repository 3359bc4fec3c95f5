import assert from 'node:assert/strict';
import test from 'node:test';
import { pauseCommand, resumeCommand } from '../../../src/cli/pause.ts';
import { daemon, recorder, run } from './daemon.ts';

const KEY = '111111111111/eu-west-1/prod-web';

test('a pause sends group and reason', async (context) => {
  const { url, asked } = await daemon(context, () => ({
    body: { group: KEY, changed: true, pauses: [{ group: KEY, reason: 'deploy', at: '' }] },
  }));
  const io = recorder();
  await run(pauseCommand(io), 'prod-web', '--region', 'eu-west-1', '--reason', 'deploy', '--server', url);
  assert.deepEqual(asked, [
    {
      method: 'POST',
      url: '/api/v1/pause',
      type: 'application/json',
      authorization: undefined,
      body: '{"group":"prod-web","region":"eu-west-1","reason":"deploy"}',
    },
  ]);
  assert.deepEqual([io.stdout(), io.code()], [`paused ${KEY}\n`, 0]);
});

test('without a group everything is paused, and the answer says so', async (context) => {
  const { url, asked } = await daemon(context, () => ({ body: { group: null, changed: true, pauses: [] } }));
  const io = recorder();
  await run(pauseCommand(io), '--reason', 'incident', '--server', url);
  assert.equal(asked[0]?.body, '{"reason":"incident"}');
  assert.equal(io.stdout(), 'paused all groups\n');
});

const RESUMED: readonly [rule: string, answer: object, printed: string][] = [
  ['a resume tells what was resumed', { group: KEY, changed: true }, `resumed ${KEY}\n`],
  [
    'a resume of a group that nothing held back says so',
    { group: KEY, changed: false },
    `${KEY} was not paused and did not rest\n`,
  ],
  [
    'a resume of all that nothing held back says so',
    { group: null, changed: false },
    'all groups had no pause\n',
  ],
  [
    'a rest that was lifted is told',
    { group: KEY, changed: true, lifted: { until: '2026-01-01T01:00:00.000Z', failures: 3 } },
    `resumed ${KEY}\nit would have rested until 2026-01-01T01:00:00.000Z: 3 swaps failed in a row\n`,
  ],
  [
    'groups that rest on after everything was resumed are named',
    {
      group: null,
      changed: true,
      rests: [{ group: KEY, until: '2026-01-01T00:01:00.000Z', failures: 1 }],
    },
    `resumed all groups\nstill resting: ${KEY} until 2026-01-01T00:01:00.000Z: the last swap failed\n`,
  ],
  [
    'what is still paused is named with its reason',
    { group: KEY, changed: true, pauses: [{ group: null, reason: 'incident' }] },
    `resumed ${KEY}\nstill paused: all groups (incident)\n`,
  ],
];
for (const [rule, body, printed] of RESUMED) {
  test(rule, async (context) => {
    const { url, asked } = await daemon(context, () => ({
      body: { lifted: null, pauses: [], rests: [], ...body },
    }));
    const io = recorder();
    await run(resumeCommand(io), 'prod-web', '--reason', 'over', '--server', url);
    assert.deepEqual([asked[0]?.url, io.stdout(), io.code()], ['/api/v1/resume', printed, 0]);
  });
}

test('a pause without a reason is wrong usage', async () => {
  const io = recorder();
  await assert.rejects(run(pauseCommand(io), 'prod-web'), { name: 'CommanderError' });
  assert.match(io.stderr(), /--reason/);
});
