import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RecommendInput, recommend } from '../../../../src/actions/asg/recommend.ts';
import type { Advised } from '../../../../src/actions/asg/recommender.ts';
import { given } from '../../../../src/base/given.ts';
import { marketName } from '../../../../src/base/market.ts';
import type { InstanceType, MarketOffer } from '../../../../src/cloud/cloud.ts';
import type { InstanceTypeLimits, PolicySpec } from '../../../../src/engine/policy.ts';
import { dataOf, limits, offer, spot, TEMPLATE, type, ZONE } from './fixture.ts';

const ORIGINAL = type('m5.large');

/** The old instance is an m5.large; the candidate to judge is `x.large`. */
function input(rest: Partial<RecommendInput> = {}): RecommendInput {
  return {
    ...{ zones: [ZONE], to: 'spot', original: ORIGINAL, image: TEMPLATE.defaults.image },
    ...{
      leaving: spot('m5.large'),
      policy: limits(),
      mixedTypes: null,
      counts: new Map(),
      cap: null,
      size: 4,
    },
    data: dataOf([ORIGINAL, type('x.large')], [offer('m5.large'), offer('x.large')]),
    ...{ interfaces: 0, saving: null, spreads: false, advice: null },
    ...{ unavailableUntil: () => null, interruptionWeight: () => 0, shortage: () => 0 },
    ...rest,
  };
}

/** The input for a candidate with that difference. */
function withX(
  x: Partial<InstanceType>,
  rest: Partial<RecommendInput> = {},
  sold: Partial<MarketOffer> = {},
): RecommendInput {
  const data = dataOf(
    [rest.original ?? ORIGINAL, type('x.large', x)],
    [offer('m5.large'), offer('x.large', sold)],
  );
  return input({ data, ...rest });
}

const types = (instanceTypes: InstanceTypeLimits): Partial<RecommendInput> => ({
  policy: limits({ instanceTypes }),
});
const image = (rest: object): Partial<RecommendInput> => {
  const facts = TEMPLATE.defaults.image;
  return { image: facts === null ? null : { ...facts, ...rest } };
};

/** Advice of another recommender, by type. */
const advised = (scores: Readonly<Record<string, Advised>>): Pick<RecommendInput, 'advice'> => ({
  advice: new Map([[ZONE, new Map(Object.entries(scores))]]),
});

/** Why the candidate is out, or `ok`. */
function verdict(of: RecommendInput): string {
  const candidate = recommend(of).find(({ market }) => market.type === 'x.large');
  return candidate === undefined ? 'not looked at' : (candidate.rejected?.code ?? 'ok');
}

const ROWS: readonly (readonly [rule: string, expected: string, input: RecommendInput])[] = [
  ['a type like the group`s own fits', 'ok', withX({})],
  ['another architecture does not fit', 'incompatible', withX({ architectures: ['arm64'] })],
  ['one architecture of several is enough', 'ok', withX({ architectures: ['i386', 'x86_64'] })],
  [
    'the architecture of the image counts, not the one of the type',
    'incompatible',
    withX({}, image({ architecture: 'arm64' })),
  ],
  ['without a known image the own type tells the architecture', 'ok', withX({}, { image: null })],
  [
    'a policy may allow fewer architectures than the type has',
    'incompatible',
    withX({}, types({ architectures: ['arm64'] })),
  ],
  [
    'a type of the previous generation, where only the current one is allowed',
    'policy_type',
    withX({ currentGeneration: false }, types({ generations: ['current'] })),
  ],
  ['a type of the current generation there', 'ok', withX({}, types({ generations: ['current'] }))],
  [
    'a type of the current generation, where only previous ones are allowed',
    'policy_type',
    withX({}, types({ generations: ['previous'] })),
  ],
  [
    'generations that contradict each other allow nothing',
    'policy_type',
    withX({}, { policy: { ...limits(), instanceTypes: { ...limits().instanceTypes, generations: [] } } }),
  ],
  ['a virtualization that the image cannot do', 'incompatible', withX({ virtualization: ['paravirtual'] })],
  [
    'an unknown virtualization of the image excludes nothing',
    'ok',
    withX({ virtualization: ['paravirtual'] }, image({ virtualization: null })),
  ],
  ['ENA required, and the image has none', 'incompatible', withX({ ena: 'required' }, image({ ena: false }))],
  ['ENA required, and nobody knows about the image', 'ok', withX({ ena: 'required' }, image({ ena: null }))],
  ['GPUs where the own type has none', 'incompatible', withX({ gpus: 1 })],
  [
    'fewer GPUs than the own type',
    'incompatible',
    withX({ gpus: 1 }, { original: type('m5.large', { gpus: 2 }) }),
  ],
  [
    'less local disk than the own type',
    'incompatible',
    withX({ localDiskGb: 50 }, { original: type('m5.large', { localDiskGb: 75 }) }),
  ],
  ['more local disk than needed', 'ok', withX({ localDiskGb: 75 })],
  ['bare metal for a virtual machine', 'incompatible', withX({ bareMetal: true })],
  ['fewer vCPUs than the own type', 'size', withX({ vcpus: 1 })],
  ['twice the vCPUs', 'ok', withX({ vcpus: 4 })],
  ['more than twice the vCPUs', 'size', withX({ vcpus: 5 })],
  ['less memory', 'size', withX({ memoryMib: 8191 })],
  ['twice the memory', 'ok', withX({ memoryMib: 16_384 })],
  ['more than twice the memory', 'size', withX({ memoryMib: 16_385 })],
  ['a policy may widen the range', 'ok', withX({ vcpus: 16 }, types({ vcpus: { from: 1, to: 8 } }))],
  [
    'an empty range, of two policies that contradict each other, fits nothing',
    'size',
    withX({}, types({ vcpus: { from: 2, to: 1 } })),
  ],
  ['a burstable type for one that is not', 'burstable', withX({ burstable: true })],
  ['a burstable type where a policy allows it', 'ok', withX({ burstable: true }, types({ burstable: true }))],
  ['a denied type', 'policy_type', withX({}, types({ deny: ['x.*'] }))],
  ['a type that is not on the list', 'policy_type', withX({}, types({ allow: ['m*'] }))],
  ['a type on the list', 'ok', withX({}, types({ allow: ['m*', 'x.*'] }))],
  ['a type that is denied and allowed', 'policy_type', withX({}, types({ allow: ['x.*'], deny: ['x.*'] }))],
  ['a type that the mixed instances policy lacks', 'mixed_policy', withX({}, { mixedTypes: ['m5.large'] })],
  [
    'another model of GPU',
    'incompatible',
    withX(
      { gpus: 1, gpuModels: ['NVIDIA A10G'] },
      { original: type('m5.large', { gpus: 1, gpuModels: ['NVIDIA T4'] }) },
    ),
  ],
  [
    'a GPU of which AWS does not tell the model',
    'ok',
    withX({ gpus: 1 }, { original: type('m5.large', { gpus: 1, gpuModels: ['NVIDIA T4'] }) }),
  ],
  [
    'a boot mode that the type does not have',
    'incompatible',
    withX({ bootModes: ['legacy-bios'] }, image({ bootMode: 'uefi' })),
  ],
  [
    'an image that boots either way',
    'ok',
    withX({ bootModes: ['legacy-bios'] }, image({ bootMode: 'uefi-preferred' })),
  ],
  ['boot modes that AWS does not tell', 'ok', withX({}, image({ bootMode: 'uefi' }))],
  [
    'more network interfaces than it may have',
    'incompatible',
    withX({ networkInterfaces: 2 }, { interfaces: 3 }),
  ],
  ['as many network interfaces as it may have', 'ok', withX({ networkInterfaces: 3 }, { interfaces: 3 })],
  [
    'a burstable type for one that is burstable itself',
    'ok',
    withX({ burstable: true }, { original: type('m5.large', { burstable: true }) }),
  ],
  ['a type that the other recommender does not list', 'not_recommended', withX({}, advised({}))],
  ['an on-demand market, on which nobody is asked', 'ok', withX({}, { to: 'on-demand', ...advised({}) })],
  [
    'pitfall 37: a price that does not save enough',
    'too_little_saved',
    withX({}, { saving: { share: 0.15, from: 0.0471 } }, { spotPrice: 0.0401, spotAverage: null }),
  ],
  [
    'a price that saves enough',
    'ok',
    withX({}, { saving: { share: 0.15, from: 0.0471 } }, { spotPrice: 0.04, spotAverage: null }),
  ],
  [
    'pitfall 35: a price that saves enough now, but did not over the day',
    'too_little_saved',
    withX({}, { saving: { share: 0.15, from: 0.0471 } }, { spotPrice: 0.03, spotAverage: 0.0401 }),
  ],
  [
    'law 6: nothing is known to save anything where it is unknown what the old instance costs',
    'too_little_saved',
    withX({}, { saving: { share: 0, from: null } }),
  ],
  [
    'law 6: a market without a price saves nothing',
    'too_little_saved',
    withX({}, { to: 'on-demand', saving: { share: 0, from: 1 } }, { onDemandPrice: null }),
  ],
  [
    'a market that would hold as much of the group as the one that is left did, in a swap that is to spread it',
    'not_spread',
    withX(
      {},
      {
        spreads: true,
        counts: new Map([
          [marketName(spot('x.large')), 2],
          [marketName(spot('m5.large')), 2],
        ]),
      },
    ),
  ],
  [
    'a market that holds two fewer than the one that is left',
    'ok',
    withX(
      {},
      {
        spreads: true,
        counts: new Map([
          [marketName(spot('x.large')), 1],
          [marketName(spot('m5.large')), 2],
        ]),
      },
    ),
  ],
  [
    'a market as full as any, in a swap that is not made to spread',
    'ok',
    withX({}, { counts: new Map([[marketName(spot('x.large')), 5]]) }),
  ],
  ['a type of the mixed instances policy', 'ok', withX({}, { mixedTypes: ['m5.large', 'x.large'] })],
  ['the market that the old instance leaves', 'same_market', withX({}, { leaving: spot('x.large') })],
  [
    'the same type bought otherwise is another market',
    'ok',
    withX({}, { leaving: { ...spot('x.large'), purchaseOption: 'on-demand' } }),
  ],
  ['a type that is not sold on the spot market', 'not_sold', withX({ usageClasses: ['on-demand'] })],
  ['a spot market without a price', 'no_price', withX({}, {}, { spotPrice: null })],
  [
    'an on-demand market without a price, as long as no limit needs it',
    'ok',
    withX({}, { to: 'on-demand' }, { onDemandPrice: null }),
  ],
  [
    'law 6: a limit on the price cannot be kept where a price is unknown',
    'no_price',
    withX({}, { to: 'on-demand', ...types({ maxPriceRatio: 1 }) }, { onDemandPrice: null }),
  ],
  ['a price at the limit', 'ok', withX({}, types({ maxPriceRatio: 0.4 }))],
  ['a price above the limit', 'too_expensive', withX({}, types({ maxPriceRatio: 0.39 }))],
  [
    'law 6: a limit refers to the own type`s on-demand price; without that nothing passes',
    'no_price',
    input({
      ...types({ maxPriceRatio: 1 }),
      data: dataOf(
        [ORIGINAL, type('x.large')],
        [offer('m5.large', { onDemandPrice: null }), offer('x.large')],
      ),
    }),
  ],
  [
    'pitfall 34: a market that would pass its share',
    'market_share',
    withX({}, { cap: 1, counts: new Map([[marketName(spot('x.large')), 1]]) }),
  ],
  [
    'a market that just reaches its share',
    'ok',
    withX({}, { cap: 2, counts: new Map([[marketName(spot('x.large')), 1]]) }),
  ],
  [
    'the share of a type is counted for each purchase option apart',
    'ok',
    withX({}, { cap: 1, counts: new Map([['x.large/eu-west-1a/on-demand', 1]]) }),
  ],
  ['a market that had no capacity a moment ago', 'unavailable', withX({}, { unavailableUntil: () => 1 })],
  ['another zone is not looked at', 'not looked at', withX({}, {}, { zone: 'eu-west-1b' })],
  [
    'a type of which nothing is known is not looked at',
    'not looked at',
    input({ data: dataOf([ORIGINAL], [offer('x.large')]) }),
  ],
];

for (const [rule, expected, of] of ROWS) {
  test(`${expected}: ${rule}`, () => assert.equal(verdict(of), expected));
}

test('sizes never ratchet up: they are compared with the group`s own type, not with the instance that leaves', () => {
  const of = withX({ vcpus: 8, memoryMib: 32_768 }, { leaving: spot('m5.xlarge') });
  assert.equal(verdict(of), 'size');
});

/** Candidates `a`, `b`, … in that order, as far as they passed. */
function ranked(offers: readonly MarketOffer[], rest: Partial<RecommendInput> = {}): readonly string[] {
  const all = offers.map((one) => type(one.type));
  const data = dataOf([ORIGINAL, ...all], [...offers]);
  return recommend(input({ data, ...rest }))
    .filter(({ rejected }) => rejected === null)
    .map(({ market }) => market.type);
}

test('everything else the same, the cheaper market comes first', () => {
  const offers = [
    offer('b', { spotPrice: 0.05 }),
    offer('c', { spotPrice: 0.06 }),
    offer('a', { spotPrice: 0.04 }),
  ];
  assert.deepEqual(ranked(offers), ['a', 'b', 'c']);
});

test('everything else the same, the calmer market comes first, and an unknown history is neither', () => {
  const offers = [
    offer('c', { spotVolatility: 0.5 }),
    offer('b', { spotVolatility: null }),
    offer('a', { spotVolatility: 0 }),
  ];
  assert.deepEqual(ranked(offers), ['a', 'b', 'c']);
});

test('everything else the same, the market with fewer interruptions comes first', () => {
  const interruptionWeight = (market: string): number => (market.startsWith('a') ? 0.1 : 0);
  assert.deepEqual(ranked([offer('a'), offer('b')], { interruptionWeight }), ['b', 'a']);
});

test('everything else the same, the market that AWS says is interrupted less comes first', () => {
  const offers = [
    offer('d', { interruptionBand: 4 }),
    offer('c', { interruptionBand: 3 }),
    offer('b', { interruptionBand: null }),
    offer('a', { interruptionBand: 1 }),
  ];
  assert.deepEqual(ranked(offers), ['a', 'b', 'c', 'd']);
});

test('where the feed tells of no type, none of them is worse for it', () => {
  const [first] = recommend(withX({}, {}, { spotVolatility: 0, interruptionBand: null }));
  assert.equal(first?.scores?.stability, 1);
});

test('everything else the same, a market that was short of capacity a while ago comes last', () => {
  const shortage = (market: string): number => (market.startsWith('a') ? 0.01 : 0);
  assert.deepEqual(ranked([offer('a'), offer('b')], { shortage }), ['b', 'a']);
});

test('a shortage that is over counts less than one interruption, and never more than a quarter', () => {
  const short = recommend(withX({}, { shortage: () => 1 }, { spotVolatility: 0 }));
  const lost = recommend(withX({}, { interruptionWeight: () => 1 }, { spotVolatility: 0 }));
  assert.deepEqual([short[0]?.scores?.stability, lost[0]?.scores?.stability], [0.75, 0.5]);
});

test('the weights of the policy decide what counts', () => {
  const offers = [
    offer('cheap', { spotPrice: 0.03, spotVolatility: 0.5 }),
    offer('calm', { spotPrice: 0.04, spotVolatility: 0 }),
  ];
  const only = (weights: PolicySpec['weights']): readonly string[] =>
    ranked(offers, { policy: limits(given({ weights })) });
  assert.deepEqual(only({ cost: 1, stability: 0, diversity: 0 }), ['cheap', 'calm']);
  assert.deepEqual(only({ cost: 0, stability: 7, diversity: 0 }), ['calm', 'cheap']);
});

test('the scores of another recommender take the place of cost and stability; diversity stays', () => {
  const offers = [offer('a', { spotPrice: 0.01 }), offer('b', { spotPrice: 0.04 })];
  const data = dataOf([ORIGINAL, type('a'), type('b')], offers);
  const advice = advised({ a: { cost: 0.2, stability: 0 }, b: { cost: 0.9, stability: 0.5 } });
  const candidates = recommend(input({ data, ...advice }));
  assert.deepEqual(
    candidates.map(({ market, scores }) => [market.type, scores?.cost, scores?.stability, scores?.diversity]),
    [
      ['b', 0.9, 0.5, 0.75],
      ['a', 0.2, 0, 0.75],
    ],
  );
});

test('pitfall 35: the market that is left is shown with the scores that it has, right behind the candidates', () => {
  const offers = [offer('z', { spotPrice: null }), offer('m5.large', { spotPrice: 0.03 }), offer('x.large')];
  const data = dataOf([ORIGINAL, type('x.large'), type('z')], offers);
  const counts = new Map([['m5.large/eu-west-1a/spot', 2]]);
  const table = recommend(input({ data, counts }));
  assert.deepEqual(
    table.map(({ market, rejected }) => [market.type, rejected?.code ?? null]),
    [
      ['x.large', null],
      ['m5.large', 'same_market'],
      ['z', 'no_price'],
    ],
  );
  // Two others stay there, so the old instance is the third of four.
  assert.deepEqual([table[1]?.scores?.cost, table[1]?.scores?.diversity], [1, 0.25]);
});

test('the market that is left is not compared by scores of another kind', () => {
  const table = recommend(input(advised({ 'x.large': { cost: 1, stability: 1 } })));
  assert.deepEqual(
    table.map(({ scores }) => scores === null),
    [false, true],
  );
});

test('everything else the same, the market that holds less of the group comes first', () => {
  const counts = new Map([['a/eu-west-1a/spot', 2]]);
  assert.deepEqual(ranked([offer('a'), offer('b')], { counts }), ['b', 'a']);
});

test('the cheapest market does not win against crowding and unrest (pitfall 34)', () => {
  const counts = new Map([['a/eu-west-1a/spot', 3]]);
  const offers = [
    offer('a', { spotPrice: 0.04, spotVolatility: 0.5 }),
    offer('b', { spotPrice: 0.05, spotVolatility: 0 }),
  ];
  assert.deepEqual(ranked([...offers, offer('c', { spotPrice: 0.1 })], { counts }), ['b', 'a', 'c']);
});

test('ties are broken by the price and then by the name, so that the order is always the same', () => {
  assert.deepEqual(ranked([offer('c'), offer('a'), offer('b')]), ['a', 'b', 'c']);
  assert.deepEqual(ranked([offer('b'), offer('c'), offer('a')]), ['a', 'b', 'c']);
});

test('pitfall 36: when all prices are equal every market scores 1 for its cost, and nothing is not a number', () => {
  const candidates = recommend(
    input({ data: dataOf([ORIGINAL, type('a'), type('b')], [offer('a'), offer('b')]) }),
  );
  assert.deepEqual(
    candidates.map(({ scores }) => scores?.cost),
    [1, 1],
  );
});

test('a single market scores 1 for its cost; one without a price scores 0', () => {
  assert.equal(recommend(withX({}))[0]?.scores?.cost, 1);
  const unknown = recommend(withX({}, { to: 'on-demand', mixedTypes: ['x.large'] }, { onDemandPrice: null }));
  assert.equal(unknown[0]?.scores?.cost, 0);
});

test('prices of markets that are out do not move the scores of the others', () => {
  const offers = [
    offer('a', { spotPrice: 0.04 }),
    offer('b', { spotPrice: 0.08 }),
    offer('z', { spotPrice: 9 }),
  ];
  const data = dataOf([ORIGINAL, type('a'), type('b'), type('z')], offers);
  const candidates = recommend(input({ data, policy: limits({ instanceTypes: { deny: ['z'] } }) }));
  assert.deepEqual(
    candidates.map(({ scores }) => scores?.cost ?? null),
    [1, 0, null],
  );
});

test('an on-demand market is as stable as can be', () => {
  const [first] = recommend(
    withX({}, { to: 'on-demand', mixedTypes: ['x.large'], interruptionWeight: () => 9 }),
  );
  assert.equal(first?.scores?.stability, 1);
});

test('every market that was looked at is there: the candidates first, then the others with their reasons', () => {
  const candidates = recommend(input());
  assert.deepEqual(
    candidates.map(({ market, rejected }) => [market.type, rejected?.code ?? null]),
    [
      ['x.large', null],
      ['m5.large', 'same_market'],
    ],
  );
});

test('without any data there is no candidate and no error', () => {
  assert.deepEqual(recommend(input({ data: dataOf([], []) })), []);
});

test('minMarkets: a swap must open another market while there are too few, and may not close one too many', () => {
  const policy = limits({ diversity: { minMarkets: 3 } });
  const three = new Map([
    ['a/eu-west-1a/spot', 2],
    ['m5.large/eu-west-1a/spot', 0],
    ['b/eu-west-1a/spot', 1],
  ]);
  assert.deepEqual(ranked([offer('a'), offer('c')], { policy, counts: three }), ['c']);
  const four = new Map([...three, ['m5.large/eu-west-1a/spot', 1] as const]);
  assert.deepEqual(ranked([offer('a'), offer('c')], { policy, counts: four }), ['c', 'a']);
});
