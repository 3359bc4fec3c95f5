import type { Clock } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import { groupKey } from '../base/group-name.ts';
import { type Market, marketName } from '../base/market.ts';
import type { CloudPlace, CloudReads, Group, Instance, MarketData, Member } from '../cloud/cloud.ts';
import type { FleetView, GroupView, InstanceView } from '../engine/fleet.ts';
import type { Log } from '../telemetry/log.ts';

/** Prices move by the minute; an older price list is read again, in the background. */
const PRICES_MAX_AGE_MS = 300_000;

/**
 * The groups and instances of all configured places, read together and kept for a while: what decisions are made on.
 * A swap never acts on it: its plan reads afresh.
 */
export interface Fleet {
  /** The newest reading; null before the first. */
  current(): FleetView | null;
  /** A reading not older than `maxAgeMs`: the one at hand, or a new one shared by all who ask meanwhile. */
  atMost(maxAgeMs: number): Promise<FleetView>;
}

export interface FleetDeps {
  readonly cloud: Pick<CloudReads, 'groups' | 'instances' | 'marketData'>;
  readonly clock: Clock;
  readonly log: Log;
}

export function createFleet(deps: FleetDeps): Fleet {
  let newest: FleetView | null = null;
  let last: Reading | null = null;
  let reading: Promise<FleetView> | null = null;
  const prices = createPriceBook(deps, () => show());
  const show = (): void => {
    if (last !== null) newest = viewOf(last, prices);
  };
  const read = async (): Promise<FleetView> => {
    const readAt = deps.clock.now();
    const groups = await deps.cloud.groups();
    const machines = await readMachines(deps.cloud, groups);
    last = { readAt, groups, machines };
    prices.refresh(last);
    newest = viewOf(last, prices);
    return newest;
  };
  return {
    current: () => newest,
    atMost(maxAgeMs) {
      if (newest !== null && deps.clock.now() - newest.readAt <= maxAgeMs) return Promise.resolve(newest);
      reading ??= read().finally(() => {
        reading = null;
      });
      return reading;
    },
  };
}

/** The groups as they are now, with their prices: for whoever looks by himself and can wait. */
export async function readFleet({ cloud, clock }: Omit<FleetDeps, 'log'>): Promise<FleetView> {
  const readAt = clock.now();
  const groups = await cloud.groups();
  const reading = { readAt, groups, machines: await readMachines(cloud, groups) };
  const lists = shelvesOf(reading).map(async ({ place, platform, zones }) => {
    const priceOf = pricesIn(await cloud.marketData(place, zones, platform));
    return [bookKey(place, platform), priceOf] as const;
  });
  const books = new Map(await Promise.all(lists));
  return viewOf(reading, {
    of: (place) => (machine) => books.get(bookKey(place, machine.platform))?.(machine) ?? null,
  });
}

/** What was read together; kept, so that prices which come later can be put on it. */
interface Reading {
  readonly readAt: number;
  readonly groups: readonly Group[];
  readonly machines: ReadonlyMap<string, Instance>;
}

/** The view of one group from a fresh reading, for a plan. */
export function groupView(
  group: Group,
  machines: ReadonlyMap<string, Instance>,
  priceOf: PriceOf,
): GroupView {
  return {
    group: group.group,
    desired: group.desired,
    min: group.min,
    max: group.max,
    tags: Object.fromEntries(group.tags.map((tag) => [tag.key, tag.value])),
    instances: group.members.flatMap((member) =>
      instanceView(member, machines.get(member.instanceId), priceOf),
    ),
  };
}

/** What a machine costs in a market, US dollars an hour; null when unknown. */
export type PriceOf = (machine: Market & Pick<Instance, 'platform'>) => number | null;

/** The prices in market data, which are those of one place and one platform. */
export function pricesIn(data: MarketData): PriceOf {
  const prices = new Map<string, number | null>();
  for (const { type, zone, spotPrice, onDemandPrice } of data.offers) {
    prices.set(marketName({ type, zone, purchaseOption: 'spot' }), spotPrice);
    prices.set(marketName({ type, zone, purchaseOption: 'on-demand' }), onDemandPrice);
  }
  return (market) => prices.get(marketName(market)) ?? null;
}

/** A member whose machine cannot be read (terminated long ago, or too new) is left out: its market is unknown. */
function instanceView(member: Member, machine: Instance | undefined, priceOf: PriceOf): InstanceView[] {
  if (machine === undefined) return [];
  return [
    {
      id: member.instanceId,
      type: machine.type,
      zone: machine.zone,
      purchaseOption: machine.purchaseOption,
      lifecycleState: member.lifecycleState,
      healthStatus: member.healthStatus,
      protectedFromScaleIn: member.protectedFromScaleIn,
      launchedAt: machine.launchedAt,
      privateDnsName: machine.privateDnsName,
      privateAddress: machine.privateAddress,
      tags: machine.tags,
      hourlyPrice: priceOf(machine),
      onDemandHourlyPrice: priceOf({ ...machine, purchaseOption: 'on-demand' }),
    },
  ];
}

/** The machines of all members, one batched read a place. */
async function readMachines(
  cloud: Pick<CloudReads, 'instances'>,
  groups: readonly Group[],
): Promise<ReadonlyMap<string, Instance>> {
  const places = Map.groupBy(groups, (group) => placeKey(group.group));
  const machines = await Promise.all(
    [...places.values()].map((inPlace) => {
      const ids = inPlace.flatMap((group) => group.members.map((member) => member.instanceId));
      const [first] = inPlace;
      return first === undefined ? Promise.resolve([]) : cloud.instances(first.group, ids);
    }),
  );
  return new Map(machines.flat().map((machine) => [machine.id, machine]));
}

function viewOf({ readAt, groups: read, machines }: Reading, prices: Pick<PriceBook, 'of'>): FleetView {
  const groups = new Map<string, GroupView>();
  const instances = new Map<string, { group: string; instance: InstanceView }>();
  const addresses = new Map<string, readonly string[]>();
  for (const group of read) {
    const key = groupKey(group.group);
    const view = groupView(group, machines, prices.of(group.group));
    groups.set(key, view);
    for (const instance of view.instances) {
      instances.set(instance.id, { group: key, instance });
      for (const address of addressesOf(instance)) {
        const others = addresses.get(address) ?? [];
        addresses.set(address, [...others, instance.id]);
      }
    }
  }
  return { readAt, groups, instances, addresses: unique(addresses) };
}

/** Networks may use the same private address twice: an address that could mean two instances means none. */
function unique(addresses: ReadonlyMap<string, readonly string[]>): ReadonlyMap<string, string> {
  return new Map(
    [...addresses].flatMap(([address, [id, ...others]]) =>
      id !== undefined && others.length === 0 ? [[address, id] as const] : [],
    ),
  );
}

/** Under what names a node exporter or a kubelet may report the instance. */
function addressesOf(instance: InstanceView): string[] {
  const { privateDnsName, privateAddress } = instance;
  const names =
    privateDnsName === null ? [] : [privateDnsName, privateDnsName.split('.')[0] ?? privateDnsName];
  return privateAddress === null ? names : [...names, privateAddress];
}

function placeKey(place: CloudPlace): string {
  return `${place.account}/${place.region}`;
}

/** Prices by place and platform, read in the background: a decision never waits for them, it just lacks the fact until then. */
interface PriceBook {
  of(place: CloudPlace): PriceOf;
  refresh(reading: Reading): void;
}

function createPriceBook(deps: FleetDeps, came: () => void): PriceBook {
  const books = new Map<string, PriceList>();
  const nothingKnown: PriceOf = () => null;
  const ask = async ({ place, platform, zones }: Shelf): Promise<void> => {
    const key = bookKey(place, platform);
    const before = books.get(key)?.priceOf ?? nothingKnown;
    books.set(key, { priceOf: before, askedAt: deps.clock.now(), zones });
    try {
      const priceOf = pricesIn(await deps.cloud.marketData(place, zones, platform));
      books.set(key, { priceOf, askedAt: deps.clock.now(), zones });
      came();
    } catch (thrown) {
      deps.log.warn({ region: place.region, error: asFailure(thrown).message }, 'prices could not be read');
    }
  };
  return {
    of: (place) => (machine) => books.get(bookKey(place, machine.platform))?.priceOf(machine) ?? null,
    refresh(reading) {
      for (const shelf of shelvesOf(reading)) {
        const list = books.get(bookKey(shelf.place, shelf.platform));
        if (list === undefined || isOutdated(list, shelf.zones, deps.clock.now())) void ask(shelf);
      }
    },
  };
}

interface PriceList {
  readonly priceOf: PriceOf;
  /** When it was asked for last, whether or not an answer came; ms since the epoch. */
  readonly askedAt: number;
  /** Those that were asked for. */
  readonly zones: readonly string[];
}

/** Also when a group has reached another zone: else neither its new members nor the group as a whole had a price for a while. */
function isOutdated({ askedAt, zones }: PriceList, needed: readonly string[], now: number): boolean {
  return now - askedAt >= PRICES_MAX_AGE_MS || needed.some((zone) => !zones.includes(zone));
}

/** Machines whose prices are read together. */
interface Shelf {
  readonly place: CloudPlace;
  readonly platform: string;
  readonly zones: readonly string[];
}

function shelvesOf({ groups, machines }: Reading): readonly Shelf[] {
  const members = groups.flatMap(({ group: place, members }) =>
    members.flatMap(({ instanceId, zone }) => {
      const platform = machines.get(instanceId)?.platform;
      return platform === undefined ? [] : [{ place, platform, zone }];
    }),
  );
  const shelves = Map.groupBy(members, ({ place, platform }) => bookKey(place, platform));
  return [...shelves.values()].flatMap((on) => {
    const zones = [...new Set(on.map(({ zone }) => zone))].sort();
    return on.slice(0, 1).map(({ place, platform }) => ({ place, platform, zones }));
  });
}

function bookKey(place: CloudPlace, platform: string): string {
  return `${placeKey(place)}/${platform}`;
}
