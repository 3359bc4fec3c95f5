import { type GroupName, groupKey } from '../base/group-name.ts';
import type { Market } from '../base/market.ts';

/** A cloud as people write it down: for rule tests and for `coppice explain --cloud`. Every default is filled in. */
export interface Scene {
  readonly groups: readonly SceneGroup[];
  /** Prices that stay as they are; all others are made up by the simulated cloud. */
  readonly prices: readonly ScenePrice[];
  /** How many more instances can be launched into a market; a market that is not here has plenty. */
  readonly capacity: readonly SceneCapacity[];
  /** Offers that do not exist, as `type/zone`. */
  readonly notOffered: readonly string[];
  /** Chance, 0..1, that a spot market has no capacity for a span of ten minutes. */
  readonly scarcity: number;
}

export interface SceneGroup extends GroupName {
  readonly desired: number;
  readonly min: number;
  readonly max: number;
  readonly zones: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  /** What the group launches by itself. */
  readonly launch: { readonly type: string; readonly spot: boolean };
  readonly suspended: readonly string[];
  readonly targetGroups: readonly string[];
  readonly healthCheck: 'EC2' | 'ELB';
  readonly hooks: { readonly launching: boolean; readonly terminating: boolean };
  readonly instances: readonly SceneInstances[];
}

/** Members of one market, alike but for their ids. */
export interface SceneInstances extends Market {
  /** One for each of them; made where the scene gives none: see `madeId`. */
  readonly ids: readonly string[];
  readonly ageMs: number;
  readonly protected: boolean;
  readonly healthy: boolean;
  readonly tags: Readonly<Record<string, string>>;
}

/** US dollars an hour. The spot price holds in the zone, or in every zone where that is null; on-demand prices have no zone. */
export interface ScenePrice {
  readonly type: string;
  readonly zone: string | null;
  readonly spot: number | null;
  readonly onDemand: number | null;
}

export interface SceneCapacity {
  readonly market: Market;
  readonly launches: number;
}

/**
 * Id of the nth instance of a scene that is given none, counted from 1 over all its groups: `i-00000000000000001`. So
 * events can name it.
 */
export function madeId(number: number): string {
  return `i-${String(number).padStart(17, '0')}`;
}

/** A group of a scene: by its name where that is the only one, else by its key `account/region/name`. */
export type GroupReference = string;

/** The group that is meant; null when there is none, or more than one. */
export function groupIn({ groups }: Scene, reference: GroupReference): SceneGroup | null {
  const named = groups.filter((group) => group.name === reference || groupKey(group) === reference);
  const [only, ...others] = named;
  return only === undefined || others.length > 0 ? null : only;
}
