import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planSwap } from '../../../../src/actions/asg/plan.ts';
import { type PlanWorld, readAndPlan } from '../../../../src/actions/asg/plan-step.ts';
import type { Advised, Question, Recommender } from '../../../../src/actions/asg/recommender.ts';
import type { PlanInput, SwapPlan } from '../../../../src/actions/asg/swap-plan.ts';
import { Failure } from '../../../../src/base/failure.ts';
import { ManualClock } from '../../../../src/base/manual-clock.ts';
import type { CloudReads, LaunchSource } from '../../../../src/cloud/cloud.ts';
import type { SwapSpec } from '../../../../src/engine/rule.ts';
import { dataOf, offer, type PlanParts, planInput, SPEC, TEMPLATE, type, WEB, ZONE } from './fixture.ts';

type Listed = Readonly<Record<string, Advised>>;

function given(listed: Listed): Pick<PlanInput, 'advice'> {
  return { advice: { kind: 'given', markets: new Map([[ZONE, new Map(Object.entries(listed))]]) } };
}

function shown(parts: PlanParts): SwapPlan['plan'] {
  const planned = planSwap(planInput(parts));
  const plan = planned.kind === 'plan' ? planned.plan.plan : planned.shown;
  assert.ok(plan !== null, planned.kind === 'refused' ? planned.refusal.detail : '');
  return plan;
}

const GOOD: Advised = { cost: 1, stability: 1 };
const BAD: Advised = { cost: 0.1, stability: 0 };

test('without another recommender Coppice ranks by itself, and there is nothing to explain', () => {
  assert.deepEqual(shown({}).ranking, { by: 'coppice', because: null });
});

test('another recommender orders the candidates, and Coppice keeps those that it may not take out', () => {
  const data = dataOf(
    ['m5.large', 'm5a.large', 'm6i.large', 'm7i.large', 'p3.large'].map((name) =>
      type(name, name === 'p3.large' ? { gpus: 1 } : {}),
    ),
    ['m5.large', 'm5a.large', 'm6i.large', 'm7i.large', 'p3.large'].map((name) => offer(name)),
  );
  const listed = { 'p3.large': GOOD, 'm5a.large': BAD, 'm6i.large': GOOD };
  const plan = shown({ rest: { data, ...given(listed) } });
  assert.deepEqual(plan.ranking, { by: 'recommender', because: null });
  assert.deepEqual(
    plan.candidates.map(({ market, rejected }) => `${market.split('/')[0]} ${rejected?.code ?? 'ok'}`),
    ['m6i.large ok', 'm5a.large ok', 'm5.large same_market', 'm7i.large not_recommended'],
  );
  assert.equal(plan.unfit, 1);
});

test('a policy is not got around by a recommender', () => {
  const plan = shown({
    policy: { instanceTypes: { deny: ['m6i.*'] } },
    rest: given({ 'm6i.large': GOOD, 'm5a.large': BAD }),
  });
  assert.equal(plan.chosen, `m5a.large/${ZONE}/spot`);
});

const UNUSABLE: readonly (readonly [rule: string, advice: Pick<PlanInput, 'advice'>, because: RegExp])[] = [
  [
    'does not answer',
    { advice: { kind: 'missing', because: 'no answer within 2 s' } },
    /no answer within 2 s/,
  ],
  [
    'lists only what may not be taken',
    given({ 'z9.large': GOOD }),
    /none of the types that the recommender lists/,
  ],
];
for (const [rule, advice, because] of UNUSABLE) {
  test(`a recommender that ${rule} stops no swap: Coppice ranks by itself, and the plan says why`, () => {
    const plan = shown({ rest: advice });
    assert.equal(plan.ranking.by, 'coppice');
    assert.match(plan.ranking.because ?? '', because);
    assert.equal(plan.chosen, shown({}).chosen);
  });
}

test('on-demand is bought without asking anybody', () => {
  const plan = shown({ spec: { to: 'on-demand' }, rest: given({ 'z9.large': GOOD }) });
  assert.deepEqual(plan.ranking, { by: 'coppice', because: null });
});

/** The old instance costs 0.04; whether m6i.large at that price may come. */
const SAVING: readonly (readonly [rule: string, spec: Partial<SwapSpec>, price: number, fits: boolean])[] = [
  ['must save as much as was asked for', { minSaving: 0.15 }, 0.0341, false],
  ['may come when it does', { minSaving: 0.15 }, 0.034, true],
  ['may cost as much where only no loss was asked for', { minSaving: 0 }, 0.04, true],
  ['may be dearer when nothing was asked for', {}, 0.05, true],
  ['may be dearer when the old instance is going away anyway', { minSaving: 0.15, urgent: true }, 0.05, true],
];
for (const [rule, spec, price, fits] of SAVING) {
  test(`pitfalls 35 and 37: a replacement ${rule}`, () => {
    const data = dataOf(
      [type('m5.large'), type('m6i.large')],
      [offer('m5.large'), offer('m6i.large', { spotPrice: price, spotAverage: price })],
    );
    const planned = planSwap(planInput({ spec, rest: { data } }));
    assert.equal(planned.kind === 'plan', fits);
    if (planned.kind === 'refused') assert.match(planned.refusal.detail, /1 too_little_saved/);
  });
}

test('pitfall 35: a spike of the old instance`s price is no reason to leave, when its day was cheap', () => {
  const dataAt = (spotAverage: number): PlanInput['data'] =>
    dataOf(
      [type('m5.large'), type('m6i.large')],
      [offer('m5.large', { spotPrice: 0.1, spotAverage }), offer('m6i.large')],
    );
  const planned = (spotAverage: number): string =>
    planSwap(planInput({ spec: { minSaving: 0.15 }, rest: { data: dataAt(spotAverage) } })).kind;
  assert.deepEqual([planned(0.045), planned(0.09)], ['refused', 'plan']);
});

test('a saving is not sought where the floor asks for on-demand, nor found in falling back to it', () => {
  const onDemand = { to: 'on-demand', minSaving: 0.15 } as const;
  assert.notEqual(shown({ spec: onDemand }).chosen, null);
  const dear = dataOf([type('m5.large'), type('m6i.large')], [offer('m5.large'), offer('m6i.large')]);
  const fallback = { minSaving: 0.15, fallbackToOnDemand: true };
  assert.equal(shown({ spec: fallback, rest: { data: dear } }).chosen, null);
});

test('network interfaces of the template count', () => {
  const source: LaunchSource = {
    ...TEMPLATE,
    ...{ kind: 'template', networkInterfaces: [{}, {}, {}] },
  } as LaunchSource;
  const data = dataOf(
    [
      type('m5.large'),
      type('m5a.large', { networkInterfaces: 2 }),
      type('m6i.large', { networkInterfaces: 3 }),
    ],
    ['m5.large', 'm5a.large', 'm6i.large'].map((name) => offer(name)),
  );
  const plan = shown({ rest: { data, source } });
  assert.deepEqual([plan.chosen, plan.unfit], [`m6i.large/${ZONE}/spot`, 1]);
});

test('the markets of the plan count what happened in them', () => {
  const memory = {
    ...planInput().memory,
    interruptionWeight: (market: string) => (market.startsWith('m5a') ? 3 : 0),
    shortage: (market: string) => (market.startsWith('m6i') ? 1 : 0),
  };
  const stability = shown({ rest: { memory } }).candidates.map(
    ({ market, scores }) => `${market.split('/')[0]} ${scores?.stability.toFixed(3)}`,
  );
  // Volatility 0.1 leaves 0.9 of each; a shortage takes a quarter, three interruptions leave a quarter.
  assert.deepEqual(stability, ['m6i.large 0.675', 'm5a.large 0.225', 'm5.large 0.900']);
});

/** Plans with that recommender on a cloud that answers from the fixture; tells what cloud and recommender were asked. */
async function plannedWith(
  advise: Recommender['advise'],
  { spec = {}, platform = 'Linux/UNIX' }: { spec?: Partial<SwapSpec>; platform?: string } = {},
): Promise<{ plan: SwapPlan['plan'] | null; asked: Question[]; platforms: (string | undefined)[] }> {
  const input = planInput();
  const asked: Question[] = [];
  const platforms: (string | undefined)[] = [];
  const image = TEMPLATE.defaults.image;
  assert.ok(image !== null);
  const reads = {
    groupInDetail: () => Promise.resolve(input.group),
    instances: () => Promise.resolve([...input.machines.values()]),
    launchSource: () =>
      Promise.resolve({ ...TEMPLATE, defaults: { ...TEMPLATE.defaults, image: { ...image, platform } } }),
    marketData: (_where: unknown, _zones: unknown, of?: string) => {
      platforms.push(of);
      return Promise.resolve(input.data);
    },
  } as unknown as CloudReads;
  const world: PlanWorld = {
    ...{ policy: () => input.policy, memory: input.memory, ownInstance: null, launchVia: 'auto' },
    clock: new ManualClock(input.now),
    knownRun: () => Promise.resolve(null),
    recommender: {
      advise: (question) => {
        asked.push(question);
        return advise(question);
      },
    },
  };
  const task = { group: WEB, instanceId: 'i-1', spec: { ...SPEC, ...spec } };
  const planned = await readAndPlan(reads, task, world);
  return { plan: planned.kind === 'plan' ? planned.plan.plan : planned.shown, asked, platforms };
}

test('the recommender is asked for the type of the group in the zone of the old instance', async () => {
  const { plan, asked } = await plannedWith(async () => new Map([[ZONE, new Map([['m5a.large', GOOD]])]]));
  assert.deepEqual(asked, [{ region: 'eu-west-1', baseType: 'm5.large', zones: [ZONE] }]);
  assert.equal(plan?.ranking.by, 'recommender');
});

test('a recommender that fails stops no swap', async () => {
  const { plan } = await plannedWith(() => Promise.reject(new Failure('timeout', 'retry', 'no answer')));
  assert.deepEqual(plan?.ranking, { by: 'coppice', because: 'the recommender was asked: no answer' });
});

test('nobody is asked about a swap to on-demand', async () => {
  const { asked } = await plannedWith(async () => new Map(), { spec: { to: 'on-demand' } });
  assert.deepEqual(asked, []);
});

test('pitfall 29: prices are read for the platform of the image', async () => {
  const { platforms } = await plannedWith(async () => new Map(), { platform: 'Windows' });
  assert.deepEqual(platforms, ['Windows']);
});
