import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StepOutcome } from '../../../../src/actions/action.ts';
import { beforeRelease } from '../../../../src/actions/asg/before-release.ts';
import type { Chained, SwapContext } from '../../../../src/actions/asg/swap-details.ts';
import type { HttpAnswer, HttpRequest } from '../../../../src/actions/http/sender.ts';
import { asFailure } from '../../../../src/base/failure.ts';
import type { ChainedSpec } from '../../../../src/engine/rule.ts';
import { SPEC, WEB } from './fixture.ts';

function ask(url: string): ChainedSpec {
  return { kind: 'http', http: { url, headers: {}, bearerTokenFile: null } };
}

/** The step in a swap that asks these addresses, with what another process may have written down already. */
class Swap {
  readonly asked: string[] = [];
  /** Each detail as it was written down, in order. */
  readonly written: Partial<Chained>[] = [];
  readonly bodies: HttpRequest['body'][] = [];
  readonly keys: (string | undefined)[] = [];
  attempt = 1;
  answers: Readonly<Record<string, number>> = {};
  readonly #urls: readonly string[];
  #detail: Partial<Chained>;

  constructor(urls: readonly string[], detail: Partial<Chained> = {}) {
    this.#urls = urls;
    this.#detail = detail;
  }

  perform(): Promise<StepOutcome> {
    return beforeRelease.perform(this.#context());
  }

  async undo(): Promise<string | undefined> {
    return (await beforeRelease.undo?.(this.#context()))?.kind;
  }

  states(): Readonly<Record<string, string>> {
    const parts = Object.entries(this.#detail.parts ?? {});
    return Object.fromEntries(parts.map(([key, { state }]) => [key, state]));
  }

  #context(): SwapContext {
    const sendHttp = ({ url, body, headers }: HttpRequest): Promise<HttpAnswer> => {
      this.asked.push(url);
      this.keys.push(headers['idempotency-key']);
      this.bodies.push(body);
      return Promise.resolve({ status: this.answers[url] ?? 200, text: '' });
    };
    return {
      run: {
        ...{ id: 'run_1', decisionId: 'dec_1', rule: 'r', group: WEB, instanceId: 'i-1' },
        ...{ actions: [], steps: [], state: 'running' },
      },
      action: { kind: 'swap', swap: { ...SPEC, beforeRelease: this.#urls.map(ask) } },
      attempt: this.attempt,
      world: { sendHttp },
      soFar: (step: string) => (step === 'before-release' ? this.#detail : {}),
      detail: () => ({ waits: { beforeReleaseMs: 42_000 } }),
      checkpoint: (detail: Partial<Chained>) => {
        this.#detail = structuredClone(detail);
        this.written.push(this.#detail);
        return Promise.resolve();
      },
    } as unknown as SwapContext;
  }

  deadline(): number | undefined {
    return beforeRelease.deadlineMs?.(this.#context());
  }
}

const DONE = { '0.call': 'done', '1.call': 'done' };

test('a swap without chained actions skips the step', async () => {
  assert.deepEqual(await new Swap([]).perform(), { kind: 'skipped' });
});

test('several actions run one after the other, in the order of the rule', async () => {
  const swap = new Swap(['http://b/', 'http://a/']);
  assert.equal((await swap.perform()).kind, 'done');
  assert.deepEqual(swap.asked, ['http://b/', 'http://a/']);
  assert.deepEqual(swap.states(), DONE);
});

test('each is written down before it is begun and after it has ended', async () => {
  const swap = new Swap(['http://a/', 'http://b/']);
  await swap.perform();
  const states = swap.written.map(({ parts = {} }) =>
    Object.entries(parts).map(([key, { state }]) => `${key} ${state}`),
  );
  assert.deepEqual(states, [
    ['0.call running'],
    ['0.call done'],
    ['0.call done', '1.call running'],
    ['0.call done', '1.call done'],
  ]);
});

test('one that is still at it is asked again, and the next one waits for it', async () => {
  const swap = new Swap(['http://a/', 'http://b/']);
  swap.answers = { 'http://a/': 202 };
  assert.equal((await swap.perform()).kind, 'wait');
  assert.equal((await swap.perform()).kind, 'wait');
  assert.deepEqual(swap.asked, ['http://a/', 'http://a/']);
  swap.answers = {};
  assert.equal((await swap.perform()).kind, 'done');
  assert.deepEqual(swap.asked, ['http://a/', 'http://a/', 'http://a/', 'http://b/']);
});

test('one that has ended is not asked again while a later one is still at it', async () => {
  const swap = new Swap(['http://a/', 'http://b/']);
  swap.answers = { 'http://b/': 202 };
  await swap.perform();
  await swap.perform();
  assert.deepEqual(swap.asked, ['http://a/', 'http://b/', 'http://b/']);
});

test('a process that comes after a loss goes on with the one that was under way', async () => {
  const parts = {
    '0.call': { state: 'done', detail: { status: 200 } },
    '1.call': { state: 'running', detail: {} },
  } as const;
  const swap = new Swap(['http://a/', 'http://b/'], { parts });
  assert.equal((await swap.perform()).kind, 'done');
  assert.deepEqual(swap.asked, ['http://b/']);
  assert.deepEqual(swap.states(), DONE);
});

test('the same address twice is two actions', async () => {
  const swap = new Swap(['http://a/', 'http://a/']);
  await swap.perform();
  assert.deepEqual(swap.asked, ['http://a/', 'http://a/']);
});

test('the first that fails fails the step, and none comes after it', async () => {
  const swap = new Swap(['http://a/', 'http://b/']);
  swap.answers = { 'http://a/': 403 };
  const failure = asFailure(
    await swap.perform().then(
      () => null,
      (thrown: unknown) => thrown,
    ),
  );
  assert.deepEqual([failure.code, failure.disposition], ['refused_elsewhere', 'reject']);
  assert.deepEqual(swap.asked, ['http://a/']);
  assert.deepEqual(swap.states(), { '0.call': 'running' });
});

test('nothing is asked when it is undone: what was asked of another system has no way back', async () => {
  const swap = new Swap(['http://a/', 'http://b/']);
  await swap.perform();
  assert.equal(await swap.undo(), 'undone');
  assert.equal(swap.asked.length, 2);
});

test('the step has the time that the plan says', () => assert.equal(new Swap([]).deadline(), 42_000));

test('a swap that is tried again asks anew: what was asked of another system before was for a swap that is undone', async () => {
  const keys = [];
  for (const attempt of [1, 1, 2, 3]) {
    const swap = new Swap(['http://a/']);
    swap.attempt = attempt;
    await swap.perform();
    keys.push(...swap.keys);
  }
  assert.equal(keys[0], keys[1]);
  assert.equal(new Set(keys).size, 3);
});
