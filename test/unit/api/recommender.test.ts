import assert from 'node:assert/strict';
import test from 'node:test';
import type { Recommendation, Recommendations } from '../../../src/actions/asg/recommendations.ts';
import { Failure } from '../../../src/base/failure.ts';
import type { MarketOffer } from '../../../src/cloud/cloud.ts';
import { answerErrors } from '../../../src/ingest/http-answers.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import { offer } from '../actions/asg/fixture.ts';
import { ask, fleetOf, groupOf, serve, type World } from './fakes.ts';

const URL = '/api/v1/recommender/eu-west-1';

function recommendation(sold: Partial<MarketOffer> = {}): Recommendation {
  return {
    offer: offer('m5.xlarge', { spotPrice: 0.0751, onDemandPrice: 0.214, spotAverage: 0.0755, ...sold }),
    scores: { cost: 0.780754, stability: 1, diversity: 0, total: 0.5 },
  };
}

type Asked = Parameters<World['recommendations']>;

/** A server whose recommender answers that, and the questions that reached it. */
function recommending(answer: Recommendations | null): {
  server: ReturnType<typeof serve>['server'];
  asked: Asked[];
} {
  const asked: Asked[] = [];
  const { server } = serve({
    recommendations: (...question) => {
      asked.push(question);
      return Promise.resolve(answer);
    },
  });
  return { server, asked };
}

test('it answers as Hollowtrees` recommender did: a list a zone, with texts for all values', async () => {
  const { server, asked } = recommending(
    new Map([
      ['eu-west-1a', [recommendation()]],
      ['eu-west-1b', []],
    ]),
  );
  const url = `${URL}?baseInstanceType=m4.large&availabilityZones=eu-west-1a,eu-west-1b`;
  assert.deepEqual(await ask(server, url), {
    status: 200,
    json: {
      'eu-west-1a': [
        {
          InstanceTypeName: 'm5.xlarge',
          CurrentPrice: '0.075100',
          AvgPriceFor24Hours: '0.075500',
          OnDemandPrice: '0.2140000000',
          SuggestedBidPrice: '0.2140000000',
          CostScore: '0.780754',
          StabilityScore: '1.000000',
        },
      ],
      'eu-west-1b': [],
    },
  });
  assert.deepEqual(asked[0]?.[1], { baseType: 'm4.large', zones: ['eu-west-1a', 'eu-west-1b'] });
  assert.equal(asked[0][0].region, 'eu-west-1');
});

test('what is not known is 0.0, never NaN and never null', async () => {
  const unknown = { spotAverage: null, onDemandPrice: null };
  const { server } = recommending(new Map([['eu-west-1a', [recommendation(unknown)]]]));
  const { json } = await ask(server, URL);
  const [first] = json['eu-west-1a'] as Record<string, string>[];
  assert.deepEqual(
    [first?.['AvgPriceFor24Hours'], first?.['OnDemandPrice'], first?.['SuggestedBidPrice']],
    ['0.0', '0.0', '0.0'],
  );
});

test('without parameters it asks for m4.xlarge, as the original, where the groups of the region have instances', async () => {
  const { server, asked } = recommending(new Map());
  await ask(server, URL);
  assert.deepEqual(asked[0]?.[1], { baseType: 'm4.xlarge', zones: ['eu-west-1a'] });
});

test('a zone that is named twice counts once', async () => {
  const { server, asked } = recommending(new Map());
  await ask(server, `${URL}?availabilityZones=eu-west-1b,%20eu-west-1b`);
  assert.deepEqual(asked[0]?.[1].zones, ['eu-west-1b']);
});

const REFUSED: readonly (readonly [rule: string, url: string, status: number, message: RegExp])[] = [
  ['a region without groups', '/api/v1/recommender/mars-1', 404, /no group of mars-1 is looked after/],
  [
    'a zone of another region',
    `${URL}?availabilityZones=eu-west-1a,us-east-1a`,
    400,
    /us-east-1a is no zone of eu-west-1/,
  ],
  ['a zone that is none', `${URL}?availabilityZones=eu-west-1aa`, 400, /is no zone of eu-west-1/],
  [
    'a type that is not offered',
    `${URL}?baseInstanceType=z9.huge`,
    404,
    /z9\.huge is not offered in eu-west-1a/,
  ],
];
for (const [rule, url, status, message] of REFUSED) {
  test(`${rule} is an error in the words of the original, and in those of this API`, async () => {
    const { server } = recommending(null);
    const answer = await ask(server, url);
    assert.equal(answer.status, status);
    assert.equal(answer.json['status'], status);
    assert.match(String(answer.json['message']), message);
    assert.equal(answer.json['detail'], answer.json['message']);
    assert.equal(answer.json['error'], status === 404 ? 'not_found' : 'invalid_request');
  });
}

for (const query of [
  'availabilityZones=',
  'availabilityZones=a,,b',
  'availabilityZone=a',
  `availabilityZones=${'a,'.repeat(10)}a`,
]) {
  test(`${query} is refused, and nobody is asked`, async () => {
    const { server, asked } = recommending(new Map());
    assert.equal((await ask(server, `${URL}?${query}`)).status, 400);
    assert.deepEqual(asked, []);
  });
}

for (const [rule, used, status] of [
  ['a local zone counts where groups have instances', 'us-west-2-lax-1a', 200],
  ['elsewhere it does not: there would be no end of names to ask AWS for', 'us-west-2a', 400],
] as const) {
  test(rule, async () => {
    const group = groupOf('web', 'us-west-2');
    const { server } = serve({
      fleet: fleetOf({ ...group, instances: group.instances.map((one) => ({ ...one, zone: used })) }),
      recommendations: () => Promise.resolve(new Map()),
    });
    const answer = await ask(server, '/api/v1/recommender/us-west-2?availabilityZones=us-west-2-lax-1a');
    assert.equal(answer.status, status);
  });
}

test('where the groups of a region have no instances, the zones must be named', async () => {
  const { server } = serve({ fleet: fleetOf({ ...groupOf('web'), instances: [] }) });
  const { status, json } = await ask(server, URL);
  assert.deepEqual([status, json['message']], [400, 'no group of eu-west-1 has instances; name the zones']);
});

for (const [rule, query, failure, status] of [
  ['a parameter that is wrong', '?availabilityZones=', null, 400],
  ['a question that AWS refuses', '', new Failure('invalid_request', 'reject', 'no such zone'), 400],
  ['prices that cannot be read', '', new Failure('unavailable', 'retry', 'no answer'), 503],
] as const) {
  test(`${rule} is an error in the words of the original, too`, async () => {
    const { server } = serve({ recommendations: () => Promise.reject(failure) });
    answerErrors(server, silentLog, () => undefined);
    const { json, status: told } = await ask(server, `${URL}${query}`);
    assert.deepEqual([told, json['status']], [status, status]);
    assert.equal(json['message'], json['detail']);
    assert.equal(typeof json['message'], 'string');
  });
}

test('until the groups have been read the answer is 503', async () => {
  const { server } = serve({ fleet: null });
  const { status, json } = await ask(server, URL);
  assert.deepEqual([status, json['status'], json['message']], [503, 503, json['detail']]);
});
