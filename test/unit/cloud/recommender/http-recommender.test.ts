import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Recommender } from '../../../../src/actions/asg/recommender.ts';
import { ManualClock } from '../../../../src/base/manual-clock.ts';
import { createHttpRecommender } from '../../../../src/cloud/recommender/http-recommender.ts';
import { type Log, silentLog } from '../../../../src/telemetry/log.ts';

const ZONE = 'eu-west-1a';
const QUESTION = { region: 'eu-west-1', baseType: 'm5.large', zones: [ZONE] };

interface World {
  readonly recommender: Recommender;
  readonly clock: ManualClock;
  /** Paths with queries that were asked for. */
  readonly asked: string[];
  readonly warnings: number;
  answer: unknown;
}

/** A recommender behind an address with a path; `answer` is its JSON, or does something else with the response. */
async function world(context: TestContext, answer: unknown): Promise<World> {
  const asked: string[] = [];
  let warnings = 0;
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (typeof made.answer === 'function') (made.answer as (response: ServerResponse) => void)(response);
    else response.end(JSON.stringify(made.answer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const clock = new ManualClock();
  const log: Log = { ...silentLog, child: () => log, warn: () => void warnings++ };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/old/`;
  const made = {
    ...{ recommender: createHttpRecommender({ url, clock, log }), clock, asked, answer },
    get warnings() {
      return warnings;
    },
  };
  return made;
}

/** As Hollowtrees' recommender wrote it. */
function entry(type: string, cost: unknown, stability: unknown = '0.0'): object {
  return {
    ...{ InstanceTypeName: type, CurrentPrice: '0.0751', AvgPriceFor24Hours: '0.0' },
    ...{ OnDemandPrice: '0.2140000000', SuggestedBidPrice: '0.2140000000' },
    ...{ CostScore: cost, StabilityScore: stability },
  };
}

test('it is asked for the region, the type and the zones, below its own path', async (context) => {
  const { recommender, asked } = await world(context, { [ZONE]: [entry('m6i.large', '0.780754')] });
  const scores = await recommender.advise(QUESTION);
  assert.deepEqual(scores, new Map([[ZONE, new Map([['m6i.large', { cost: 0.780754, stability: 0 }]])]]));
  assert.deepEqual(asked, [
    '/old/api/v1/recommender/eu-west-1?baseInstanceType=m5.large&availabilityZones=eu-west-1a',
  ]);
});

const USABLE: readonly (readonly [rule: string, answer: unknown, cost: number])[] = [
  [
    'the earliest version wraps its answer and writes numbers',
    { status: 200, data: { [ZONE]: [entry('a', 0.5, 0)] } },
    0.5,
  ],
  ['NaN, its score where all prices are equal, means the best', { [ZONE]: [entry('a', 'NaN')] }, 1],
  ['other zones may be null', { [ZONE]: [entry('a', '0.25')], 'eu-west-1b': null }, 0.25],
  [
    'fields that it has beside them are not looked at',
    { [ZONE]: [{ ...entry('a', '1'), CurrentPrice: null }] },
    1,
  ],
];
for (const [rule, answer, cost] of USABLE) {
  test(`of its answers, ${rule}`, async (context) => {
    const { recommender } = await world(context, answer);
    assert.equal((await recommender.advise(QUESTION)).get(ZONE)?.get('a')?.cost, cost);
  });
}

const NONSENSE: readonly (readonly [rule: string, answer: unknown, code: string])[] = [
  ['the zone is missing', {}, 'invalid_request'],
  ['the zone is null', { [ZONE]: null }, 'invalid_request'],
  ['the zone is empty', { [ZONE]: [] }, 'invalid_request'],
  ['a score is above 1', { [ZONE]: [entry('a', '1.5')] }, 'invalid_request'],
  ['a score is below 0', { [ZONE]: [entry('a', '-0.5')] }, 'invalid_request'],
  ['a score is no number', { [ZONE]: [entry('a', 'high')] }, 'invalid_request'],
  ['a score is empty', { [ZONE]: [entry('a', '')] }, 'invalid_request'],
  ['a score is missing', { [ZONE]: [{ InstanceTypeName: 'a', CostScore: '1' }] }, 'invalid_request'],
  ['its stability is NaN', { [ZONE]: [entry('a', '1', 'NaN')] }, 'invalid_request'],
  ['it is an error in a body', { status: 500, message: 'no' }, 'invalid_request'],
  ['it is a list', [entry('a', '1')], 'invalid_request'],
  ['it is no JSON', (response: ServerResponse) => response.end('<html>'), 'invalid_request'],
  ['it is an error', (response: ServerResponse) => response.writeHead(500).end('{}'), 'unavailable'],
  [
    'it leads elsewhere, which may be inside of a network that was not meant',
    (response: ServerResponse) => response.writeHead(302, { location: '/elsewhere' }).end(),
    'unavailable',
  ],
  ['it is cut off', (response: ServerResponse) => response.destroy(), 'unavailable'],
  ['it never ends', (response: ServerResponse) => endless(response), 'invalid_request'],
];
function endless(response: ServerResponse): void {
  const chunk = Buffer.alloc(262_144, '[');
  const more = (): void => {
    if (response.destroyed) return;
    if (response.write(chunk)) setImmediate(more);
    else response.once('drain', more);
  };
  more();
}
for (const [rule, answer, code] of NONSENSE) {
  test(`an answer cannot be used when ${rule}`, async (context) => {
    const made = await world(context, answer);
    await assert.rejects(made.recommender.advise(QUESTION), { code });
    assert.deepEqual([made.warnings, made.asked.length], [1, 1]);
  });
}

test('it has two seconds', async (context) => {
  const arrived = Promise.withResolvers<void>();
  const { recommender, clock } = await world(context, () => arrived.resolve());
  const advised = recommender.advise(QUESTION);
  const rejected = assert.rejects(advised, { code: 'timeout', message: 'no answer within 2 s' });
  await arrived.promise;
  await clock.advance(2000);
  await rejected;
});

test('after a failure it is left alone for half a minute, so that no swap of a storm waits for it', async (context) => {
  const made = await world(context, {});
  const { recommender, clock, asked } = made;
  await assert.rejects(recommender.advise(QUESTION), { code: 'invalid_request' });
  made.answer = { [ZONE]: [entry('a', '1')] };
  await clock.advance(29_999);
  await assert.rejects(recommender.advise(QUESTION), { code: 'invalid_request' });
  assert.deepEqual([asked.length, made.warnings], [1, 1]);
  await clock.advance(1);
  assert.equal((await recommender.advise(QUESTION)).size, 1);
  assert.equal(asked.length, 2);
});
