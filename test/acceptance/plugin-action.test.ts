import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as realTime } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import {
  createPluginLines,
  type PluginLines,
  type PluginPeer,
  type PluginSender,
} from '../../src/actions/plugin/sender.ts';
import { isOver, type Run } from '../../src/actions/run.ts';
import { RulesRejected } from '../../src/app.ts';
import { demoWorld } from '../../src/cloud/simulated/demo-world.ts';
import type { ActionSpec, InChain, SwapSpec } from '../../src/engine/rule.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import {
  type ForeignPlan,
  type ForeignPlugin,
  foreignPlugin,
} from '../unit/actions/plugin/foreign-plugin.ts';
import { type Daemon, daemon } from './daemon.ts';
import { type Process, Site, SPOT_SWAP, stepsOf } from './swap-site.ts';

const SECOND = 1000;
const REPLACEMENT = 'replacement_instance_id';

function send(inChain: InChain = {}, timeoutMs: number | null = null): ActionSpec {
  return { kind: 'plugin', plugin: { name: 'drain', timeoutMs }, ...inChain };
}

function swap(spec: Partial<SwapSpec> = {}, inChain: InChain = {}): ActionSpec {
  return { kind: 'swap', swap: { ...SPOT_SWAP, ...spec }, ...inChain };
}

function peerAt(address: string): PluginPeer {
  return { name: 'drain', address, protocol: 'v2', tls: null, timeoutMs: 60 * SECOND, tokenFile: null };
}

/** A site with one real plugin, whose time stands still while a call is under way. */
interface Stage {
  readonly site: Site;
  readonly plugin: ForeignPlugin;
  readonly lines: PluginLines;
  /** Lets time pass until the run is over, or so. */
  until(runId: string, when?: (run: Run) => boolean): Promise<Run>;
}

async function stage(context: TestContext, plan: ForeignPlan = {}): Promise<Stage> {
  const plugin = await foreignPlugin(context, plan);
  const lines = createPluginLines([peerAt(plugin.address)], { log: silentLog, metrics: createMetrics() });
  context.after(() => lines.close());
  const underWay = new Set<Promise<unknown>>();
  const sendToPlugin: PluginSender = (request) => {
    const call = lines.send(request);
    const ended = call.catch(() => null).finally(() => underWay.delete(ended));
    underWay.add(ended);
    return call;
  };
  const site = new Site({ sendToPlugin });
  return {
    ...{ site, plugin, lines },
    async until(runId, when = ({ state }) => isOver(state)) {
      const limit = site.clock.now() + 7200 * SECOND;
      for (;;) {
        await Promise.all(underWay);
        const run = await site.store.run(runId);
        assert.ok(run !== null && site.clock.now() < limit, `still ${run?.state} ${run?.steps.at(-1)?.name}`);
        if (when(run)) return run;
        await site.clock.advance(SECOND);
      }
    },
  };
}

/** Performs the chain on the first member. */
async function performed(
  { site, until }: Stage,
  ...actions: readonly ActionSpec[]
): Promise<{ run: Run; old: string; process: Process }> {
  const old = site.member(0);
  const process = await site.process();
  const run = await until(await site.orderActions(old, actions));
  return { run, old, process };
}

function endOf({ state, error }: Run): string {
  return error === null ? state : `${state} ${error.reason}: ${error.message}`;
}

test('a plugin before, inside and after a swap is told in the order of the chain, and of the replacement once there is one', async (context) => {
  const order: string[] = [];
  let members = (): readonly string[] => [];
  const one = await stage(context, {
    tell: (_nth, { labels }) => {
      const isMember = members().includes(String(labels['instance_id']));
      order.push(
        `${isMember ? 'member' : 'gone'} ${labels[REPLACEMENT] === undefined ? 'alone' : 'replaced'}`,
      );
      return { status: 'ok' };
    },
  });
  members = () => one.site.web().members.map(({ instanceId }) => instanceId);
  const inside = { kind: 'plugin', plugin: { name: 'drain', timeoutMs: null } } as const;
  const { run, old } = await performed(one, send(), swap({ beforeRelease: [inside] }), send());
  assert.equal(endOf(run), 'succeeded');
  assert.deepEqual(order, ['member alone', 'member replaced', 'gone replaced']);
  assert.deepEqual(
    one.plugin.received.map(({ labels }) => labels['instance_id']),
    [old, old, old],
  );
  assert.equal(new Set(one.plugin.received.map(({ id }) => id)).size, 3);
  assert.equal(one.plugin.connections(), 1);
});

test('a refusal ends the chain before the swap touches anything, with the words of the plugin', async (context) => {
  const one = await stage(context, {
    tell: () => ({ code: status.FAILED_PRECONDITION, details: 'the node runs a\nmaster' }),
  });
  const { run } = await performed(one, send(), swap());
  assert.equal(
    endOf(run),
    'failed refused_elsewhere: plugin drain answered FAILED_PRECONDITION: the node runs a master',
  );
  assert.deepEqual([one.site.writes(), one.plugin.received.length], [[], 1]);
});

test('a refusal before the old instance leaves undoes the swap', async (context) => {
  const one = await stage(context, { tell: () => ({ code: status.ABORTED, details: 'no' }) });
  const { run, old } = await performed(
    one,
    swap({ beforeRelease: [{ kind: 'plugin', plugin: { name: 'drain', timeoutMs: null } }] }),
  );
  assert.match(endOf(run), /^rolled_back refused_elsewhere/);
  assert.ok(one.site.web().members.some(({ instanceId }) => instanceId === old));
  assert.deepEqual(one.site.leftBehind(), []);
});

test('the chain goes on after a plugin that failed, where it says so', async (context) => {
  const one = await stage(context, { tell: () => ({ code: status.INTERNAL, details: 'broken' }) });
  const { run } = await performed(one, send({ onFailure: 'continue' }), swap());
  assert.match(endOf(run), /^failed refused_elsewhere/);
  assert.ok(stepsOf(run).includes('attach done'));
});

test('what fails is tried again as often as the chain says, as the same event', async (context) => {
  const one = await stage(context, {
    tell: (nth) => (nth < 3 ? { code: status.INTERNAL, details: 'broken' } : { status: 'ok' }),
  });
  const { run } = await performed(one, send({ retries: 2 }));
  assert.equal(endOf(run), 'succeeded');
  assert.equal(one.plugin.received.length, 3);
  assert.equal(new Set(one.plugin.received.map(({ id }) => id)).size, 1);
});

test('UNAVAILABLE is tried again by itself, as the same event', async (context) => {
  const one = await stage(context, {
    tell: (nth) => (nth < 4 ? { code: status.UNAVAILABLE, details: 'starting' } : { status: 'ok' }),
  });
  const { run } = await performed(one, send());
  assert.equal(endOf(run), 'succeeded');
  assert.equal(one.plugin.received.length, 4);
  assert.equal(new Set(one.plugin.received.map(({ id }) => id)).size, 1);
});

test('a plugin that stays away fails the action in the end', async (context) => {
  const one = await stage(context, { tell: () => ({ code: status.UNAVAILABLE, details: 'away' }) });
  const { run } = await performed(one, send());
  assert.match(endOf(run), /^failed unavailable: .*takes no events \(UNAVAILABLE: away\)/);
  assert.ok((run.finishedAt ?? 0) - run.createdAt >= 300 * SECOND);
});

test('a plugin that was away and is back gets the event', async (context) => {
  const one = await stage(context);
  one.plugin.stop();
  await one.site.process();
  const runId = await one.site.orderActions(one.site.member(0), [send()]);
  await one.until(runId, ({ steps }) => steps.length > 0);
  const port = Number(one.plugin.address.split(':').at(-1));
  const back = await foreignPlugin(context, { port });
  await reachable(one);
  const run = await one.until(runId);
  assert.equal(endOf(run), 'succeeded');
  const ids = back.received.map(({ id }) => id);
  assert.equal(ids.filter((id) => id.startsWith(runId)).length, 1);
});

/** The client reconnects by the real time. */
async function reachable({ lines }: Stage): Promise<void> {
  const event = { id: 'probe', type: 't', source: 's', time: '', labels: {} };
  const probe = { plugin: 'drain', event, timeoutMs: null, withinMs: Number.POSITIVE_INFINITY };
  while ((await lines.send(probe).catch(() => null)) === null) await realTime(20);
}

test('a plugin that says that it does not serve is waited for, and then gets the event once', async (context) => {
  let asked = 0;
  const one = await stage(context, {
    health() {
      asked += 1;
      return asked < 4 ? 'NOT_SERVING' : 'SERVING';
    },
  });
  const { run } = await performed(one, send());
  assert.equal(endOf(run), 'succeeded');
  assert.deepEqual([asked, one.plugin.received.length], [4, 1]);
});

test('a plugin that never serves is given up', async (context) => {
  const one = await stage(context, { health: () => 'NOT_SERVING' });
  const { run } = await performed(one, send());
  assert.equal(endOf(run), 'failed timeout: call: gave up waiting for plugin drain to serve');
  assert.equal(one.plugin.received.length, 0);
});

test('an answer that does not come in time fails the action, and nothing is sent again', async (context) => {
  const one = await stage(context, { tell: () => 'silence' });
  const { run } = await performed(one, send({}, 100), swap());
  assert.match(endOf(run), /^failed timeout: .* did not answer in time/);
  assert.deepEqual([one.plugin.received.length, one.site.writes()], [1, []]);
});

test('an answer that does not come in time is asked for again where the chain says so, as the same event', async (context) => {
  const one = await stage(context, { tell: (nth) => (nth === 1 ? 'silence' : { status: 'ok' }) });
  const { run } = await performed(one, send({ retries: 1 }, 100));
  assert.equal(endOf(run), 'succeeded');
  assert.equal(new Set(one.plugin.received.map(({ id }) => id)).size, 1);
  assert.equal(one.plugin.received.length, 2);
});

const RULES = `
rules:
  - name: drained-swap
    on: { alert: SpotTerminationNotice }
    then:
      - plugin: { name: drain }
      - swap: { urgent: true }
policies:
  - { name: all, groups: { names: ["*"] }, cooldown: 0, budgets: unlimited, minInstanceAge: 0 }
`;

/** A daemon whose rules call the plugin. */
async function daemonWith(context: TestContext, plugin: ForeignPlugin): Promise<Daemon> {
  return daemon(context, RULES, demoWorld(), { plugins: [peerAt(plugin.address)] });
}

async function notice({ post, members }: Daemon, member: number): Promise<void> {
  const labels = { alertname: 'SpotTerminationNotice', instance_id: members[member], severity: 'page' };
  const { status: code } = await post('/api/v2/alerts', [{ labels, generatorURL: 'http://p/graph' }]);
  assert.equal(code, 200);
}

/** Lets time pass, and the network have its turns, until it is so. */
async function eventually({ clock }: Daemon, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let looks = 0; looks < 2000; looks += 1) {
    if (await isSo()) return;
    await clock.advance(1000);
    await realTime(1);
  }
  assert.fail('it never came to that');
}

async function states(site: Daemon): Promise<readonly unknown[]> {
  const { items } = (await site.get('/api/v1/runs')) as { items: readonly { state: string }[] };
  return items.map(({ state }) => state);
}

test('an alert reaches the plugin with its labels, and two runs share one connection', async (context) => {
  const plugin = await foreignPlugin(context);
  const site = await daemonWith(context, plugin);
  await notice(site, 0);
  await eventually(site, async () => (await states(site)).join() === 'succeeded');
  await notice(site, 1);
  await eventually(site, async () => (await states(site)).join() === 'succeeded,succeeded');
  assert.equal(plugin.connections(), 1);
  assert.deepEqual(
    plugin.received.map(({ labels }) => labels),
    [0, 1].map((member) => ({
      ...{ alertname: 'SpotTerminationNotice', instance_id: site.members[member], severity: 'page' },
    })),
  );
  assert.match(await site.metrics(), /coppice_plugin_calls_total\{plugin="drain",outcome="ok"\} 2\n/);
});

for (const way of ['restart', 'crash'] as const) {
  test(`a ${way} in the middle of a call sends the event again with the same id, and the chain goes on`, async (context) => {
    const plugin = await foreignPlugin(context, {
      tell: (nth) => (nth === 1 ? 'silence' : { status: 'ok' }),
    });
    const site = await daemonWith(context, plugin);
    await notice(site, 0);
    await eventually(site, () => plugin.received.length === 1);
    await site[way]();
    await eventually(site, async () => (await states(site)).join() === 'succeeded');
    assert.equal(plugin.received.length, 2);
    assert.equal(new Set(plugin.received.map(({ id }) => id)).size, 1);
    assert.deepEqual(plugin.received[0]?.labels, plugin.received[1]?.labels);
  });
}

test('a daemon does not start with rules that call a plugin which the settings do not have', async (context) => {
  await assert.rejects(daemon(context, RULES, demoWorld(), { plugins: [] }), (thrown: unknown) => {
    assert.ok(thrown instanceof RulesRejected);
    assert.deepEqual(
      thrown.problems.map(({ line, column, code }) => [line, column, code]),
      [[6, 25, 'unknown-plugin']],
    );
    return true;
  });
});
