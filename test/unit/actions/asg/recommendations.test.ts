import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recommendationsFor } from '../../../../src/actions/asg/recommendations.ts';
import { ManualClock } from '../../../../src/base/manual-clock.ts';
import type { MarketData, MarketOffer } from '../../../../src/cloud/cloud.ts';
import { NOTHING_REMEMBERED } from '../../../../src/engine/memory.ts';
import { dataOf, offer, type, WEB, ZONE } from './fixture.ts';

const ELSEWHERE = 'eu-west-1b';

function answer(
  data: MarketData,
  question = { baseType: 'm5.large', zones: [ZONE] },
  memory = NOTHING_REMEMBERED,
): ReturnType<typeof recommendationsFor> {
  const cloud = { marketData: () => Promise.resolve(data) };
  return recommendationsFor(WEB, question, { cloud, memory, clock: new ManualClock() });
}

async function typesIn(
  zone: string,
  ...asked: Parameters<typeof answer>
): Promise<readonly string[] | undefined> {
  return (await answer(...asked))?.get(zone)?.map((one) => one.offer.type);
}

function typesOf(offers: readonly MarketOffer[]): MarketData {
  return dataOf(
    offers.map((one) => type(one.type, one.type === 'small' ? { vcpus: 1 } : {})),
    offers,
  );
}

test('each zone has what may stand in for the type there, the type itself included, best first', async () => {
  const data = typesOf([
    offer('m5.large'),
    offer('m6i.large', { spotPrice: 0.03 }),
    offer('m5a.large', { zone: ELSEWHERE }),
    offer('small', { spotPrice: 0.01 }),
  ]);
  const question = { baseType: 'm5.large', zones: [ZONE, ELSEWHERE] };
  assert.deepEqual(await typesIn(ZONE, data, question), ['m6i.large', 'm5.large']);
  assert.deepEqual(await typesIn(ELSEWHERE, data, question), ['m5a.large']);
});

test('a zone without candidates is there and empty, which the original answered with null', async () => {
  const data = typesOf([offer('m5.large')]);
  assert.deepEqual(await typesIn(ELSEWHERE, data, { baseType: 'm5.large', zones: [ZONE, ELSEWHERE] }), []);
});

test('a market without a price is left out: no data is no candidate', async () => {
  const data = typesOf([offer('m5.large', { spotPrice: null }), offer('m6i.large')]);
  assert.deepEqual(await typesIn(ZONE, data), ['m6i.large']);
});

test('a market that has no capacity now, or was interrupted, is not recommended as if nothing had happened', async () => {
  const data = typesOf([offer('m5.large'), offer('m6i.large'), offer('m5a.large')]);
  const memory = {
    ...NOTHING_REMEMBERED,
    unavailableUntil: (market: string) => (market.startsWith('m6i') ? 1 : null),
    interruptionWeight: (market: string) => (market.startsWith('m5.') ? 1 : 0),
  };
  assert.deepEqual(await typesIn(ZONE, data, undefined, memory), ['m5a.large', 'm5.large']);
});

test('a type that is not offered in any of the zones is unknown', async () => {
  assert.equal(await answer(typesOf([offer('m5.large')]), { baseType: 'z9.huge', zones: [ZONE] }), null);
});
