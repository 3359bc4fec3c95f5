import { asFailure } from '../../base/failure.ts';

/**
 * Another service that ranks spot markets: Hollowtrees' recommender, or one that answers as it did. Coppice asks it where
 * the setting `recommender.url` names one, and ranks by itself where it does not answer.
 */
export interface Recommender {
  /**
   * What it recommends in place of the type. Answers within two seconds, or fails: with `timeout` or `unavailable` when it
   * does not answer, with `invalid_request` when what it answers cannot be used. Failures have been logged.
   */
  advise(question: Question): Promise<AdvisedMarkets>;
}

export interface Question {
  readonly region: string;
  /** The type that the group itself configures. */
  readonly baseType: string;
  readonly zones: readonly string[];
}

/** By zone, and then by type. */
export type AdvisedMarkets = ReadonlyMap<string, ReadonlyMap<string, Advised>>;

/** Its scores of a spot market, 0..1 each. */
export interface Advised {
  readonly cost: number;
  readonly stability: number;
}

/** What came of asking; `none` where there is nobody to ask, or nothing to ask for. */
export type Advice =
  | { readonly kind: 'none' }
  | { readonly kind: 'given'; readonly markets: AdvisedMarkets }
  | { readonly kind: 'missing'; readonly because: string };

/** Asks, where there is somebody to ask. Never fails: without advice the built-in ranking holds. */
export async function adviceOf(recommender: Recommender | null, question: Question): Promise<Advice> {
  if (recommender === null) return { kind: 'none' };
  try {
    return { kind: 'given', markets: await recommender.advise(question) };
  } catch (thrown) {
    return { kind: 'missing', because: asFailure(thrown).message };
  }
}
