import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { before, type TestContext, test } from 'node:test';

import { ManualClock } from '../../../../src/base/manual-clock.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { createAwsCloud } from '../../../../src/cloud/aws/aws-cloud.ts';
import { platformOf, spotProduct } from '../../../../src/cloud/aws/spot-product.ts';
import type { Cloud, MarketOffer } from '../../../../src/cloud/cloud.ts';
import { silentLog } from '../../../../src/telemetry/log.ts';
import { createMetrics } from '../../../../src/telemetry/metrics.ts';
import { ec2Error, type FakeAnswer, startFakeAws } from './fake-aws.ts';

const PLACE = { account: '123456789012', region: 'eu-west-1' };
const ZONE = 'eu-west-1a';
const MINUTE = 60_000;

before(() => {
  Object.assign(env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
});

test('pitfall 29: the platform of an image chooses the product whose spot prices count', () => {
  const products = {
    'Linux/UNIX': 'Linux/UNIX',
    'Red Hat Enterprise Linux': 'Red Hat Enterprise Linux',
    'Red Hat Enterprise Linux with HA and SQL Server Standard': 'Red Hat Enterprise Linux',
    'Red Hat BYOL Linux': 'Linux/UNIX',
    'SUSE Linux': 'SUSE Linux',
    'Ubuntu Pro': 'Linux/UNIX',
    'SQL Server Web': 'Linux/UNIX',
    Windows: 'Windows',
    'Windows with SQL Server Enterprise': 'Windows',
    'Windows BYOL': 'Linux/UNIX',
    macOS: null,
  };
  for (const [platform, product] of Object.entries(products))
    assert.equal(spotProduct(platform), product, platform);
});

test('an image or instance without PlatformDetails is Windows if it says so, else Linux', () => {
  assert.equal(platformOf({ PlatformDetails: 'SUSE Linux', Platform: 'windows' }), 'SUSE Linux');
  assert.equal(platformOf({ Platform: 'windows' }), 'Windows');
  assert.equal(platformOf({}), 'Linux/UNIX');
});

const TYPES = `<DescribeInstanceTypesResponse><instanceTypeSet><item>
  <instanceType>m5.large</instanceType>
  <vCpuInfo><defaultVCpus>2</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>8192</sizeInMiB></memoryInfo>
  <gpuInfo><gpus><item><name>T4</name><manufacturer>NVIDIA</manufacturer><count>1</count></item></gpus></gpuInfo>
  <supportedBootModes><item>uefi</item></supportedBootModes>
  <networkInfo><maximumNetworkInterfaces>3</maximumNetworkInterfaces></networkInfo>
  </item></instanceTypeSet></DescribeInstanceTypesResponse>`;
const OFFERINGS = `<DescribeInstanceTypeOfferingsResponse><instanceTypeOfferingSet><item>
  <instanceType>m5.large</instanceType><location>${ZONE}</location>
  </item></instanceTypeOfferingSet></DescribeInstanceTypeOfferingsResponse>`;

function priceXml(product: string, price: string): string {
  return `<DescribeSpotPriceHistoryResponse><spotPriceHistorySet><item>
    <instanceType>m5.large</instanceType><productDescription>${product}</productDescription>
    <spotPrice>${price}</spotPrice><timestamp>2025-12-01T00:00:00Z</timestamp><availabilityZone>${ZONE}</availabilityZone>
    </item></spotPriceHistorySet></DescribeSpotPriceHistoryResponse>`;
}

const PRICES: Readonly<Record<string, string>> = { 'Linux/UNIX': '0.04', Windows: '0.12' };

interface World {
  readonly cloud: Cloud;
  readonly clock: ManualClock;
  /** Products whose prices were asked for, in order. */
  readonly products: string[];
  pricesFail: boolean;
}

async function world(context: TestContext, spotAdvisor?: string): Promise<World> {
  const products: string[] = [];
  const answer = (request: URLSearchParams): FakeAnswer => {
    const action = request.get('Action');
    if (action === 'DescribeInstanceTypes') return { status: 200, body: TYPES };
    if (action === 'DescribeInstanceTypeOfferings') return { status: 200, body: OFFERINGS };
    const product = request.get('ProductDescription.1') ?? '';
    products.push(product);
    if (made.pricesFail) return ec2Error(400, 'UnauthorizedOperation');
    return { status: 200, body: priceXml(product, PRICES[product] ?? '9') };
  };
  const aws = await startFakeAws(answer);
  context.after(() => aws.close());
  const clock = new ManualClock();
  const cloud = createAwsCloud({
    ...{ clock, random: seededRandom(1), log: silentLog, metrics: createMetrics() },
    ...{ regions: [PLACE.region], endpoint: aws.endpoint },
    ...(spotAdvisor !== undefined && { spotAdvisor }),
  });
  const made: World = { cloud, clock, products, pricesFail: false };
  return made;
}

async function onlyOffer(cloud: Cloud, platform?: string): Promise<MarketOffer | undefined> {
  return (await cloud.marketData(PLACE, [ZONE], platform)).offers[0];
}

test('pitfall 29: prices are those of the platform, and on-demand prices are only known for Linux', async (context) => {
  const { cloud, products } = await world(context);
  const linux = await onlyOffer(cloud);
  assert.deepEqual([linux?.spotPrice, linux?.spotAverage, linux?.onDemandPrice], [0.04, 0.04, 0.107]);
  const windows = await onlyOffer(cloud, 'Windows');
  assert.deepEqual([windows?.spotPrice, windows?.onDemandPrice], [0.12, null]);
  assert.deepEqual(products, ['Linux/UNIX', 'Windows']);
});

test('a platform that is not known has no prices, and nobody is asked for them', async (context) => {
  const { cloud, products } = await world(context);
  const offer = await onlyOffer(cloud, 'Plan 9');
  assert.deepEqual([offer?.type, offer?.spotPrice, offer?.onDemandPrice], ['m5.large', null, null]);
  assert.deepEqual(products, []);
});

test('pitfall 36: what is kept for one platform is never served for another', async (context) => {
  const { cloud, products } = await world(context);
  for (const platform of ['Windows', undefined, 'Windows', 'Linux/UNIX', 'Ubuntu Pro']) {
    assert.equal((await onlyOffer(cloud, platform))?.spotPrice, platform === 'Windows' ? 0.12 : 0.04);
  }
  assert.deepEqual(products, ['Windows', 'Linux/UNIX']);
});

test('pitfall 36: prices are kept for five minutes, and the last good ones hold while they cannot be read', async (context) => {
  const made = await world(context);
  const { cloud, clock, products } = made;
  await onlyOffer(cloud);
  await clock.advance(5 * MINUTE - 1);
  await onlyOffer(cloud);
  assert.equal(products.length, 1);
  made.pricesFail = true;
  await clock.advance(1);
  assert.equal((await onlyOffer(cloud))?.spotPrice, 0.04);
  assert.equal(products.length, 2);
});

test('attributes of a type are read, so that none is guessed from its name', async (context) => {
  const { cloud } = await world(context);
  const type = (await cloud.marketData(PLACE, [ZONE])).types.get('m5.large');
  assert.deepEqual(
    [type?.gpus, type?.gpuModels, type?.bootModes, type?.networkInterfaces],
    [1, ['NVIDIA T4'], ['uefi'], 3],
  );
});

test('the band of the Spot Advisor feed comes with the offers once it has been read, and nobody waits for it', async (context) => {
  const path = join(tmpdir(), `coppice-advisor-${process.pid}.json`);
  const feed = {
    spot_advisor: {
      'eu-west-1': { Linux: { 'm5.large': { s: 60, r: 3 } }, Windows: { 'm5.large': { s: 40, r: 1 } } },
    },
  };
  await writeFile(path, JSON.stringify(feed));
  const { cloud } = await world(context, path);
  const bandOf = async (platform?: string): Promise<unknown> =>
    (await onlyOffer(cloud, platform))?.interruptionBand;
  while ((await bandOf()) === null) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([await bandOf(), await bandOf('Windows'), await bandOf('SUSE Linux')], [3, 1, 3]);
});
