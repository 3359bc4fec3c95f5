import assert from 'node:assert/strict';
import test from 'node:test';
import { leftBehind } from '../../src/cloud/simulated/snapshot.ts';
import { type Daemon, daemon } from './daemon.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** One rule on the alert `Sick`, with what holds it back, and a policy that holds nothing back. */
function rules(brakes: string, then = '[{ swap: {} }]'): string {
  return `
rules:
  - name: replace
    on: { alert: Sick }
    ${brakes}
    then: ${then}
policies:
  - { name: all, groups: { names: ["*"] }, cooldown: 0, budgets: unlimited, minInstanceAge: 0, minHealthy: 0 }
`;
}

/** Alertmanager says that the alert about the instance fires since, or has resolved. */
async function notify(site: Daemon, instance: string, since: number, status = 'firing'): Promise<void> {
  const now = site.clock.now();
  const alert = {
    status,
    labels: { alertname: 'Sick', instance_id: instance },
    annotations: {},
    startsAt: new Date(since).toISOString(),
    endsAt: new Date(status === 'firing' ? now + HOUR : now).toISOString(),
  };
  const answer = await site.post('/api/v1/webhook/alertmanager', { version: '4', status, alerts: [alert] });
  assert.equal(answer.status, 200, JSON.stringify(answer.json));
  await site.clock.advance(3_000);
}

async function reasons(site: Daemon): Promise<readonly string[]> {
  const { items } = await site.get('/api/v1/decisions?rule=replace&limit=100');
  return (items as { reason: string }[]).map(({ reason }) => reason).reverse();
}

async function runs(site: Daemon): Promise<readonly { id: string; state: string; instance: string }[]> {
  const { items } = await site.get('/api/v1/runs?limit=100');
  return items as { id: string; state: string; instance: string }[];
}

async function waiting(site: Daemon): Promise<unknown> {
  return (await site.get('/api/v1/groups/web'))['cooldowns'];
}

/** Lets the newest run come to its end. */
async function ended(site: Daemon): Promise<{ state: string }> {
  for (let passed = 0; passed < HOUR; passed += 10_000) {
    const [run] = await runs(site);
    if (run !== undefined && !['pending', 'running', 'recovering'].includes(run.state)) return run;
    await site.clock.advance(10_000);
  }
  assert.fail('the run does not end');
}

test('an alert that resolves within the delay of its rule comes to nothing', async (t) => {
  const site = await daemon(t, rules('delay: 5m'));
  const [sick = ''] = site.members;
  const since = site.clock.now();
  await notify(site, sick, since);
  assert.deepEqual(await reasons(site), ['rule_delay']);
  const [{ kind, rule, per } = {}] = (await waiting(site)) as Record<string, Record<string, string>>[];
  assert.deepEqual([kind, rule, per?.['instance']], ['delay', 'replace', sick]);
  await site.clock.advance(MINUTE);
  await notify(site, sick, since, 'resolved');
  assert.deepEqual(await waiting(site), []);
  await site.clock.advance(HOUR);
  const said = (await reasons(site)).filter((reason) => reason !== 'status');
  assert.deepEqual(said, ['rule_delay', 'alert_resolved']);
  assert.deepEqual([await runs(site), site.writes()], [[], []]);
});

test('an alert that goes on is acted on after the delay, although the process crashed meanwhile', async (t) => {
  const site = await daemon(t, rules('delay: 5m'));
  const [sick = ''] = site.members;
  await notify(site, sick, site.clock.now());
  await site.crash();
  await site.clock.advance(3 * MINUTE);
  assert.deepEqual(await runs(site), []);
  await site.clock.advance(2 * MINUTE);
  assert.deepEqual(await reasons(site), ['rule_delay', 'matched']);
  assert.equal((await ended(site)).state, 'succeeded');
  await site.clock.advance(10 * MINUTE);
  assert.ok(!site.cloud.snapshot().instances.some(({ id }) => id === sick));
  assert.deepEqual(leftBehind(site.before, site.cloud.snapshot()), []);
});

test('what came due while no process was there is acted on at once, and only once', async (t) => {
  const site = await daemon(t, rules('delay: 1m'));
  const [sick = ''] = site.members;
  await notify(site, sick, site.clock.now());
  await site.restart();
  await site.clock.advance(3_000);
  assert.deepEqual(await reasons(site), ['rule_delay', 'matched']);
  await site.crash();
  await site.clock.advance(10 * MINUTE);
  assert.equal((await runs(site)).length, 1);
});

test('the limits of a rule hold over restarts and over all its runs', async (t) => {
  const site = await daemon(t, rules('limits: { concurrent: 1, max: 2, per: 6h }'));
  const [one = '', two = '', three = ''] = site.members;
  await notify(site, one, site.clock.now());
  await notify(site, two, site.clock.now());
  assert.deepEqual(await reasons(site), ['matched', 'rule_limit']);
  assert.equal((await ended(site)).state, 'succeeded');
  await site.restart();
  await notify(site, two, site.clock.now());
  assert.equal((await ended(site)).state, 'succeeded');
  await site.restart();
  await notify(site, three, site.clock.now());
  assert.deepEqual(await reasons(site), ['matched', 'rule_limit', 'matched', 'rule_limit']);
  await site.clock.advance(6 * HOUR);
  await notify(site, three, site.clock.now());
  assert.deepEqual((await reasons(site)).at(-1), 'matched');
});

test('a cooldown that begins with a success is quiet under way and after it, over restarts', async (t) => {
  const site = await daemon(t, rules('cooldown: { for: 1h, after: success }'));
  const [one = '', two = '', three = ''] = site.members;
  await notify(site, one, site.clock.now());
  await notify(site, two, site.clock.now());
  assert.deepEqual(await reasons(site), ['matched', 'rule_cooldown']);
  assert.deepEqual(await waiting(site), []);
  assert.equal((await ended(site)).state, 'succeeded');
  await site.restart();
  assert.equal(((await waiting(site)) as object[]).length, 1);
  await notify(site, two, site.clock.now());
  assert.deepEqual((await reasons(site)).at(-1), 'rule_cooldown');
  await site.clock.advance(HOUR);
  await notify(site, three, site.clock.now());
  assert.deepEqual((await reasons(site)).at(-1), 'matched');
});

test('a run that does not succeed leaves no cooldown that begins with a success', async (t) => {
  const refused = '[{ swap: { to: spot, minSaving: 90% } }]';
  const site = await daemon(t, rules('cooldown: { for: 1h, after: success }', refused));
  const [one = '', two = ''] = site.members;
  await notify(site, one, site.clock.now());
  assert.notEqual((await ended(site)).state, 'succeeded');
  assert.deepEqual(await waiting(site), []);
  await notify(site, two, site.clock.now());
  assert.deepEqual(await reasons(site), ['matched', 'matched']);
});
