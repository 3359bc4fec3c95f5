import { z } from 'zod';
import { given as present } from '../base/given.ts';
import { groupKey } from '../base/group-name.ts';
import { INSTANCE_ID } from '../base/instance-id.ts';
import type { Market, PurchaseOption } from '../base/market.ts';
import { CATALOGUE } from '../cloud/catalogue.ts';
import { closest } from '../engine/suggest.ts';
import { type CheckedFile, readChecked } from './checked-file.ts';
import { duration } from './quantities.ts';
import { texts } from './rule-schema.ts';
import { madeId, type Scene, type SceneGroup, type ScenePrice } from './scene.ts';
import { type Complaint, mistake, unless } from './schema-issues.ts';

/** AWS' documentation's own account. */
const DEFAULT_ACCOUNT = '123456789012';
const DEFAULT_REGION = 'eu-west-1';
const DEFAULT_TYPE = 'm5.large';
const TYPES: readonly string[] = CATALOGUE.map(({ name }) => name);
/** More than any group may have, and few enough that a typo does not hang the simulation. */
const MOST_INSTANCES = 1000;
const DAY_MS = 86_400_000;

const noType = ({ input }: { readonly input?: unknown }): string => {
  const near = typeof input === 'string' ? closest(input, TYPES) : null;
  const advice = near === null ? '' : `; did you mean '${near}'?`;
  return mistake('wrong-value', `must be an instance type that the simulated cloud knows${advice}`);
};
const instanceType = z.string().refine((text) => TYPES.includes(text), { error: noType });

const zone = z.string().regex(/^[a-z]{2}(?:-[a-z]+)+-\d+[a-z]$/, {
  error: mistake('wrong-value', 'must be an Availability Zone such as eu-west-1a'),
});
const purchaseOption: z.ZodType<PurchaseOption> = z.enum(['spot', 'on-demand']);
const count = z.int().min(0).max(MOST_INSTANCES);
const tags = z.record(z.string().min(1), z.string());

/** Id of an instance. */
export const instanceId = z.string().regex(INSTANCE_ID, {
  error: mistake('wrong-value', 'must be the id of an instance, e.g. i-00000000000000001'),
});

/** A market in its written form. */
export const market = z
  .string()
  .regex(/^[^/]+\/[^/]+\/(?:spot|on-demand)$/, {
    error: mistake('wrong-value', 'must be a market such as m6i.large/eu-west-1a/spot'),
  })
  .refine((text) => TYPES.includes(text.split('/')[0] ?? ''), {
    error: mistake('wrong-value', 'must be a market of an instance type that the simulated cloud knows'),
  });

/** The market of a text that `market` has accepted. */
export function marketOfName(text: string): Market {
  const [type = '', zoneName = '', option] = text.split('/');
  return { type, zone: zoneName, purchaseOption: option === 'spot' ? 'spot' : 'on-demand' };
}

/** A price that is set, in a scene or by an event of a test. */
export const price: z.ZodType<ScenePrice> = z
  .strictObject({
    type: instanceType.describe('Instance type.'),
    zone: zone.optional().describe('Where the spot price holds. Default: everywhere.'),
    spot: z.number().positive().optional().describe('Spot price, US dollars an hour.'),
    onDemand: z.number().positive().optional().describe('On-demand price, US dollars an hour.'),
  })
  .refine(({ spot, onDemand }) => spot !== undefined || onDemand !== undefined, {
    error: mistake('missing-key', "needs the key 'spot' or 'onDemand'"),
  })
  .refine((one) => one.zone === undefined || one.onDemand === undefined, {
    error: mistake(
      'mixed-keys',
      'must not have onDemand beside zone: on-demand prices hold in a whole region',
    ),
  })
  .transform(({ type, spot = null, onDemand = null, ...rest }) => ({
    ...{ type, zone: rest.zone ?? null, spot, onDemand },
  }));

const instances = z
  .strictObject({
    type: instanceType.describe('Instance type, e.g. m5.large.'),
    zone: zone.describe('Availability Zone, e.g. eu-west-1a.'),
    purchaseOption: purchaseOption.default('on-demand').describe('spot or on-demand.'),
    count: count.min(1).optional().describe('How many. Default: as many as there are ids, or 1.'),
    ids: z
      .array(instanceId)
      .min(1)
      .optional()
      .describe('Their ids. Default: i-00000000000000001 and on, over all groups.'),
    age: duration().default(DAY_MS).describe('How long they have been running at the beginning.'),
    protected: z.boolean().default(false).describe('Whether they are protected from scale-in.'),
    healthy: z.boolean().default(true).describe('Whether the group takes them for healthy at the beginning.'),
    tags: tags.default({}).describe('Tags of their own, beside those of the group.'),
  })
  .refine((one) => one.count === undefined || one.ids === undefined || one.count === one.ids.length, {
    error: mistake('wrong-value', 'must have as many ids as count says; one of the two keys is enough'),
  });

const names = texts.default([]);
const hook = z.boolean().default(false);

const group = z
  .strictObject({
    name: z.string().min(1).describe('Name of the group.'),
    account: z
      .string()
      .regex(/^\d{12}$/, { error: mistake('wrong-value', 'must be twelve digits in quotes') })
      .default(DEFAULT_ACCOUNT)
      .describe('Account id, in quotes.'),
    region: z.string().min(1).optional().describe(`Default: the one of its instances, or ${DEFAULT_REGION}.`),
    desired: count.optional().describe('Desired capacity. Default: the number of instances.'),
    min: count.default(0).describe('Minimum size.'),
    max: count.optional().describe('Maximum size. Default: twice the desired capacity.'),
    zones: z.array(zone).min(1).optional().describe('Default: the first three of the region.'),
    tags: tags.default({}).describe('Tags of the group; its instances get them, too.'),
    launch: z
      .strictObject({
        type: instanceType.optional().describe('Instance type.'),
        spot: z.boolean().optional().describe('Whether it launches spot instances.'),
      })
      .default({})
      .describe('What the group launches by itself. Default: as its first instances.'),
    suspended: names.describe('Suspended processes, e.g. AZRebalance.'),
    targetGroups: names.describe('Names of target groups.'),
    healthCheck: z.enum(['EC2', 'ELB']).default('EC2').describe('ELB: target groups have a say.'),
    hooks: z
      .strictObject({
        launching: hook.describe('Whether one runs before an instance goes into service.'),
        terminating: hook.describe('Whether one runs before an instance is terminated.'),
      })
      .default({ launching: false, terminating: false })
      .describe('Whether there are lifecycle hooks.'),
    instances: z.array(instances).default([]).describe('Members, in service from the beginning.'),
  })
  .transform(filledIn)
  .transform(unless((given) => complaints(given).map((message) => ({ path: [], message }))));

/** What a group is written as, before its defaults are filled in. */
interface WrittenGroup {
  readonly region?: string | undefined;
  readonly desired?: number | undefined;
  readonly min: number;
  readonly max?: number | undefined;
  readonly zones?: readonly string[] | undefined;
  readonly launch: { readonly type?: string | undefined; readonly spot?: boolean | undefined };
  readonly instances: readonly z.output<typeof instances>[];
}

type FilledGroup<T> = Omit<T, keyof WrittenGroup> &
  Pick<SceneGroup, 'region' | 'desired' | 'min' | 'max' | 'zones' | 'launch'> &
  Pick<WrittenGroup, 'instances'>;

function filledIn<T extends WrittenGroup>(given: T): FilledGroup<T> {
  const { instances: batches, launch } = given;
  const [first] = batches;
  const region = given.region ?? first?.zone.slice(0, -1) ?? DEFAULT_REGION;
  const desired = given.desired ?? batches.reduce((sum, batch) => sum + sizeOf(batch), 0);
  const usual = ['a', 'b', 'c'].map((letter) => `${region}${letter}`);
  return {
    ...given,
    ...{ region, desired, max: given.max ?? Math.max(2 * desired, given.min) },
    launch: { ...launchedAs(first), ...present(launch) },
    zones: given.zones ?? [...new Set([...usual, ...batches.map((batch) => batch.zone)])],
  };
}

/** What a group whose first members are these launches by itself. */
function launchedAs(first: Pick<Market, 'type' | 'purchaseOption'> | undefined): SceneGroup['launch'] {
  return { type: first?.type ?? DEFAULT_TYPE, spot: first?.purchaseOption === 'spot' };
}

function complaints({
  region,
  desired,
  min,
  max,
  zones,
  instances: batches,
}: FilledGroup<WrittenGroup>): string[] {
  const strange = zones.filter((one) => one.slice(0, -1) !== region);
  const outside = batches.map((batch) => batch.zone).filter((one) => !zones.includes(one));
  return [
    ...(desired > max
      ? [mistake('out-of-range', `has a desired capacity of ${desired}, above its maximum`)]
      : []),
    ...(desired < min
      ? [mistake('out-of-range', `has a desired capacity of ${desired}, below its minimum`)]
      : []),
    ...strange.map((one) => mistake('wrong-value', `has the zone ${one}, which is not in ${region}`)),
    ...outside.map((one) => mistake('wrong-value', `has instances in ${one}, which is not among its zones`)),
  ];
}

function sizeOf({ count: size, ids }: { count?: number | undefined; ids?: unknown[] | undefined }): number {
  return size ?? ids?.length ?? 1;
}

/** What the key `cloud` of a test holds, and a file of `coppice explain --cloud` at its top. */
export const scene: z.ZodType<Scene> = z
  .strictObject({
    groups: z.array(group).min(1).describe('Auto Scaling groups.'),
    prices: z.array(price).default([]).describe('Prices that matter; the others are made up.'),
    capacity: z
      .record(market, count)
      .default({})
      .describe('How many more instances can be launched, by market. Default: plenty.'),
    notOffered: texts.default([]).describe('Offers that do not exist, as type/zone.'),
    scarcity: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe('Chance that a spot market has no capacity for ten minutes; 1 is never any.'),
  })
  .transform(({ groups, capacity, ...rest }) => ({
    ...rest,
    groups: withIds(groups),
    capacity: Object.entries(capacity).map(([name, launches]) => ({ market: marketOfName(name), launches })),
  }))
  .transform(unless(({ groups }) => [...sameNames(groups), ...sameIds(groups)]));

function sameNames(groups: readonly SceneGroup[]): readonly Complaint[] {
  const keys = groups.map(groupKey);
  const message = mistake('duplicate-name', 'has the name of another group of its account and region');
  return keys.flatMap((key, index) =>
    keys.indexOf(key) === index ? [] : [{ path: ['groups', index], message }],
  );
}

function sameIds(groups: readonly SceneGroup[]): readonly Complaint[] {
  const ids = groups.flatMap((one) => one.instances.flatMap((batch) => batch.ids));
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice === undefined) return [];
  return [{ path: ['groups'], message: mistake('duplicate-name', `have the instance ${twice} twice`) }];
}

type Written = Omit<SceneGroup, 'instances'> & {
  readonly instances: readonly z.output<typeof instances>[];
};

/** Numbers all instances in the order of the file, also those with an id: so one more id renames no other. */
function withIds(groups: readonly Written[]): readonly SceneGroup[] {
  let number = 0;
  const idsOf = (batch: z.output<typeof instances>): readonly string[] =>
    Array.from({ length: sizeOf(batch) }, (_, index) => {
      number += 1;
      return batch.ids?.[index] ?? madeId(number);
    });
  return groups.map((one) => ({
    ...one,
    instances: one.instances.map(({ age, count: _, ...batch }) => ({
      ...batch,
      ids: idsOf({ ...batch, age, count: _ }),
      ageMs: age,
    })),
  }));
}

/** Reads a file that holds a scene alone: `coppice explain --cloud`. */
export function readScene(file: string, text: string): CheckedFile<Scene> {
  return readChecked(file, text, scene);
}
