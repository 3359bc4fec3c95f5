import type { Market, PurchaseOption } from '../../base/market.ts';
import type { GroupDetail, Instance, LaunchSource, MarketData } from '../../cloud/cloud.ts';
import type { GroupView } from '../../engine/fleet.ts';
import type { Memory } from '../../engine/memory.ts';
import type { EffectivePolicy } from '../../engine/policy.ts';
import type { Headroom, SwapOrder, SwapSpec, SwapWaits } from '../../engine/rule.ts';
import type { Candidate } from './candidate.ts';
import type { Advice } from './recommender.ts';

/** Everything that was read, afresh and under the group's lock, to plan a swap. */
export interface PlanInput {
  readonly spec: SwapSpec;
  readonly instanceId: string;
  /** The run that plans; null where nobody will swap. */
  readonly run: string | null;
  readonly group: GroupDetail;
  /** The group's members and, where they could be read, their machines with prices. */
  readonly view: GroupView;
  readonly machines: ReadonlyMap<string, Instance>;
  readonly source: LaunchSource;
  /** With prices for the platform of the launch source's image. */
  readonly data: MarketData;
  readonly advice: Advice;
  readonly policy: EffectivePolicy;
  readonly memory: Memory;
  readonly ownInstance: string | null;
  readonly launchVia: LaunchVia;
  readonly now: number;
}

/** Whether spot markets are offered to AWS together: where there is a choice, also a single one, or never. */
export type LaunchVia = 'auto' | 'fleet' | 'run-instances';

/** The order that was asked for, or is the policy's. */
export function orderOf({ spec, policy }: Pick<PlanInput, 'spec' | 'policy'>): SwapOrder {
  return spec.order ?? policy.swap.order;
}

/** What to do when desired equals the maximum, as asked for, or as the policy has it. */
export function headroomOf({ spec, policy }: Pick<PlanInput, 'spec' | 'policy'>): Headroom {
  return spec.headroom ?? policy.swap.headroom;
}

/** The swap as it was planned; written down before anything is touched, and never changed. Plain JSON. */
export interface SwapPlan {
  /** What people are shown. */
  readonly plan: {
    readonly old: { readonly instance: string; readonly market: string };
    readonly to: PurchaseOption;
    readonly ranking: Ranking;
    readonly candidates: readonly CandidateRow[];
    /** How many markets were left out of the table because type or size do not fit. */
    readonly unfit: number;
    /** The best market; the launch may end in a later one. */
    readonly chosen: string | null;
  };
  readonly old: { readonly instanceId: string; readonly market: Market };
  /** Markets to try, best first. */
  readonly order: readonly Market[];
  readonly source: LaunchSource;
  /** Absent in what was written down before there were fleets: `run-instances`. */
  readonly launchVia?: LaunchVia;
  readonly subnet: string | null;
  readonly placementGroup: string | null;
  /** Tags that the group would give to an instance. */
  readonly tags: Readonly<Record<string, string>>;
  /** What comes first: the launch of the new instance, or the detach of the old one. */
  readonly first: 'launch' | 'detach';
  readonly release: 'detach' | 'terminate-in-group';
  readonly terminate: boolean;
  readonly urgent: boolean;
  readonly mayRaiseMax: boolean;
  readonly newInstancesProtected: boolean;
  /** With the group's grace period where it counts. */
  readonly waits: Required<SwapWaits>;
}

/** Whose scores order the candidates; `because` says why they are not those of the recommender that was asked. */
export interface Ranking {
  readonly by: 'coppice' | 'recommender';
  readonly because: string | null;
}

/** One line of the candidate table. */
export interface CandidateRow {
  readonly market: string;
  readonly price: number | null;
  readonly scores: Candidate['scores'];
  readonly rejected: Candidate['rejected'];
}
