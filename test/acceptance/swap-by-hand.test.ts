import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { isOver, type Run, type StepRecord } from '../../src/actions/run.ts';
import { startApp } from '../../src/app.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { demoWorld } from '../../src/cloud/simulated/demo-world.ts';
import { SimulatedCloud } from '../../src/cloud/simulated/simulated-cloud.ts';
import { leftBehind, type Snapshot } from '../../src/cloud/simulated/snapshot.ts';
import { WRITES } from './swap-site.ts';

const RULES = `
rules:
  - name: unrelated
    on: { alert: Unrelated }
    then: [{ swap: { urgent: true } }]
policies:
  - { name: all, groups: { names: ["*"] }, cooldown: 5m, budgets: unlimited, minInstanceAge: 0 }
`;

type Json = Readonly<Record<string, unknown>>;

/** A daemon on the simulated cloud whose time stands until a test lets it pass. */
interface Daemon {
  readonly clock: ManualClock;
  readonly cloud: SimulatedCloud;
  readonly before: Snapshot;
  /** Ids of the members of the group. */
  readonly members: readonly string[];
  post(path: string, body?: object): Promise<{ status: number; json: Json }>;
  get(path: string): Promise<Json>;
  /** Lets time pass until the run is in the step, or over. */
  until(runId: string, when: (run: Run, step: StepRecord | null) => boolean): Promise<void>;
  writes(): readonly string[];
}

async function daemon(t: TestContext, rules = RULES): Promise<Daemon> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-by-hand-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'rules.yaml'), rules);
  const clock = new ManualClock();
  const cloud = new SimulatedCloud({ clock, random: seededRandom(7), world: demoWorld() });
  const before = cloud.snapshot();
  const told: { run: Run; step: StepRecord | null }[] = [];
  const app = await startApp(
    {
      ...{ version: 'test', http: { host: '127.0.0.1', port: 0 }, grpc: { host: '127.0.0.1', port: 0 } },
      ...{ rules: [folder], pollIntervalMs: 3_600_000, debounceMs: 0, shadow: false },
      ...{ cloud: { kind: 'given', cloud }, statePath: ':memory:', retentionMs: 86_400_000 },
      ...{
        dedupWindowMs: 60_000,
        inboxLimit: 1000,
        concurrency: 2,
        log: { level: 'silent', format: 'json' },
      },
    },
    {
      ...{ clock, random: seededRandom(8) },
      watcher: { decided: () => undefined, progressed: (run, step) => void told.push({ run, step }) },
    },
  );
  t.after(async () => {
    const stopped = app.stop();
    await clock.advance(60_000);
    await stopped;
  });
  const url = `http://127.0.0.1:${app.http.port}`;
  /** Time passes while an answer is on its way, a little at a time: whoever waits for a decision must get it. */
  const answer = async (asked: Promise<Response>): Promise<{ status: number; json: Json }> => {
    const state = { done: false };
    const ended = asked.finally(() => {
      state.done = true;
    });
    while (!state.done) {
      await clock.advance(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const response = await ended;
    return { status: response.status, json: (await response.json()) as Json };
  };
  const web = cloud.snapshot().groups.find(({ name }) => name === 'web');
  assert.ok(web !== undefined);
  return {
    clock,
    cloud,
    before,
    members: web.members.map(({ instanceId }) => instanceId),
    post: (path, body) =>
      answer(
        fetch(`${url}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body ?? {}),
        }),
      ),
    get: async (path) => (await answer(fetch(`${url}${path}`))).json,
    async until(runId, when) {
      const met = (): boolean => told.some(({ run, step }) => run.id === runId && when(run, step));
      for (let passed = 0; !met() && passed < 7200; passed++) await clock.advance(1000);
      assert.ok(met(), JSON.stringify(told.at(-1)));
    },
    writes: () =>
      cloud.history.filter(({ operation }) => WRITES.includes(operation)).map(({ operation }) => operation),
  };
}

const over = (run: Run): boolean => isOver(run.state);

/** Asks for a swap that is expected to begin; answers the id of its run. */
async function began(site: Daemon, instance: string): Promise<string> {
  const { status, json } = await site.post('/api/v1/runs', { instance });
  assert.equal(status, 201, JSON.stringify(json));
  const run = json['run'] as { id: string; rule: string };
  assert.equal(run.rule, 'by-hand');
  return run.id;
}

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
