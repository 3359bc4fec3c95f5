/** How an instance is bought. AWS' "purchase option". */
export type PurchaseOption = 'spot' | 'on-demand';

/** Instance type x Availability Zone x purchase option. */
export interface Market {
  readonly type: string;
  readonly zone: string;
  readonly purchaseOption: PurchaseOption;
}

/** The market alone, of something that tells more than its market. */
export function marketOf({ type, zone, purchaseOption }: Market): Market {
  return { type, zone, purchaseOption };
}

/** The market's written form, e.g. `m6i.large/eu-west-1a/spot`; also its key in maps. */
export function marketName(market: Market): string {
  return `${market.type}/${market.zone}/${market.purchaseOption}`;
}
