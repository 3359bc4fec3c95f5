import { CATALOGUE } from '../../../../src/cloud/catalogue.ts';
import { type Answer, autoScalingAnswer, ec2Answer } from './answer.ts';
import { type AwsRequest, listOf, numberOf } from './request.ts';

/** A spot price, and the time from which it held. */
export interface PriceFixture {
  readonly type: string;
  readonly zone: string;
  readonly price: number;
  readonly at: Date;
}

const HOUR = 3_600_000;
const POINTS = 4;
const APART_MS = 7 * HOUR;
const PRODUCT = 'Linux/UNIX';
const PAGE = 1000;

/** Prices of every catalogued type that move now and then between three and five tenths of the on-demand price. */
export function samplePrices(zones: readonly string[]): readonly PriceFixture[] {
  const now = Date.now();
  const priced = CATALOGUE.flatMap(({ name, onDemand }) =>
    onDemand['us-east-1'] === null ? [] : { name, price: onDemand['us-east-1'] },
  );
  return zones.flatMap((zone, z) =>
    priced.flatMap(({ name, price }, t) =>
      Array.from({ length: POINTS }, (_, p) => ({
        type: name,
        zone,
        price: price * (0.3 + 0.02 * ((7 * t + 3 * z + p) % 11)),
        at: new Date(now - p * APART_MS - HOUR),
      })),
    ),
  );
}

/** DescribeSpotPriceHistory: in the range, and the last change of each pool before it; newest first, page by page. */
export function spotPriceHistory({ parameters }: AwsRequest, prices: readonly PriceFixture[]): Answer {
  const rows = inRange(prices.filter(asked(parameters)), parameters);
  const start = Number(parameters.get('NextToken') ?? 0);
  const end = start + (numberOf(parameters, 'MaxResults') ?? PAGE);
  return ec2Answer('DescribeSpotPriceHistory', {
    spotPriceHistorySet: rows.slice(start, end).map(({ type, zone, price, at }) => ({
      instanceType: type,
      productDescription: PRODUCT,
      spotPrice: price.toFixed(6),
      timestamp: at,
      availabilityZone: zone,
    })),
    // AWS ends the list with an empty token, not without one.
    nextToken: end < rows.length ? String(end) : '',
  });
}

function asked(parameters: URLSearchParams): (price: PriceFixture) => boolean {
  const zone = parameters.get('AvailabilityZone');
  const types = listOf(parameters, 'InstanceType');
  const products = listOf(parameters, 'ProductDescription');
  return (price) =>
    (zone === null || price.zone === zone) &&
    (types.length === 0 || types.includes(price.type)) &&
    (products.length === 0 || products.includes(PRODUCT));
}

function inRange(prices: readonly PriceFixture[], parameters: URLSearchParams): readonly PriceFixture[] {
  const from = Date.parse(parameters.get('StartTime') ?? '1970-01-01T00:00:00Z');
  const to = Date.parse(parameters.get('EndTime') ?? '9999-01-01T00:00:00Z');
  const pools = Map.groupBy(prices, ({ type, zone }) => `${type}/${zone}`);
  return [...pools.values()]
    .flatMap((pool) => {
      const newestFirst = pool.toSorted((a, b) => b.at.getTime() - a.at.getTime());
      const before = newestFirst.find(({ at }) => at.getTime() < from);
      const within = newestFirst.filter(({ at }) => at.getTime() >= from && at.getTime() <= to);
      return before === undefined ? within : [...within, before];
    })
    .toSorted((a, b) => b.at.getTime() - a.at.getTime());
}

/** An instance refresh of a group, as far as anybody looks at it. */
export interface RefreshFixture {
  readonly group: string;
  /** In AWS' words, e.g. `InProgress`. */
  readonly status: string;
}

/** DescribeInstanceRefreshes, newest first; moto lacks the action. */
export function instanceRefreshes({ parameters }: AwsRequest, refreshes: readonly RefreshFixture[]): Answer {
  const group = parameters.get('AutoScalingGroupName');
  return autoScalingAnswer('DescribeInstanceRefreshes', {
    InstanceRefreshes: refreshes
      .filter((refresh) => refresh.group === group)
      .map(({ status }, index) => ({
        InstanceRefreshId: `refresh-${index}`,
        AutoScalingGroupName: group,
        Status: status,
      })),
  });
}
