import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Step, StepContext, StepOutcome } from '../../../../src/actions/action.ts';
import { http } from '../../../../src/actions/http/http.ts';
import type { HttpRequest } from '../../../../src/actions/http/sender.ts';
import type { Run, StepRecord } from '../../../../src/actions/run.ts';
import { asFailure, Failure } from '../../../../src/base/failure.ts';
import { type HttpAction, PLAIN_SWAP } from '../../../../src/engine/rule.ts';

const WEB = { account: '123456789012', region: 'eu-west-1', name: 'web' };
const URL = 'http://drainer.test/drain';

const LAUNCHED: StepRecord = {
  ...{ seq: 2, action: 0, name: 'launch', state: 'done', attempt: 1, startedAt: 0, finishedAt: 1 },
  ...{ detail: { instanceId: 'i-new' }, error: null },
};

interface Asked {
  readonly http?: Partial<HttpAction['http']>;
  readonly run?: Partial<Run>;
  readonly attempt?: number;
  /** A failure is thrown. */
  readonly answer?: { readonly status: number; readonly text: string } | Failure;
}

/** Performs the one step, and tells what was sent. */
async function call(asked: Asked = {}): Promise<{ outcome: StepOutcome | Failure; sent: HttpRequest }> {
  const { http: rest = {}, run = {}, attempt = 1, answer = { status: 200, text: '' } } = asked;
  const [step] = http.orderOf({}) as readonly [Step];
  const sent: HttpRequest[] = [];
  const action: HttpAction = {
    ...{ kind: 'http', http: { url: URL, headers: { team: 'web' }, bearerTokenFile: '/t', ...rest } },
  };
  const context = {
    run: {
      ...{ id: 'run_1', decisionId: 'dec_1', rule: 'r', group: WEB, instanceId: 'i-1', steps: [] },
      ...{ state: 'running', actions: [{ kind: 'swap', swap: PLAIN_SWAP }, action] },
      ...run,
    },
    attempt,
    action,
    world: {
      sendHttp(request: HttpRequest) {
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

const AGREED: readonly (readonly [rule: string, status: number])[] = [
  ['200 means go on', 200],
  ['so does 201', 201],
  ['and 204', 204],
];

for (const [rule, status] of AGREED) {
  test(`${rule}, and the status is written down`, async () => {
    const { outcome } = await call({ answer: { status, text: 'ignored' } });
    assert.deepEqual(outcome, { kind: 'done', detail: { status } });
  });
}

test('202 means that the other system is still at it: it is asked again', async () => {
  const { outcome } = await call({ answer: { status: 202, text: '' } });
  assert.deepEqual(outcome, { kind: 'wait', for: `${URL} to be done` });
});

const REFUSED: readonly (readonly [rule: string, status: number, disposition: string])[] = [
  ['a redirect is a refusal, since it is not followed', 307, 'reject'],
  ['so is 304', 304, 'reject'],
  ['a bad request is one', 400, 'reject'],
  ['so is a missing permission', 403, 'reject'],
  ['so is nothing at that address', 404, 'reject'],
  ['and the other system saying that it makes no sense', 422, 'reject'],
  ['a request that took too long is tried again', 408, 'retry'],
  ['so is a conflict with what it does just now', 409, 'retry'],
  ['and one that came too early', 425, 'retry'],
  ['and one too many', 429, 'retry'],
  ['a system in trouble is asked again', 500, 'retry'],
  ['so is one that is away', 503, 'retry'],
];

for (const [rule, status, disposition] of REFUSED) {
  test(`${rule} (${status})`, async () => {
    const { outcome } = await call({ answer: { status, text: 'because' } });
    assert.ok(outcome instanceof Failure);
    assert.deepEqual([outcome.code, outcome.disposition], ['refused_elsewhere', disposition]);
    assert.equal(outcome.message, `${URL} answered ${status}: because`);
  });
}

test('an answer without a text is told without one', async () => {
  const { outcome } = await call({ answer: { status: 400, text: '' } });
  assert.equal(outcome instanceof Failure && outcome.message, `${URL} answered 400`);
});

test('a request that did not arrive fails as the sender says', async () => {
  const failure = new Failure('unavailable', 'retry', 'nobody there');
  assert.equal((await call({ answer: failure })).outcome, failure);
});

test('the other system is told of what it is asked, by names that stay', async () => {
  const { sent } = await call();
  assert.deepEqual(sent.body, {
    ...{ run: 'run_1', decision: 'dec_1', rule: 'r', instance: 'i-1', replacement: null },
    failures: [],
    group: { key: '123456789012/eu-west-1/web', ...WEB },
  });
  assert.deepEqual([sent.url, sent.bearerTokenFile, sent.headers['team']], [URL, '/t', 'web']);
});

async function told(...steps: readonly StepRecord[]): Promise<{ replacement: unknown; failures: unknown }> {
  const { sent } = await call({ run: { steps } });
  return sent.body as { replacement: unknown; failures: unknown };
}

test('the replacement is told once there is one', async () => {
  assert.equal((await told(LAUNCHED)).replacement, 'i-new');
});

const ERROR = { reason: 'instance_lost', message: 'it died' } as const;
const UNDONE: StepRecord = { ...LAUNCHED, state: 'undone', error: ERROR };
const CALLING: StepRecord = { ...LAUNCHED, seq: 9, action: 1, name: 'call', state: 'running', detail: {} };

test('a replacement that has been terminated again is not told, in whichever attempt it was launched', async () => {
  assert.equal((await told(UNDONE)).replacement, null);
  const again = { ...LAUNCHED, seq: 3, attempt: 2 };
  assert.equal((await told(LAUNCHED, { ...again, name: 'plan' })).replacement, null);
  assert.equal((await told(UNDONE, { ...again, detail: { instanceId: 'i-2' } })).replacement, 'i-2');
});

test('what failed earlier in the chain is told, so that nobody takes the instance for swapped', async () => {
  assert.deepEqual((await told(UNDONE, CALLING)).failures, [
    { action: 'swap', outcome: 'rolled_back', ...ERROR },
  ]);
  assert.deepEqual((await told(LAUNCHED, CALLING)).failures, []);
});

const keyOf = async (asked: Asked = {}): Promise<string | undefined> =>
  (await call(asked)).sent.headers['idempotency-key'];

test('the same request of a run always has the same key, so a repetition can be told from a second request', async () => {
  assert.equal(await keyOf(), await keyOf({ answer: { status: 202, text: '' } }));
});

test('a request that is tried again as a whole is still the same: what came of the first may only be unknown', async () => {
  assert.equal(await keyOf(), await keyOf({ attempt: 2 }));
});

test('requests that differ have keys that differ: a key with another body would be refused', async () => {
  const keys = [
    await keyOf(),
    await keyOf({ run: { id: 'run_2' } }),
    await keyOf({ run: { steps: [LAUNCHED] } }),
    await keyOf({ http: { url: 'http://other.test/' } }),
  ];
  assert.equal(new Set(keys).size, keys.length);
});

test('a key is short and plain ASCII, whatever the address', async () => {
  const key = await keyOf({ http: { url: `http://drainer.test/${'ü€'.repeat(500)}` } });
  assert.match(key ?? '', /^run_1\/[0-9a-f]{16}$/);
});

test('a header of the rule cannot take the place of the key', async () => {
  const { sent } = await call({ http: { headers: { 'idempotency-key': 'mine' } } });
  assert.match(sent.headers['idempotency-key'] ?? '', /^run_1\//);
});
