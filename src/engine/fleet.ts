import type { GroupName } from '../base/group-name.ts';
import type { PurchaseOption } from '../base/market.ts';

/** A group as the engine sees it: what facts and policies are computed from. */
export interface GroupView {
  readonly group: GroupName;
  readonly desired: number;
  readonly min: number;
  readonly max: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly instances: readonly InstanceView[];
}

/** A member of a group. Prices in US dollars an hour; null when unknown. */
export interface InstanceView {
  readonly id: string;
  readonly type: string;
  readonly zone: string;
  readonly purchaseOption: PurchaseOption;
  /** AWS' words: `Pending`, `InService`, `Terminating:Wait`, `Detaching`, … */
  readonly lifecycleState: string;
  readonly healthStatus: 'Healthy' | 'Unhealthy';
  readonly protectedFromScaleIn: boolean;
  /** ms since the epoch. */
  readonly launchedAt: number;
  readonly privateDnsName: string | null;
  readonly privateAddress: string | null;
  readonly tags: Readonly<Record<string, string>>;
  /** What the instance costs now: its market's spot price, or the on-demand price. */
  readonly hourlyPrice: number | null;
  readonly onDemandHourlyPrice: number | null;
}

/** All groups, as read together at one time. */
export interface FleetView {
  /** ms since the epoch. */
  readonly readAt: number;
  /** By group key. */
  readonly groups: ReadonlyMap<string, GroupView>;
  /** Group key and instance by instance id. */
  readonly instances: ReadonlyMap<string, { readonly group: string; readonly instance: InstanceView }>;
  /** Instance id by private DNS name (whole, and up to the first dot) and private address. */
  readonly addresses: ReadonlyMap<string, string>;
}

/** Whether it counts as capacity: an instance on its way in or out, or unhealthy, serves nobody. */
export function isServing(instance: InstanceView): boolean {
  return instance.lifecycleState === 'InService' && instance.healthStatus === 'Healthy';
}
