import type { Market, PurchaseOption } from '../../base/market.ts';
import type { GroupDetail, Instance, LaunchSource, MarketData } from '../../cloud/cloud.ts';
import type { GroupView } from '../../engine/fleet.ts';
import type { Memory } from '../../engine/memory.ts';
import type { EffectivePolicy } from '../../engine/policy.ts';
import type { SwapSpec } from '../../engine/rule.ts';
import type { Candidate } from './candidate.ts';

/** Everything that was read, afresh and under the group's lock, to plan a swap. */
export interface PlanInput {
  readonly spec: SwapSpec;
  readonly instanceId: string;
  readonly group: GroupDetail;
  /** The group's members and, where they could be read, their machines with prices. */
  readonly view: GroupView;
  readonly machines: ReadonlyMap<string, Instance>;
  readonly source: LaunchSource;
  readonly data: MarketData;
  readonly policy: EffectivePolicy;
  readonly memory: Memory;
  readonly ownInstance: string | null;
  readonly now: number;
}

/** The swap as it was planned; written down before anything is touched, and never changed. Plain JSON. */
export interface SwapPlan {
  /** What people are shown. */
  readonly plan: {
    readonly old: { readonly instance: string; readonly market: string };
    readonly to: PurchaseOption;
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
  readonly subnet: string | null;
  readonly placementGroup: string | null;
  /** Tags that the group would give to an instance. */
  readonly tags: Readonly<Record<string, string>>;
  readonly release: 'detach' | 'terminate-in-group';
  readonly terminate: boolean;
  readonly urgent: boolean;
  readonly mayRaiseMax: boolean;
  readonly newInstancesProtected: boolean;
  readonly waits: { readonly runningMs: number; readonly inServiceMs: number; readonly releaseMs: number };
}

/** One line of the candidate table. */
export interface CandidateRow {
  readonly market: string;
  readonly price: number | null;
  readonly scores: Candidate['scores'];
  readonly rejected: Candidate['rejected'];
}
