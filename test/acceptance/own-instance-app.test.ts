import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { isOver, type Run } from '../../src/actions/run.ts';
import { type App, startApp } from '../../src/app.ts';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { demoWorld } from '../../src/cloud/simulated/demo-world.ts';
import { SimulatedCloud } from '../../src/cloud/simulated/simulated-cloud.ts';
import type { Decision } from '../../src/engine/decision.ts';
import { WRITES } from './swap-site.ts';

const RULES = `
rules:
  - name: voluntary
    on: { alert: Crowded }
    cooldown: { for: 1m, per: [instance] }
    then: [{ swap: {} }]
  - name: urgent
    on: { alert: SpotTermination }
    then: [{ swap: { urgent: true } }]
  - name: oldest
    on: { alert: GroupCrowded }
    target: { pick: oldest, limit: 99 }
    cooldown: { for: 1m, per: [group] }
    then: [{ swap: {} }]
    mode: shadow
policies:
  - { name: all, groups: { names: ["*"] }, cooldown: 0s, budgets: unlimited, minInstanceAge: 0 }
`;

/** A daemon on the simulated cloud that has the metadata service tell which member it runs on. */
interface Daemon {
  readonly url: string;
  readonly cloud: SimulatedCloud;
  readonly own: string;
  /** Decisions so far. */
  readonly decided: readonly Decision[];
  /** Resolves with the first run that is over. */
  readonly over: Promise<Run>;
  /** Resolves with the first decision. */
  readonly decision: Promise<Decision>;
  fire(alert: string, labels: Readonly<Record<string, string>>): Promise<void>;
}

async function daemon(t: TestContext): Promise<Daemon> {
  const cloud = new SimulatedCloud({ clock: systemClock, random: seededRandom(7), world: demoWorld() });
  const own = cloud.snapshot().groups[0]?.members[0]?.instanceId ?? '';
  const over = Promise.withResolvers<Run>();
  const decision = Promise.withResolvers<Decision>();
  const decided: Decision[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'coppice-own-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'rules.yaml'), RULES);
  const service = { disabled: undefined, mode: undefined, endpoint: await metadata(t, own) };
  const app = await startApp(
    {
      ...{ version: 'test', http: { host: '127.0.0.1', port: 0 }, grpc: { host: '127.0.0.1', port: 0 } },
      ...{ rules: [folder], pollIntervalMs: 3_600_000, debounceMs: 0, shadow: false },
      ...{ cloud: { kind: 'given', cloud }, ownInstance: { kind: 'ask', service } },
      ...{ statePath: ':memory:', retentionMs: 3_600_000, dedupWindowMs: 60_000, inboxLimit: 1000 },
      ...{ concurrency: 1, log: { level: 'silent', format: 'json' } },
    },
    {
      ...{ clock: systemClock, random: seededRandom(8) },
      watcher: {
        decided(one) {
          decided.push(one);
          decision.resolve(one);
        },
        progressed: (run, step) => step === null && isOver(run.state) && over.resolve(run),
      },
    },
  );
  t.after(() => app.stop());
  const url = addressOf(app);
  return {
    ...{ url, cloud, own, decided, over: over.promise, decision: decision.promise },
    async fire(alertname, labels) {
      const alert = { status: 'firing', labels: { alertname, ...labels }, annotations: {} };
      const times = { startsAt: new Date(systemClock.now()).toISOString(), endsAt: '0001-01-01T00:00:00Z' };
      const answer = await fetch(`${url}/api/v2/alerts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify([{ ...alert, ...times, generatorURL: '' }]),
      });
      assert.equal(answer.status, 200, await answer.text());
    },
  };
}

function addressOf({ http }: App): string {
  return `http://${http.host}:${http.port}`;
}

/** A metadata service that tells that id; answers its address. */
async function metadata(t: TestContext, id: string): Promise<string> {
  const server = createServer(({ method }, response) => void response.end(method === 'PUT' ? 'token' : id));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

for (const alert of ['Crowded', 'SpotTermination']) {
  test(`an alert (${alert}) that names the instance that Coppice runs on is refused, and nothing is touched`, async (t) => {
    const { cloud, own, over, fire } = await daemon(t);
    await fire(alert, { instance_id: own });
    const run = await over;
    assert.deepEqual([run.state, run.error?.reason], ['failed', 'own_instance']);
    const writes = cloud.history.filter(({ operation }) => WRITES.includes(operation));
    assert.deepEqual(writes, []);
  });
}

test('a rule that picks its targets passes over the instance that Coppice runs on', async (t) => {
  const { cloud, own, decision, decided, fire } = await daemon(t);
  await fire('GroupCrowded', { asg_name: 'web' });
  await decision;
  const targets = decided.map(({ subject }) => subject.instance).sort();
  const members = cloud.snapshot().groups[0]?.members.map(({ instanceId }) => instanceId) ?? [];
  assert.deepEqual(targets, members.filter((id) => id !== own).sort());
});

test('the status and the group tell which instance is spared', async (t) => {
  const { url, own } = await daemon(t);
  const status = (await (await fetch(`${url}/api/v1/status`)).json()) as { ownInstance: string };
  assert.equal(status.ownInstance, own);
  const group = (await (await fetch(`${url}/api/v1/groups/web`)).json()) as {
    instances: { id: string; own: boolean }[];
  };
  assert.deepEqual(
    group.instances.filter((instance) => instance.own).map(({ id }) => id),
    [own],
  );
});
