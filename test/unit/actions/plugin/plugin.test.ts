import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { Action, Step, StepContext, StepOutcome } from '../../../../src/actions/action.ts';
import { plugin, pluginInSwap } from '../../../../src/actions/plugin/plugin.ts';
import type { PluginAnswer, PluginRequest } from '../../../../src/actions/plugin/sender.ts';
import type { Run, StepRecord } from '../../../../src/actions/run.ts';
import { asFailure, Failure } from '../../../../src/base/failure.ts';
import { ManualClock } from '../../../../src/base/manual-clock.ts';
import { PLAIN_SWAP, type PluginAction } from '../../../../src/engine/rule.ts';

const WEB = { account: '123456789012', region: 'eu-west-1', name: 'web' };
const EVENT = {
  ...{ type: 'prometheus.server.alert.A', source: 'http://p/graph', time: Date.UTC(2026, 0, 1) },
  labels: { alertname: 'A', asg_name: 'web' },
};
const CALLING: StepRecord = {
  ...{ seq: 9, action: 1, name: 'call', state: 'running', attempt: 1, startedAt: 0, finishedAt: null },
  ...{ detail: {}, error: null },
};
const LAUNCHED: StepRecord = {
  ...{ seq: 2, action: 0, name: 'launch', state: 'done', attempt: 1, startedAt: 0, finishedAt: 1 },
  ...{ detail: { instanceId: 'i-new' }, error: null },
};

interface Asked {
  readonly with?: Action;
  readonly plugin?: Partial<PluginAction['plugin']>;
  readonly timeoutMs?: number;
  readonly run?: Partial<Run>;
  readonly attempt?: number;
  /** Which action of the chain it is. */
  readonly position?: number;
  /** Since the step began. */
  readonly passedMs?: number;
  /** A failure is thrown. */
  readonly answer?: PluginAnswer | Failure;
}

/** Performs the one step, and tells what was sent. */
async function call(asked: Asked = {}): Promise<{ outcome: StepOutcome | Failure; sent: PluginRequest }> {
  const { run = {}, attempt = 1, position = 1, answer = { kind: 'ok', status: 'ok' } } = asked;
  const [step] = (asked.with ?? plugin).orderOf({}) as readonly [Step];
  const sent: PluginRequest[] = [];
  const action: PluginAction = {
    kind: 'plugin',
    plugin: { name: 'drain', timeoutMs: null, ...asked.plugin },
  };
  const inChain = asked.timeoutMs === undefined ? {} : { timeoutMs: asked.timeoutMs };
  const calling = { ...CALLING, action: position };
  const context = {
    run: {
      ...{ id: 'run_1', decisionId: 'dec_1', rule: 'r', group: WEB, instanceId: 'i-1', steps: [calling] },
      ...{
        state: 'running',
        actions: [
          { kind: 'swap', swap: PLAIN_SWAP },
          { ...action, ...inChain },
        ],
      },
      event: EVENT,
      ...run,
    },
    ...{ attempt, action, steps: [calling], clock: new ManualClock(asked.passedMs ?? 0) },
    world: {
      sendToPlugin(request: PluginRequest) {
        sent.push(request);
        return answer instanceof Failure ? Promise.reject(answer) : Promise.resolve(answer);
      },
    },
  } as unknown as StepContext;
  const outcome = await step.perform(context).catch((thrown: unknown) => asFailure(thrown));
  const [only] = sent;
  assert.ok(only !== undefined && sent.length === 1);
  return { outcome, sent: only };
}

test('the plugin gets the event that led to the run, with the instance where no label has it', async () => {
  const { sent } = await call();
  assert.deepEqual(
    { ...sent.event, id: '' },
    {
      id: '',
      type: 'prometheus.server.alert.A',
      source: 'http://p/graph',
      time: '2026-01-01T00:00:00.000Z',
      labels: { alertname: 'A', asg_name: 'web', instance_id: 'i-1' },
    },
  );
  assert.deepEqual([sent.plugin, sent.timeoutMs, sent.withinMs], ['drain', null, Number.POSITIVE_INFINITY]);
});

test('an event without a time has none, and its own instance label stays', async () => {
  const { sent } = await call({
    run: { event: { ...EVENT, time: null, labels: { instance_id: 'i-of-the-event' } } },
  });
  assert.deepEqual([sent.event.time, sent.event.labels], ['', { instance_id: 'i-of-the-event' }]);
});

test('the replacement is told once there is one, and only by Coppice', async () => {
  const forged = { ...EVENT, labels: { replacement_instance_id: 'i-forged' } };
  const { sent } = await call({ run: { event: forged, steps: [LAUNCHED, CALLING] } });
  assert.equal(sent.event.labels['replacement_instance_id'], 'i-new');
  const before = await call();
  assert.equal(before.sent.event.labels['replacement_instance_id'], undefined);
});

test('ok means go on, and what was said is written down as one line', async () => {
  const { outcome } = await call({ answer: { kind: 'ok', status: 'ok\u0007\nthen' } });
  assert.deepEqual(outcome, { kind: 'done', detail: { status: 'ok then' } });
});

test('a plugin that does not want calls now is waited for', async () => {
  const { outcome } = await call({ answer: { kind: 'not_serving' } });
  assert.deepEqual(outcome, { kind: 'wait', for: 'plugin drain to serve' });
});

/** All but those of which the client makes failures. */
const REFUSALS = Object.keys(status).filter(
  (name): name is keyof typeof status =>
    Number.isNaN(Number(name)) && !['OK', 'UNAVAILABLE', 'DEADLINE_EXCEEDED'].includes(name),
);
for (const code of REFUSALS) {
  test(`${code} fails the action with the words of the plugin, on one line`, async () => {
    const { outcome } = await call({
      answer: { kind: 'refused', code, message: `no\n\u001b[31m ${'x'.repeat(300)}` },
    });
    assert.ok(outcome instanceof Failure);
    assert.deepEqual([outcome.code, outcome.disposition], ['refused_elsewhere', 'reject']);
    assert.match(outcome.message, new RegExp(`^plugin drain answered ${code}: no \\[31m x{190,195}$`));
  });
}

test('a refusal without words is told without any', async () => {
  const { outcome } = await call({ answer: { kind: 'refused', code: 'ABORTED', message: '' } });
  assert.equal(outcome instanceof Failure && outcome.message, 'plugin drain answered ABORTED');
});

test('what did not come to an answer fails as the sender says', async () => {
  const failure = new Failure('timeout', 'reject', 'late');
  assert.equal((await call({ answer: failure })).outcome, failure);
});

test('a run without its event is a defect, and nothing is sent', async () => {
  const [step] = plugin.orderOf({}) as readonly [Step];
  const action: PluginAction = { kind: 'plugin', plugin: { name: 'drain', timeoutMs: null } };
  const context = { run: { id: 'run_1', actions: [action], steps: [] }, steps: [], action } as unknown;
  await assert.rejects(step.perform(context as StepContext), { code: 'internal' });
});

const TIMES: readonly [rule: string, asked: Asked, expected: readonly [number | null, number]][] = [
  [
    'a call has the time that the rule says',
    { plugin: { timeoutMs: 5000 } },
    [5000, Number.POSITIVE_INFINITY],
  ],
  [
    'a call has no more than the timeout of its action leaves',
    { timeoutMs: 30_000, passedMs: 10_000 },
    [null, 20_000],
  ],
];
for (const [rule, asked, expected] of TIMES) {
  test(rule, async () => {
    const { sent } = await call(asked);
    assert.deepEqual([sent.timeoutMs, sent.withinMs], expected);
  });
}

const idOf = async (asked: Asked = {}): Promise<string> => (await call(asked)).sent.event.id;

test('what is sent again has the same id, also when the action is tried again as a whole', async () => {
  const id = await idOf();
  assert.match(id, /^run_1\/[0-9a-f]{16}$/);
  assert.equal(await idOf({ answer: { kind: 'not_serving' } }), id);
  assert.equal(await idOf({ attempt: 2 }), id);
  assert.equal(await idOf({ plugin: { timeoutMs: 1000 } }), id);
});

test('in another attempt of a swap it is another event', async () => {
  assert.notEqual(await idOf({ with: pluginInSwap }), await idOf({ with: pluginInSwap, attempt: 2 }));
});

test('events that differ have ids that differ', async () => {
  const ids = [
    await idOf(),
    await idOf({ run: { id: 'run_2' } }),
    await idOf({ plugin: { name: 'other' } }),
    await idOf({ position: 0 }),
    await idOf({ run: { steps: [LAUNCHED, CALLING] } }),
  ];
  assert.equal(new Set(ids).size, ids.length);
});
