import assert from 'node:assert/strict';
import { test } from 'node:test';

import { sleep } from '../../../../src/base/clock.ts';
import { Failure } from '../../../../src/base/failure.ts';
import { ManualClock } from '../../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { allPages, createRequests, failureOf, type Requests } from '../../../../src/cloud/aws/requests.ts';
import { createMetrics, type Metrics } from '../../../../src/telemetry/metrics.ts';

/** An error as the SDK throws it. */
function sdkError(parts: {
  name?: string;
  message?: string;
  Code?: string;
  code?: string;
  status?: number;
}): Error {
  const { name = 'Error', message = '', status, ...codes } = parts;
  const $metadata = status === undefined ? {} : { httpStatusCode: status };
  return Object.assign(new Error(message), { name, $metadata }, codes);
}

const THROTTLED = sdkError({ name: 'RequestLimitExceeded', status: 503 });

const CLASSIFIED: readonly {
  rule: string;
  operation: string;
  error: Error;
  code: string;
  disposition: string;
}[] = [
  {
    rule: "a declared error is known by its wire code, not by its shape's name",
    operation: 'TerminateInstanceInAutoScalingGroup',
    error: sdkError({
      name: 'ScalingActivityInProgressFault',
      Code: 'ScalingActivityInProgress',
      status: 400,
    }),
    code: 'unavailable',
    disposition: 'retry',
  },
  {
    rule: 'an undeclared error is known by its name',
    operation: 'RunInstances',
    error: sdkError({ name: 'InsufficientInstanceCapacity', status: 500 }),
    code: 'market_unavailable',
    disposition: 'next',
  },
  {
    rule: 'a connection cut during a write leaves open what happened',
    operation: 'AttachInstances',
    error: sdkError({ name: 'TimeoutError', code: 'ECONNRESET' }),
    code: 'ambiguous',
    disposition: 'retry',
  },
  {
    rule: 'a connection cut during a read does no harm',
    operation: 'DescribeInstances',
    error: sdkError({ name: 'TimeoutError', code: 'ETIMEDOUT' }),
    code: 'unavailable',
    disposition: 'retry',
  },
  {
    rule: 'a connection that was refused never carried the write',
    operation: 'RunInstances',
    error: sdkError({ code: 'ECONNREFUSED' }),
    code: 'unavailable',
    disposition: 'retry',
  },
  {
    rule: 'a 200 whose body could not be read took effect: nobody knows how',
    operation: 'RunInstances',
    error: sdkError({ message: 'XML parse error', status: 200 }),
    code: 'ambiguous',
    disposition: 'retry',
  },
  {
    rule: 'without credentials nothing was sent',
    operation: 'RunInstances',
    error: sdkError({ name: 'CredentialsProviderError' }),
    code: 'denied',
    disposition: 'reject',
  },
];

for (const { rule, operation, error, code, disposition } of CLASSIFIED) {
  test(rule, () => {
    const failure = failureOf(operation, error);
    assert.deepEqual([failure.code, failure.disposition, failure.cause], [code, disposition, error]);
  });
}

function setUp(): { clock: ManualClock; metrics: Metrics; requests: Requests } {
  const clock = new ManualClock();
  const metrics = createMetrics();
  return { clock, metrics, requests: createRequests({ clock, random: seededRandom(1), metrics }) };
}

/** Fails with each error in turn, then answers how often it was called. */
function failing(...errors: readonly Error[]): { send: () => Promise<number>; calls: () => number } {
  let calls = 0;
  return {
    calls: () => calls,
    send: async () => {
      const error = errors[calls++];
      if (error !== undefined) throw error;
      return calls;
    },
  };
}

async function count(metrics: Metrics, operation: string, outcome: string): Promise<number> {
  const { values } = await metrics.cloudRequests.get();
  return (
    values.find(({ labels }) => labels.operation === operation && labels.outcome === outcome)?.value ?? 0
  );
}

test('a throttled write is sent again after a wait, since nothing has happened', async () => {
  const { clock, metrics, requests } = setUp();
  const { send, calls } = failing(THROTTLED, THROTTLED);
  const answer = requests.write('RunInstances', send);
  await clock.advance(499);
  assert.equal(calls(), 1);
  await clock.advance(3_000);
  assert.equal(await answer, 3);
  assert.equal(await count(metrics, 'RunInstances', 'throttled'), 2);
  assert.equal(await count(metrics, 'RunInstances', 'ok'), 1);
});

test('a write that stays throttled fails in the end', async () => {
  const { clock, requests } = setUp();
  const { send, calls } = failing(THROTTLED, THROTTLED, THROTTLED, THROTTLED, THROTTLED);
  const rejected = assert.rejects(requests.write('RunInstances', send), { code: 'throttled' });
  await clock.advance(60_000);
  await rejected;
  assert.equal(calls(), 4);
});

for (const [operation, sent] of [
  ['AttachInstances', 1],
  ['RunInstances', 4],
] as const) {
  const again =
    sent === 1 ? 'not sent again: the lease that it was begun under may end' : 'sent again: it has a token';
  test(`${operation} that was throttled after a long wait is ${again}`, async () => {
    const { clock, requests } = setUp();
    let calls = 0;
    const slow = async (): Promise<never> => {
      calls += 1;
      await sleep(clock, 10_000);
      throw THROTTLED;
    };
    const rejected = assert.rejects(requests.write(operation, slow), { code: 'throttled' });
    await clock.advance(60_000);
    await rejected;
    assert.equal(calls, sent);
  });
}

test('a write is sent once for anything else, and a read always', async () => {
  const { requests } = setUp();
  const write = failing(sdkError({ name: 'InternalError', status: 500 }));
  await assert.rejects(requests.write('AttachInstances', write.send), { code: 'unavailable' });
  const read = failing(THROTTLED);
  await assert.rejects(requests.read('DescribeInstances', read.send), { code: 'throttled' });
  assert.deepEqual([write.calls(), read.calls()], [1, 1]);
});

test('a failure that is none of the SDK passes as it is', () => {
  const failure = new Failure('not_found', 'reject', 'no such group');
  assert.equal(failureOf('DescribeInstances', failure), failure);
});

test('pages end with no token or an empty one, and an empty page is not the end', async () => {
  for (const last of [undefined, '']) {
    const tokens: (string | undefined)[] = [];
    const pages = await allPages(async (token) => {
      tokens.push(token);
      return { NextToken: ['b', 'c', last][tokens.length - 1] };
    });
    assert.deepEqual(tokens, [undefined, 'b', 'c']);
    assert.equal(pages.length, 3);
  }
});
