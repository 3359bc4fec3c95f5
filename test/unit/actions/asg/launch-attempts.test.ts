import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  answered,
  isFleetRefused,
  type LaunchChoice,
  nextAttempt,
  triedText,
} from '../../../../src/actions/asg/launch-attempts.ts';
import { type LaunchParts, requestOf } from '../../../../src/actions/asg/launch-spec.ts';
import type { FleetAttempt, LaunchAttempt, MarketFailure } from '../../../../src/actions/asg/swap-details.ts';
import { type Disposition, Failure, type FailureCode } from '../../../../src/base/failure.ts';
import { type Market, marketName } from '../../../../src/base/market.ts';
import type { LaunchSource } from '../../../../src/cloud/cloud.ts';

const A = spot('m6i.large');
const B = spot('m5a.large');
const C = spot('c6i.large');
const ON_DEMAND: Market = { ...A, purchaseOption: 'on-demand' };
const RUN = { id: 'run_1', group: { account: '123456789012', region: 'eu-west-1', name: 'web' } };

const TEMPLATE: LaunchSource & { readonly kind: 'template' } = {
  ...{ kind: 'template', templateId: 'lt-1', version: '3', asksForSpot: false, networkInterfaces: [] },
  defaults: { instanceType: 'm5.large', imageId: 'ami-1', image: null },
};
const CONFIGURATION: LaunchSource = {
  ...{ kind: 'configuration', name: 'web', configuration: {} },
  defaults: TEMPLATE.defaults,
};

type Parts = LaunchChoice & LaunchParts;

/** A plan, as far as a launch goes by it. */
function plan(rest: Partial<Parts> = {}): Parts {
  return {
    ...{ order: [A, B, C, ON_DEMAND], source: TEMPLATE, launchVia: 'auto' },
    ...{ subnet: 'subnet-a', placementGroup: null, tags: { team: 'web' } },
    old: { instanceId: 'i-1', market: spot('m5.large') },
    ...rest,
  };
}

function spot(type: string, zone = 'eu-west-1a'): Market {
  return { type, zone, purchaseOption: 'spot' };
}

/** What is tried next, in short: one name for a launch, a list for a fleet. */
function next(rest: Partial<Parts>, attempts: readonly LaunchAttempt[] = []): unknown {
  const attempt = nextAttempt(plan(rest), attempts);
  if (attempt === null) return null;
  assert.deepEqual([attempt.state, attempt.failure], ['sent', null]);
  return 'markets' in attempt ? attempt.markets.map(marketName) : marketName(attempt.market);
}

function failure(code: FailureCode): LaunchAttempt['failure'] {
  return { code, message: 'told so' };
}

function market(one: Market, code: FailureCode): LaunchAttempt {
  return { market: one, state: 'failed', failure: failure(code) };
}

function fleet(rest: Partial<FleetAttempt> = {}): LaunchAttempt {
  return { markets: [A, B], state: 'failed', failure: null, failures: [], ...rest };
}

function said(one: Market, code: FailureCode, passes = false): MarketFailure {
  return { market: marketName(one), code, message: 'told so', passes };
}

const NAMES = [A, B, C].map(marketName);
describe('the first attempt', () => {
  const rows: readonly (readonly [rule: string, Partial<Parts>, unknown])[] = [
    ['offers all spot markets together', {}, NAMES],
    [
      'is one launch where there is one spot market, which leaves nothing to choose',
      { order: [A, ON_DEMAND] },
      NAMES[0],
    ],
    [
      'is a fleet of a single market where fleets are asked for',
      { launchVia: 'fleet', order: [A] },
      [NAMES[0]],
    ],
    ['is one launch where fleets are ruled out', { launchVia: 'run-instances' }, NAMES[0]],
    ['is one launch on demand', { order: [ON_DEMAND, A, B], launchVia: 'fleet' }, marketName(ON_DEMAND)],
    ['is one launch from a launch configuration', { source: CONFIGURATION, launchVia: 'fleet' }, NAMES[0]],
    [
      'is one launch from a template that asks for spot itself',
      { source: { ...TEMPLATE, asksForSpot: true }, launchVia: 'fleet' },
      NAMES[0],
    ],
    [
      'offers only markets of one zone together',
      { order: [A, spot('m5a.large', 'eu-west-1b'), C] },
      [marketName(A), marketName(C)],
    ],
    [
      'offers fifteen markets at most, the best ones',
      { order: Array.from({ length: 20 }, (_, index) => spot(`m${index}.large`)) },
      Array.from({ length: 15 }, (_, index) => marketName(spot(`m${index}.large`))),
    ],
    ['is none without a market', { order: [] }, null],
  ];
  for (const [rule, rest, expected] of rows) {
    test(rule, () => assert.deepEqual(next(rest), expected));
  }

  test('of a plan that was written down before there were fleets is one launch', () => {
    const { launchVia: _, ...old } = plan();
    assert.deepEqual(nextAttempt(old, []), { market: A, state: 'sent', failure: null });
  });
});

describe('after a fleet', () => {
  const rows: readonly (readonly [rule: string, LaunchAttempt, unknown])[] = [
    [
      'whose markets were dry, the other markets come',
      fleet({ failures: [said(A, 'market_unavailable')] }),
      NAMES[2],
    ],
    ['that said nothing, its markets count as tried', fleet(), NAMES[2]],
    [
      'over a quota no spot market comes any more',
      fleet({ failures: [said(A, 'quota_exceeded'), said(B, 'market_unavailable')] }),
      marketName(ON_DEMAND),
    ],
    [
      'that was refused as a whole for a quota no spot market comes any more',
      fleet({ failure: failure('quota_exceeded') }),
      marketName(ON_DEMAND),
    ],
    [
      'that was refused as a whole its markets come one by one',
      fleet({ failure: failure('denied') }),
      NAMES[0],
    ],
    [
      'that was throttled in all markets the same fleet comes again',
      fleet({ markets: [A, B, C], failures: [A, B, C].map((one) => said(one, 'throttled', true)) }),
      NAMES,
    ],
    [
      'that was throttled in one market, that one comes again with what is left',
      fleet({ failures: [said(A, 'market_unavailable'), said(B, 'throttled', true)] }),
      [NAMES[1], NAMES[2]],
    ],
  ];
  for (const [rule, attempt, expected] of rows) {
    test(rule, () => assert.deepEqual(next({}, [attempt]), expected));
  }

  test('and everything else nothing is left', () => {
    const attempts = [fleet(), market(C, 'market_unavailable'), market(ON_DEMAND, 'market_unavailable')];
    assert.equal(next({}, attempts), null);
  });

  test('that was refused, and its markets, on-demand comes', () => {
    const attempts = [
      fleet({ markets: [A, B, C], failure: failure('invalid_request') }),
      ...[A, B, C].map((one) => market(one, 'market_unavailable')),
    ];
    assert.equal(next({}, attempts), marketName(ON_DEMAND));
  });

  test('people are told what each market said', () => {
    const attempts = [
      fleet({ failures: [said(A, 'market_unavailable'), said(B, 'throttled', true)] }),
      fleet({ failure: failure('denied') }),
      market(ON_DEMAND, 'quota_exceeded'),
    ];
    assert.equal(
      triedText(attempts),
      `${NAMES[0]}: market_unavailable; ${NAMES[1]}: throttled; fleet: denied; ${marketName(ON_DEMAND)}: quota_exceeded`,
    );
  });
});

describe('what a fleet answered', () => {
  const answer = (
    one: Market,
    code: FailureCode,
    disposition: Disposition,
  ): { market: Market; failure: Failure } => ({
    market: one,
    failure: new Failure(code, disposition, 'told so'),
  });

  test('is written down market by market, with what passes', () => {
    const failures = [answer(A, 'market_unavailable', 'next'), answer(B, 'throttled', 'retry')];
    assert.deepEqual(answered([A, B], { launched: null, failures }), {
      markets: [A, B],
      state: 'failed',
      failure: null,
      failures: [said(A, 'market_unavailable'), said(B, 'throttled', true)],
    });
  });

  test('is a refusal of the whole when every market says that the request is at fault', () => {
    const failures = [answer(A, 'denied', 'reject'), answer(B, 'denied', 'reject')];
    assert.deepEqual(answered([A, B], { launched: null, failures }).failure, failure('denied'));
  });

  test('is no refusal when one market says something else, or nobody says anything', () => {
    const mixed = [answer(A, 'denied', 'reject'), answer(B, 'market_unavailable', 'next')];
    for (const failures of [mixed, []]) {
      assert.equal(answered([A, B], { launched: null, failures }).failure, null);
    }
  });

  test('is no refusal when an instance was launched, whatever the other markets say', () => {
    const launched = { instanceId: 'i-9', market: B };
    const { state, failure: whole } = answered([A, B], {
      launched,
      failures: [answer(A, 'denied', 'reject')],
    });
    assert.deepEqual([state, whole], ['launched', null]);
  });
});

describe('a fleet that fails as a whole', () => {
  const rows: readonly (readonly [FailureCode, Disposition, boolean])[] = [
    ['denied', 'reject', true],
    ['invalid_request', 'reject', true],
    ['market_unavailable', 'next', true],
    ['quota_exceeded', 'next', true],
    ['instance_lost', 'next', true],
    ['ambiguous', 'retry', false],
    ['throttled', 'retry', false],
    ['internal', 'reject', false],
    ['not_found', 'reject', false],
    ['lease_lost', 'reject', false],
  ];
  for (const [code, disposition, refused] of rows) {
    test(`with ${code} ${refused ? 'leaves other ways to launch' : 'leaves none'}`, () => {
      assert.equal(isFleetRefused(new Failure(code, disposition, '')), refused);
    });
  }
});

const SWAP = { run: RUN, attempt: 1 };

describe('the request of an attempt', () => {
  test('is the launch of its market, tagged with run, group and old instance', () => {
    const request = requestOf(SWAP, plan(), [market(A, 'unavailable')]);
    assert.ok('market' in request);
    const { token, tags, ...rest } = request;
    assert.match(token, /^[\w-]{43}$/);
    assert.deepEqual(tags, {
      team: 'web',
      'coppice:run': 'run_1',
      'coppice:group': '123456789012/eu-west-1/web',
      'coppice:replaces': 'i-1',
      'managed-by': 'coppice',
    });
    assert.deepEqual(rest, {
      group: RUN.group,
      source: TEMPLATE,
      market: A,
      subnet: 'subnet-a',
      placementGroup: null,
    });
  });

  test('of a fleet has the markets in place of one market, and is alike otherwise', () => {
    const { markets, ...rest } = requestOf(SWAP, plan(), [fleet()]) as { markets: unknown };
    const { market: one, ...alike } = requestOf(SWAP, plan(), [market(A, 'unavailable')]) as {
      market: unknown;
    };
    assert.deepEqual(rest, alike);
    assert.deepEqual([markets, one], [[A, B], A]);
  });

  test('is the same each time, through JSON as the store keeps it, and however the attempt stands', () => {
    const sent = fleet({ state: 'sent' });
    const first = JSON.stringify(requestOf(SWAP, plan(), [sent]));
    const again = JSON.parse(JSON.stringify([plan(), [sent]])) as [Parts, LaunchAttempt[]];
    assert.equal(JSON.stringify(requestOf(SWAP, ...again)), first);
    assert.equal(JSON.stringify(requestOf(SWAP, plan(), [fleet()])), first);
  });

  test('has a token that no other attempt and no other run has', () => {
    const attempts = [fleet(), market(A, 'unavailable'), market(B, 'unavailable')];
    const tokens = ['run_1', 'run_2'].flatMap((id) =>
      attempts.map(
        (_, index) =>
          requestOf({ run: { ...RUN, id }, attempt: 1 }, plan(), attempts.slice(0, index + 1)).token,
      ),
    );
    assert.equal(new Set(tokens).size, 6);
  });

  test('has another token in each attempt of the swap: the first one would bring back the instance of then', () => {
    const attempts = [market(A, 'unavailable')];
    const tokens = [1, 2, 3, 12].map((attempt) => requestOf({ run: RUN, attempt }, plan(), attempts).token);
    assert.equal(new Set(tokens).size, 4);
    const both = [...attempts, market(B, 'unavailable')];
    assert.ok(!tokens.includes(requestOf(SWAP, plan(), both).token));
  });

  test('leaves out tags that only AWS may write', () => {
    const tags = { 'aws:cloudformation:stack-name': 'web', team: 'web' };
    const request = requestOf(SWAP, plan({ tags }), [market(A, 'unavailable')]);
    assert.deepEqual(
      Object.keys(request.tags).filter((key) => key.startsWith('aws:')),
      [],
    );
  });

  test('cannot be a fleet from a launch configuration, nor anything without an attempt', () => {
    const internal = { code: 'internal' };
    assert.throws(() => requestOf(SWAP, plan({ source: CONFIGURATION }), [fleet()]), internal);
    assert.throws(() => requestOf(SWAP, plan(), []), internal);
  });
});
