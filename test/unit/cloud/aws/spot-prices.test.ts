import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { quote } from '../../../../src/cloud/aws/spot-prices.ts';

const HOUR = 3_600_000;

test('no price, no quote', () => {
  assert.equal(quote([], 0, HOUR), null);
});

test('a price that never moved has no volatility, however old it is', () => {
  assert.deepEqual(quote([{ at: -100 * HOUR, price: 0.00001 }], 0, 24 * HOUR), {
    price: 0.00001,
    average: 0.00001,
    volatility: 0,
  });
});

test('the last price counts, whatever the order in which prices arrive', () => {
  const points = [
    { at: 2 * HOUR, price: 3 },
    { at: 0, price: 1 },
  ];
  assert.equal(quote(points, 0, 4 * HOUR)?.price, 3);
});

test('a price weighs as long as it held', () => {
  // 1 for three hours and 5 for one: mean 2, variance (3*1 + 1*9) / 4 = 3.
  const points = [
    { at: -HOUR, price: 1 },
    { at: 3 * HOUR, price: 5 },
  ];
  assert.deepEqual(quote(points, 0, 4 * HOUR), { price: 5, average: 2, volatility: Math.sqrt(3) / 2 });
});

test('prices give finite quotes of at least zero, with any times', () => {
  const time = fc.integer({ min: -48 * HOUR, max: 48 * HOUR });
  const point = fc.record({ at: time, price: fc.double({ min: 1e-5, max: 1e3, noNaN: true }) });
  fc.assert(
    fc.property(fc.array(point, { minLength: 1 }), (points) => {
      const result = quote(points, 0, 24 * HOUR);
      assert.ok(result !== null && Number.isFinite(result.volatility) && result.volatility >= 0);
      assert.ok(points.some(({ price }) => price === result.price));
    }),
  );
});
