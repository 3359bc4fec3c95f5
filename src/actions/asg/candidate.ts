import type { Market } from '../../base/market.ts';

/** Why a market is no candidate. Closed set; part of the API. */
export const REJECTIONS = {
  incompatible: 'architecture, image, virtualization, local disk, GPU or metal do not fit',
  size: 'vCPUs or memory are outside of the range relative to the type that the group configures',
  burstable: 'burstable types do not replace others unless a policy allows it',
  policy_type: 'a policy denies the type or does not allow it',
  mixed_policy: 'the mixed instances policy of the group does not list the type',
  not_recommended: 'the external recommender does not list it',
  same_market: 'it is the market that the old instance leaves',
  not_sold: 'the type is not sold this way',
  no_price: 'its price is unknown',
  too_expensive: 'its price is above the limit',
  too_little_saved: 'it does not save as much as the swap is to save',
  not_spread:
    'it would hold no less of the group than the market that is left did, and the swap is to spread it',
  market_share: 'it would hold more of the group than the policy allows',
  min_markets: 'the group would still be in fewer markets than the policy asks for',
  unavailable: 'it had no capacity a short while ago',
} as const;

export type Rejection = keyof typeof REJECTIONS;

/** A market that was looked at: its scores, 0..1 each, or why it is out; the market that is left may have both. */
export interface Candidate {
  readonly market: Market;
  /** US dollars an hour. */
  readonly price: number | null;
  readonly scores: Scores | null;
  readonly rejected: { readonly code: Rejection; readonly detail: string } | null;
}

export interface Scores {
  readonly cost: number;
  readonly stability: number;
  readonly diversity: number;
  readonly total: number;
}
