import assert from 'node:assert/strict';
import test from 'node:test';
import { leftBehind } from '../../src/cloud/simulated/snapshot.ts';
import { began, daemon, type Json, over, RULES } from './daemon.ts';

test('a swap that a person asks for replaces the instance, under a recorded decision', async (t) => {
  const site = await daemon(t);
  const [old = ''] = site.members;
  const { status, json } = await site.post('/api/v1/runs', { instance: old, to: 'on-demand' });
  assert.equal(status, 201, JSON.stringify(json));
  const decision = json['decision'] as { id: string; outcome: string };
  const { id } = json['run'] as { id: string };
  assert.equal((await site.get(`/api/v1/decisions/${decision.id}`))['outcome'], 'dispatched');
  await site.until(id, over);
  const run = await site.get(`/api/v1/runs/${id}`);
  assert.equal(run['state'], 'succeeded', JSON.stringify(run['error']));
  await site.clock.advance(600_000);
  const { instances } = site.cloud.snapshot();
  assert.ok(!instances.some((machine) => machine.id === old));
  assert.equal(instances.filter(({ purchaseOption }) => purchaseOption === 'on-demand').length, 1);
  assert.deepEqual(leftBehind(site.before, site.cloud.snapshot()), []);
});

test('a request within the cooldown of a policy is refused with its reason, and nothing is done', async (t) => {
  const site = await daemon(t);
  const [first = '', second = ''] = site.members;
  await site.until(await began(site, first), over);
  const writes = site.writes().length;
  const { status, json } = await site.post('/api/v1/runs', { instance: second });
  assert.deepEqual([status, json['error']], [409, 'policy_cooldown']);
  const { id } = json['decision'] as { id: string };
  assert.equal((await site.get(`/api/v1/decisions/${id}`))['reason'], 'policy_cooldown');
  await site.clock.advance(60_000);
  assert.equal(site.writes().length, writes);
});

test('a second request for an instance that is being swapped is a duplicate', async (t) => {
  const site = await daemon(t);
  const [old = ''] = site.members;
  await began(site, old);
  const { status, json } = await site.post('/api/v1/runs', { instance: old });
  assert.deepEqual([status, json['error']], [409, 'duplicate']);
});

test('an instance of no group is unknown, and a group of no policy is left alone', async (t) => {
  const site = await daemon(t, RULES.replace('names: ["*"]', 'names: ["other"]'));
  const stranger = await site.post('/api/v1/runs', { instance: 'i-00000000000000000' });
  assert.deepEqual([stranger.status, stranger.json['error']], [404, 'subject_unresolved']);
  const unmanaged = await site.post('/api/v1/runs', { instance: site.members[0] });
  assert.deepEqual([unmanaged.status, unmanaged.json['error']], [409, 'group_not_managed']);
});

test('a dry run decides and plans, and changes nothing', async (t) => {
  const site = await daemon(t);
  const [old = ''] = site.members;
  const before = site.cloud.snapshot();
  const { status, json } = await site.post('/api/v1/runs', { instance: old, to: 'spot', dryRun: true });
  assert.equal(status, 200, JSON.stringify(json));
  const plan = json['plan'] as { chosen: string; candidates: object[] };
  const [request] = json['requests'] as { market: { type: string; zone: string } }[];
  assert.ok(request !== undefined && plan.candidates.length > 1);
  assert.equal(json['refusal'], null);
  assert.equal(`${request.market.type}/${request.market.zone}/spot`, plan.chosen);
  await site.clock.advance(60_000);
  const { at: _before, ...was } = before;
  const { at: _after, ...is } = site.cloud.snapshot();
  assert.deepEqual(is, was);
  assert.deepEqual(site.writes(), []);
  assert.deepEqual((await site.get('/api/v1/decisions'))['items'], []);
  assert.deepEqual((await site.get('/api/v1/runs'))['items'], []);
  // The dry run has taken nothing from the real one.
  await site.until(await began(site, old), over);
});

test('a run that waits for its group is cancelled before it begins, and the instance may be swapped again', async (t) => {
  const site = await daemon(t, RULES.replace('cooldown: 5m', 'cooldown: 0s'));
  const [first = '', second = ''] = site.members;
  const running = await began(site, first);
  const waiting = await began(site, second);
  const { status, json } = await site.post(`/api/v1/runs/${waiting}/cancel`);
  assert.deepEqual([status, (json['run'] as Json)['state']], [200, 'cancelled']);
  const again = await site.post(`/api/v1/runs/${waiting}/cancel`);
  assert.deepEqual([again.status, again.json['error']], [409, 'run_over']);
  await site.until(running, over);
  assert.equal((await site.get(`/api/v1/runs/${running}`))['state'], 'succeeded');
  await site.until(await began(site, second), over);
});

test('a run that is cancelled before the release undoes what it did', async (t) => {
  const site = await daemon(t);
  const [old = ''] = site.members;
  const id = await began(site, old);
  await site.until(id, (_run, step) => step?.name === 'attach' && step.state === 'done');
  assert.equal((await site.post(`/api/v1/runs/${id}/cancel`)).status, 202);
  await site.until(id, over);
  const run = await site.get(`/api/v1/runs/${id}`);
  assert.deepEqual([run['state'], (run['error'] as Json)['reason']], ['cancelled', 'cancelled']);
  await site.clock.advance(600_000);
  assert.deepEqual(leftBehind(site.before, site.cloud.snapshot()), []);
  assert.ok(site.cloud.snapshot().instances.some((machine) => machine.id === old));
  assert.equal(site.cloud.snapshot().instances.length, site.before.instances.length);
});

test('a run that has begun to release the old instance goes on to its end', async (t) => {
  const site = await daemon(t);
  const id = await began(site, site.members[0] ?? '');
  await site.until(id, (_run, step) => step?.name === 'release-old' && step.state === 'done');
  const { status, json } = await site.post(`/api/v1/runs/${id}/cancel`);
  assert.deepEqual([status, json['error']], [409, 'too_late']);
  await site.until(id, over);
  assert.equal((await site.get(`/api/v1/runs/${id}`))['state'], 'succeeded');
});

test('a run that nobody knows cannot be cancelled', async (t) => {
  const site = await daemon(t);
  assert.equal((await site.post('/api/v1/runs/run_x/cancel')).status, 404);
});
