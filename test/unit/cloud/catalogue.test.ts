import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CATALOGUE, catalogueRow, onDemandPrice } from '../../../src/cloud/catalogue.ts';

test('lists every type once', () => {
  assert.equal(new Set(CATALOGUE.map(({ name }) => name)).size, CATALOGUE.length);
  assert.ok(CATALOGUE.length >= 70);
});

test('gives choices of both architectures, burstable, bare metal, with disks and with GPUs', () => {
  const some = (what: (row: (typeof CATALOGUE)[number]) => boolean): boolean => CATALOGUE.some(what);
  assert.ok(some(({ architectures }) => architectures.includes('arm64')));
  assert.ok(some(({ burstable }) => burstable));
  assert.ok(some(({ bareMetal }) => bareMetal));
  assert.ok(some(({ localDiskGb }) => localDiskGb > 0));
  assert.ok(some(({ gpus }) => gpus > 0));
  assert.ok(some(({ ena }) => ena === 'unsupported'));
});

test('a larger size of a family has more of everything and costs more', () => {
  const sizes = ['m6i.large', 'm6i.xlarge', 'm6i.2xlarge', 'm6i.4xlarge', 'm6i.metal'].map(catalogueRow);
  for (const [index, row] of sizes.slice(1).entries()) {
    const smaller = sizes[index];
    assert.ok(row !== null && smaller !== null && smaller !== undefined);
    assert.ok(row.vcpus > smaller.vcpus && row.memoryMib > smaller.memoryMib);
    assert.ok((row.onDemand['us-east-1'] ?? 0) > (smaller.onDemand['us-east-1'] ?? 0));
  }
});

const PRICES: readonly (readonly [type: string, region: string, number | null])[] = [
  ['m5.large', 'us-east-1', 0.096],
  ['m5.large', 'eu-west-1', 0.107],
  ['m7g.xlarge', 'eu-west-1', 0.1819],
  ['m7i.2xlarge', 'eu-west-1', 0.4494],
  ['t4g.large', 'us-east-1', 0.0672],
  ['m5.large', 'mars-north-1', null],
  ['m5.gigantic', 'us-east-1', null],
];

for (const [type, region, price] of PRICES) {
  test(`${type} in ${region} costs ${price ?? 'nobody knows what'}`, () => {
    assert.equal(onDemandPrice(type, region), price);
  });
}

test('every type has a price in us-east-1, and costs the same to a fifth more in eu-west-1', () => {
  for (const { name, onDemand } of CATALOGUE) {
    const usEast1 = onDemand['us-east-1'];
    assert.ok(usEast1 !== null && usEast1 > 0, name);
    const ratio = (onDemand['eu-west-1'] ?? usEast1) / usEast1;
    assert.ok(ratio >= 1 && ratio < 1.2, `${name}: ${ratio}`);
  }
});
