import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemon, over, RULES } from './daemon.ts';

const TAKE_OUT = `
rules:
  - name: take-out
    on: { alert: TakeOut }
    cooldown: { for: 1m }
    then: [{ detach: {} }]
${RULES.slice(RULES.indexOf('policies:'))}`;

const counted = (metrics: string): readonly string[] => metrics.match(/^coppice_swaps_total.*$/gm) ?? [];

test('a swap that ended is counted by how it ended and by what was bought', async (t) => {
  const site = await daemon(t);
  const { json } = await site.post('/api/v1/runs', { instance: site.members[0] });
  await site.until((json['run'] as { id: string }).id, over);
  assert.deepEqual(counted(await site.metrics()), ['coppice_swaps_total{outcome="succeeded",to="spot"} 1']);
});

/** Reports the first member, lets its run come to its end, and answers the run's id. */
async function takenOut(site: Awaited<ReturnType<typeof daemon>>): Promise<string> {
  await site.post('/api/v2/alerts', [{ labels: { alertname: 'TakeOut', instance_id: site.members[0] } }]);
  await site.clock.advance(1000);
  const { items } = (await site.get('/api/v1/runs')) as { items: readonly { id: string }[] };
  const [run] = items;
  assert.ok(run !== undefined);
  await site.until(run.id, over);
  return run.id;
}

test('a run without a swap is none of the swaps', async (t) => {
  const site = await daemon(t, TAKE_OUT);
  await takenOut(site);
  const metrics = await site.metrics();
  assert.match(metrics, /^coppice_runs_total\{action="detach",outcome="succeeded"\} 1$/m);
  assert.deepEqual(counted(metrics), []);
});

const SWAP_AND_TELL = `
rules:
  - name: swap-and-tell
    on: { alert: TakeOut }
    cooldown: { for: 1m }
    then:
      - swap: { to: same }
      - http: { url: "http://pager.test/", bearerTokenFile: /does/not/exist }
${RULES.slice(RULES.indexOf('policies:'))}`;

test('a swap is counted by its own end, also where an action after it failed and the run with it', async (t) => {
  const site = await daemon(t, SWAP_AND_TELL);
  const id = await takenOut(site);
  const { state, actions } = await site.get(`/api/v1/runs/${id}`);
  assert.equal(state, 'failed');
  assert.deepEqual(
    (actions as { outcome: string }[]).map(({ outcome }) => outcome),
    ['succeeded', 'failed'],
  );
  const metrics = await site.metrics();
  assert.match(metrics, /^coppice_runs_total\{action="swap",outcome="succeeded"\} 1$/m);
  assert.match(metrics, /^coppice_runs_total\{action="http",outcome="failed"\} 1$/m);
  assert.deepEqual(counted(metrics), ['coppice_swaps_total{outcome="succeeded",to="spot"} 1']);
});
