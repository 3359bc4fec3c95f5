import { z } from 'zod';
import { type Cell, renderFields, renderSection, renderTable } from './table.ts';

const figure = z.number().nullable();

/** How long a group is left alone after failed swaps. */
export const REST = z.object({ until: z.string(), failures: z.number() });

/** A group as the daemon answers it; only what is shown to people. */
export const GROUP = z.object({
  key: z.string(),
  name: z.string(),
  region: z.string(),
  account: z.string(),
  desired: z.number(),
  min: z.number(),
  max: z.number(),
  inServiceCount: z.number(),
  spotCount: z.number(),
  onDemandCount: z.number(),
  onDemandFloor: figure,
  onDemandShortfall: figure,
  marketCount: z.number(),
  diversityRatio: figure,
  largestMarketShare: figure,
  hourlyCost: figure,
  onDemandHourlyCost: figure,
  savingsRatio: figure,
  readAt: z.string(),
  pausedBecause: z.string().nullable(),
  rest: REST.nullable(),
  freeze: z.object({ until: z.string().nullable(), detail: z.string() }).nullable(),
  policies: z.array(z.string()),
  instances: z.array(
    z.object({
      id: z.string(),
      market: z.string(),
      lifecycleState: z.string(),
      healthStatus: z.string(),
      protected: z.boolean(),
      own: z.boolean(),
      launchedAt: z.string(),
      hourlyPrice: figure,
    }),
  ),
  markets: z.array(
    z.object({
      market: z.string(),
      count: z.number(),
      share: figure,
      unavailableUntil: z.string().nullable(),
    }),
  ),
  cooldowns: z.array(
    z.object({
      kind: z.string(),
      rule: z.string().nullable(),
      per: z.record(z.string(), z.string()),
      until: z.string(),
    }),
  ),
  runs: z.array(z.object({ id: z.string(), state: z.string(), action: z.string(), instance: z.string() })),
});
export type Group = z.output<typeof GROUP>;

/** A page of groups. */
export const GROUPS = z.object({ items: z.array(GROUP), next: z.string().nullable() });

/** One line a group. */
export function drawGroups(groups: readonly Group[], colors: boolean): string {
  const titles = [
    'GROUP',
    'REGION',
    'ACCOUNT',
    'DESIRED',
    'SERVING',
    'SPOT',
    'ON-DEMAND',
    'MARKETS',
    'DIVERSITY',
    'COST/H',
    'RUNS',
    'PAUSED',
    'RESTS',
    'POLICIES',
  ];
  const rows = groups.map((group) => [
    group.name,
    group.region,
    group.account,
    group.desired,
    group.inServiceCount,
    group.spotCount,
    group.onDemandCount,
    group.marketCount,
    ratioText(group.diversityRatio),
    dollars(group.hourlyCost),
    group.runs.length,
    group.pausedBecause === null ? 'no' : 'yes',
    group.rest === null ? 'no' : 'yes',
    policiesText(group),
  ]);
  return renderTable(titles, rows, colors);
}

/** A group with its markets, instances, cooldowns and runs in flight. */
export function drawGroup(group: Group, colors: boolean): string {
  const section = (title: string, titles: readonly string[], rows: readonly (readonly Cell[])[]): string =>
    renderSection(title, rows.length === 0 ? '' : renderTable(titles, rows, colors), colors);
  return [
    renderFields(fieldsOf(group), colors),
    section(
      'Markets',
      ['MARKET', 'COUNT', 'SHARE', 'UNAVAILABLE UNTIL'],
      group.markets.map((market) => [
        market.market,
        market.count,
        percent(market.share),
        market.unavailableUntil,
      ]),
    ),
    section(
      'Instances',
      ['INSTANCE', 'MARKET', 'LIFECYCLE', 'HEALTH', 'PROTECTED', 'LAUNCHED', 'PRICE/H'],
      group.instances.map((instance) => [
        instance.id,
        instance.market,
        instance.lifecycleState,
        instance.healthStatus,
        protectionText(instance),
        instance.launchedAt,
        dollars(instance.hourlyPrice),
      ]),
    ),
    section(
      'Cooldowns',
      ['OF', 'PER', 'UNTIL'],
      group.cooldowns.map(({ kind, rule, per, until }) => [
        rule === null ? kind : `${kind} ${rule}`,
        Object.entries(per)
          .map(([scope, value]) => `${scope} ${value}`.trim())
          .join(', '),
        until,
      ]),
    ),
    section(
      'Runs in flight',
      ['RUN', 'STATE', 'ACTION', 'INSTANCE'],
      group.runs.map((run) => [run.id, run.state, run.action, run.instance]),
    ),
  ].join('');
}

function fieldsOf(group: Group): (readonly [string, Cell])[] {
  return [
    ['group', group.name],
    ['region', group.region],
    ['account', group.account],
    ['read at', group.readAt],
    ['policies', policiesText(group)],
    ['paused', group.pausedBecause ?? 'no'],
    ['frozen', group.freeze?.detail ?? 'no'],
    ['rests', group.rest === null ? 'no' : restText(group.rest)],
    ['size', `${group.desired} desired (${group.min} to ${group.max}), ${group.inServiceCount} serving`],
    [
      'on-demand',
      `${group.onDemandCount}, floor ${group.onDemandFloor ?? '-'}, short of ${group.onDemandShortfall ?? '-'}`,
    ],
    ['spot', group.spotCount],
    ['markets', `${group.marketCount}, largest holds ${percent(group.largestMarketShare) ?? '-'}`],
    ['diversity', ratioText(group.diversityRatio)],
    ['cost', costText(group)],
  ];
}

/** Scale-in protection, and what is left alone in any case. */
function protectionText({ own, protected: fromScaleIn }: Group['instances'][number]): string {
  if (own) return 'Coppice runs on it';
  return fromScaleIn ? 'yes' : 'no';
}

/** When a rest ends and why there is one, e.g. `until 2026-01-01T01:00:00.000Z: 3 swaps failed in a row`. */
export function restText({ until, failures }: z.output<typeof REST>): string {
  return `until ${until}: ${failures === 1 ? 'the last swap failed' : `${failures} swaps failed in a row`}`;
}

function policiesText({ policies }: Group): string {
  return policies.length === 0 ? 'none: never touched' : policies.join(', ');
}

function costText({ hourlyCost, onDemandHourlyCost, savingsRatio }: Group): string {
  const saved = savingsRatio === null ? '' : `, ${percent(savingsRatio)} saved`;
  return `${hourly(hourlyCost)} against ${hourly(onDemandHourlyCost)} on demand${saved}`;
}

function hourly(cost: number | null): string {
  return cost === null ? 'unknown' : `${dollars(cost)}/h`;
}

function ratioText(ratio: number | null): string | null {
  return ratio === null ? null : ratio.toFixed(2);
}

function percent(share: number | null): string | null {
  return share === null ? null : `${Math.round(share * 100)}%`;
}

/** Prices of small instances differ in the fourth digit of a dollar. */
function dollars(amount: number | null): string | null {
  return amount === null ? null : `$${amount.toFixed(4)}`;
}
