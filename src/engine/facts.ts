import { parseDuration } from '../base/duration.ts';
import { groupKey } from '../base/group-name.ts';
import { marketName } from '../base/market.ts';
import {
  diversityRatio,
  effectiveMarkets,
  hourlyCost,
  largestMarketShare,
  marketCounts,
  onDemandCount,
  onDemandHourlyCost,
  presentInstances,
  ratio,
  servingCount,
  spotCount,
} from './composition.ts';
import {
  eventFact,
  type FactContext,
  type FactDefinition,
  type FactDescription,
  type FactFamily,
  type Facts,
  type FactUnit,
  groupFact,
  historyFact,
  instanceFact,
  marketFact,
  text,
} from './fact.ts';
import type { GroupView, InstanceView } from './fleet.ts';
import { onDemandFloor } from './policies.ts';
import type { ConditionValue, Scalar } from './rule.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Every fact of a fixed name. */
export const FACTS: Readonly<Record<string, FactDefinition>> = {
  'event.type': eventFact('string', null, 'Type of the event.', ({ type }) => type),
  'event.source': eventFact('string', null, 'Who sent the event.', ({ source }) => source),
  'event.status': eventFact('string', null, '`firing` or `resolved`.', ({ status }) => status),
  'event.ageSeconds': eventFact(
    'number',
    'seconds',
    'Time since the event happened or the alert began; missing when the sender did not say.',
    ({ time }, { now }) => (time === null ? null : secondsSince(time, now)),
  ),

  'instance.id': instanceFact('string', null, 'Id of the instance.', ({ id }) => id),
  'instance.type': instanceFact('string', null, 'Instance type, e.g. `m6i.large`.', ({ type }) => type),
  'instance.zone': instanceFact('string', null, 'Availability Zone of the instance.', ({ zone }) => zone),
  'instance.purchaseOption': instanceFact(
    'string',
    null,
    '`spot` or `on-demand`.',
    ({ purchaseOption }) => purchaseOption,
  ),
  'instance.market': instanceFact(
    'string',
    null,
    'Market of the instance: type, zone and purchase option joined by `/`.',
    (instance) => marketName(instance),
  ),
  'instance.ageSeconds': instanceFact(
    'number',
    'seconds',
    'Time since the instance was launched.',
    ({ launchedAt }, { now }) => secondsSince(launchedAt, now),
  ),
  'instance.hourlyPrice': instanceFact(
    'number',
    'dollars per hour',
    "What the instance costs now: its market's spot price, or the on-demand price; missing when unknown.",
    ({ hourlyPrice }) => hourlyPrice,
  ),
  'instance.onDemandHourlyPrice': instanceFact(
    'number',
    'dollars per hour',
    'What the instance would cost on demand; missing when unknown.',
    ({ onDemandHourlyPrice }) => onDemandHourlyPrice,
  ),
  'instance.priceRatio': instanceFact(
    'number',
    'ratio',
    'Price of the instance / its on-demand price; missing when one of them is unknown.',
    priceRatio,
  ),
  'instance.lifecycleState': instanceFact(
    'string',
    null,
    "State of the membership in AWS' words, e.g. `InService`.",
    ({ lifecycleState }) => lifecycleState,
  ),
  'instance.healthStatus': instanceFact(
    'string',
    null,
    '`Healthy` or `Unhealthy`.',
    ({ healthStatus }) => healthStatus,
  ),
  'instance.protected': instanceFact(
    'boolean',
    null,
    'Whether the instance is protected from scale-in.',
    ({ protectedFromScaleIn }) => protectedFromScaleIn,
  ),

  'group.name': groupFact('string', null, 'Name of the group.', ({ group }) => group.name),
  'group.region': groupFact('string', null, 'Region of the group.', ({ group }) => group.region),
  'group.desired': groupFact('number', 'instances', 'Desired capacity.', ({ desired }) => desired),
  'group.min': groupFact('number', 'instances', 'Minimum size.', ({ min }) => min),
  'group.max': groupFact('number', 'instances', 'Maximum size.', ({ max }) => max),
  'group.inServiceCount': groupFact(
    'number',
    'instances',
    'Members that are InService and healthy.',
    servingCount,
  ),
  'group.pendingCount': groupFact(
    'number',
    'instances',
    'Members on their way in.',
    ({ instances }) => instances.filter(({ lifecycleState }) => lifecycleState.startsWith('Pending')).length,
  ),
  'group.unhealthyCount': groupFact(
    'number',
    'instances',
    'Unhealthy members, those on their way out not counted.',
    (group) => presentInstances(group).filter(({ healthStatus }) => healthStatus === 'Unhealthy').length,
  ),
  'group.spotCount': groupFact(
    'number',
    'instances',
    'Spot members, those on their way out not counted.',
    spotCount,
  ),
  'group.onDemandCount': groupFact(
    'number',
    'instances',
    'On-demand members, those on their way out not counted.',
    onDemandCount,
  ),
  'group.onDemandRatio': groupFact(
    'number',
    'ratio',
    'On-demand members / members; missing when the group is empty.',
    (group) => ratio(onDemandCount(group), presentInstances(group).length),
  ),
  'group.onDemandFloor': groupFact(
    'number',
    'instances',
    'On-demand members that the policies in force ask for; missing when no policy selects the group.',
    ({ desired }, { policy }) => (policy === null ? null : onDemandFloor(policy, desired)),
  ),
  'group.onDemandShortfall': groupFact(
    'number',
    'instances',
    'On-demand members that lack for the floor; missing when no policy selects the group.',
    (group, { policy }) =>
      policy === null ? null : Math.max(0, onDemandFloor(policy, group.desired) - onDemandCount(group)),
  ),
  'group.marketCount': groupFact(
    'number',
    'markets',
    'Distinct markets of the members, those on their way out not counted.',
    (group) => marketCounts(group).size,
  ),
  'group.diversityRatio': groupFact(
    'number',
    'ratio',
    'Distinct markets / members; 1 when each member has a market of its own; missing when the group is empty.',
    diversityRatio,
  ),
  'group.largestMarketShare': groupFact(
    'number',
    'ratio',
    'Share of the members that are in the largest market; missing when the group is empty.',
    largestMarketShare,
  ),
  'group.effectiveMarkets': groupFact(
    'number',
    'markets',
    'Inverse Simpson index of the market shares: how many equally large markets would be as diverse; missing when the group is empty.',
    effectiveMarkets,
  ),
  'group.hourlyCost': groupFact(
    'number',
    'dollars per hour',
    'What the members cost now; missing when a price is unknown.',
    hourlyCost,
  ),
  'group.onDemandHourlyCost': groupFact(
    'number',
    'dollars per hour',
    'What the same members would cost on demand; missing when a price is unknown.',
    onDemandHourlyCost,
  ),
  'group.savingsRatio': groupFact(
    'number',
    'ratio',
    '1 - hourlyCost / onDemandHourlyCost; missing when a price is unknown.',
    savingsRatio,
  ),

  'market.spotPrice': marketFact(
    'number',
    'dollars per hour',
    "Spot price of the instance's market; missing when unknown or when the instance is on-demand.",
    spotPrice,
  ),
  'market.priceRatio': marketFact(
    'number',
    'ratio',
    "Spot price of the instance's market / the on-demand price; missing when one of them is.",
    (instance) => (spotPrice(instance) === null ? null : priceRatio(instance)),
  ),
  'market.unavailable': marketFact(
    'boolean',
    null,
    "Whether the instance's market is taken to have no capacity, since a launch into it failed.",
    (instance, { memory, now }) => (memory.unavailableUntil(marketName(instance)) ?? now) > now,
  ),
  'market.interruptions24h': marketFact(
    'number',
    'swaps',
    "Urgent swaps out of the instance's market in the last 24 hours, all groups.",
    (instance, { memory, now }) => memory.interruptions(marketName(instance), now - DAY_MS),
  ),

  'history.swapsInLastHour': historyFact(
    'number',
    'swaps',
    'Swaps of the group begun in the last hour, urgent ones included.',
    (group, { memory, now }) =>
      memory.swaps(groupKey(group.group)).filter(({ at }) => at > now - HOUR_MS).length,
  ),
  'history.lastSwapAgeSeconds': historyFact(
    'number',
    'seconds',
    'Time since the last swap of the group began; missing when there was none in the last 24 hours.',
    (group, { memory, now }) => {
      const last = memory.swaps(groupKey(group.group)).at(-1);
      return last === undefined ? null : secondsSince(last.at, now);
    },
  ),
  'history.interruptionsInLastHour': historyFact(
    'number',
    'swaps',
    'Urgent swaps of the group begun in the last hour.',
    (group, { memory, now }) =>
      memory.swaps(groupKey(group.group)).filter(({ at, urgent }) => urgent && at > now - HOUR_MS).length,
  ),
};

/** Facts named by a prefix and what follows it. An empty value is an absent one, as in Prometheus. */
export const FACT_FAMILIES: Readonly<Record<string, FactFamily>> = {
  'event.labels.': {
    ...text('event', 'A label of the event; missing when the event has none of that name.'),
    read: ({ event }, key) => own(event.labels, key),
  },
  'event.annotations.': {
    ...text('event', 'An annotation of the event; missing when the event has none of that name.'),
    read: ({ event }, key) => own(event.annotations, key),
  },
  'instance.tags.': {
    ...text('instance', 'A tag of the instance; missing when it has none of that key.'),
    read: ({ instance }, key) => (instance === null ? null : own(instance.tags, key)),
  },
  'group.tags.': {
    ...text('group', 'A tag of the group; missing when it has none of that key.'),
    read: ({ group }, key) => (group === null ? null : own(group.tags, key)),
  },
};

/** What the fact of that name is; null when there is no such fact. */
export function describeFact(name: string): FactDescription | null {
  return fixedFact(name) ?? familyOf(name)?.family ?? null;
}

/** The fact's value; null when it is not there, or is not a finite number where it should be one. */
export function readFact(name: string, context: FactContext): Scalar | null {
  const value = readAny(name, context);
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}

/** The values of the named facts; those that are not there are left out. */
export function readFacts(names: readonly string[], context: FactContext): Facts {
  const facts: Record<string, Scalar> = {};
  for (const name of names) {
    const value = readFact(name, context);
    if (value !== null) facts[name] = value;
  }
  return facts;
}

/**
 * A value as it is compared with the fact: `15m` becomes seconds where the fact is in seconds, `20%` a share where it
 * is a ratio. What cannot be read that way stays as it is, for the lint to report.
 */
export function plainValue(fact: string, value: ConditionValue): ConditionValue {
  const unit = describeFact(fact)?.unit ?? null;
  const plain = (scalar: Scalar): Scalar => (typeof scalar === 'string' ? inUnit(unit, scalar) : scalar);
  if (isScalar(value)) return plain(value);
  return 'fact' in value ? value : value.map(plain);
}

/** Whether a condition's value is a single plain one. */
function isScalar(value: ConditionValue): value is Scalar {
  return typeof value !== 'object';
}

function inUnit(unit: FactUnit, text: string): Scalar {
  if (unit === 'seconds') {
    const ms = parseDuration(text);
    return ms === null ? text : ms / 1000;
  }
  const [, percent] = unit === 'ratio' ? (/^(\d+(?:\.\d+)?)%$/.exec(text) ?? []) : [];
  return percent === undefined ? text : Number(percent) / 100;
}

function readAny(name: string, context: FactContext): Scalar | null {
  const fixed = fixedFact(name);
  if (fixed !== null) return fixed.read(context);
  const member = familyOf(name);
  return member === null ? null : member.family.read(context, member.key);
}

function fixedFact(name: string): FactDefinition | null {
  return Object.hasOwn(FACTS, name) ? (FACTS[name] ?? null) : null;
}

function familyOf(name: string): { readonly family: FactFamily; readonly key: string } | null {
  for (const [prefix, family] of Object.entries(FACT_FAMILIES)) {
    if (name.startsWith(prefix) && name.length > prefix.length) {
      return { family, key: name.slice(prefix.length) };
    }
  }
  return null;
}

function own(texts: Readonly<Record<string, string>>, key: string): string | null {
  const value = Object.hasOwn(texts, key) ? texts[key] : undefined;
  return value === undefined || value === '' ? null : value;
}

/** Never negative: a sender's clock may be ahead. */
function secondsSince(at: number, now: number): number {
  return Math.max(0, now - at) / 1000;
}

function priceRatio({ hourlyPrice, onDemandHourlyPrice }: InstanceView): number | null {
  return hourlyPrice === null || onDemandHourlyPrice === null
    ? null
    : ratio(hourlyPrice, onDemandHourlyPrice);
}

function spotPrice({ purchaseOption, hourlyPrice }: InstanceView): number | null {
  return purchaseOption === 'spot' ? hourlyPrice : null;
}

function savingsRatio(group: GroupView): number | null {
  const [now, onDemand] = [hourlyCost(group), onDemandHourlyCost(group)];
  if (now === null || onDemand === null) return null;
  const share = ratio(now, onDemand);
  return share === null ? null : 1 - share;
}
