import { type Market, marketName } from '../../base/market.ts';
import { catalogueRow } from '../catalogue.ts';
import type { CloudPlace } from '../cloud.ts';
import { isLive } from './instances.ts';
import { chance, hash } from './prices.ts';
import { type Refusal, refusal } from './refusal.ts';
import type { Simulation } from './simulation.ts';

/** How long a market of a scarce world stays with or without capacity. */
const SCARCITY_SPAN_MS = 10 * 60_000;

/** Why a launch into the market would fail for want of quota or capacity, in EC2's order; null when it would not. */
export function capacityRefusal(simulation: Simulation, place: CloudPlace, market: Market): Refusal | null {
  return quotaRefusal(simulation, place, market) ?? shortage(simulation, market);
}

/** Counts a launch into the market. A termination gives nothing back: AWS has the machine, not the market. */
export function takeCapacity(simulation: Simulation, market: Market): void {
  const name = marketName(market);
  const left = simulation.capacity.get(name);
  if (left !== undefined) simulation.capacity.set(name, left - 1);
}

function quotaRefusal(simulation: Simulation, place: CloudPlace, market: Market): Refusal | null {
  const quota = simulation.world.vcpuQuota[market.purchaseOption];
  if (quota === null) return null;
  const running = [...simulation.instances.values()].filter(
    (instance) =>
      isLive(instance) &&
      instance.purchaseOption === market.purchaseOption &&
      instance.place.account === place.account &&
      instance.place.region === place.region,
  );
  const used = running.reduce((sum, { type }) => sum + vcpus(type), 0);
  if (used + vcpus(market.type) <= quota) return null;
  return market.purchaseOption === 'spot'
    ? refusal('MaxSpotInstanceCountExceeded', 'Max spot instance count exceeded')
    : refusal(
        'VcpuLimitExceeded',
        `You have requested more vCPU capacity than your current vCPU limit of ${quota} allows for the instance ` +
          'bucket that the specified instance type belongs to. Please visit ' +
          'http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.',
      );
}

function shortage(simulation: Simulation, market: Market): Refusal | null {
  const left = simulation.capacity.get(marketName(market)) ?? Number.POSITIVE_INFINITY;
  if (left > 0 && !isScarce(simulation, market)) return null;
  // The status is AWS' own: a shortage is answered like a failure of the server.
  return refusal(
    'InsufficientInstanceCapacity',
    market.purchaseOption === 'spot'
      ? 'There is no Spot capacity available that matches your request.'
      : `We currently do not have sufficient ${market.type} capacity in the Availability Zone you requested ` +
          `(${market.zone}). Our system will be working on provisioning additional capacity.`,
    500,
  );
}

function isScarce({ world, seed, now }: Simulation, market: Market): boolean {
  if (market.purchaseOption !== 'spot' || world.scarcity === 0) return false;
  const span = Math.floor(now / SCARCITY_SPAN_MS);
  return chance(hash(seed, marketName(market)), span) < world.scarcity;
}

function vcpus(type: string): number {
  return catalogueRow(type)?.vcpus ?? 0;
}
