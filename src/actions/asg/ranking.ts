import { marketName, type PurchaseOption } from '../../base/market.ts';
import type { InstanceType, LaunchSource } from '../../cloud/cloud.ts';
import { marketCounts } from '../../engine/composition.ts';
import type { InstanceView } from '../../engine/fleet.ts';
import { marketCap } from '../../engine/policies.ts';
import type { Candidate } from './candidate.ts';
import { isCandidate, type RecommendInput, recommend, type Saving } from './recommend.ts';
import type { PlanInput, Ranking } from './swap-plan.ts';

/** Which instance is to be replaced, how the replacement is bought, and the type that the group itself configures. */
export interface Wanted {
  readonly instance: InstanceView;
  readonly to: PurchaseOption;
  readonly original: InstanceType;
  /** Null where the swap is not made to save something. */
  readonly saving: Saving | null;
}

export interface Ranked {
  readonly candidates: readonly Candidate[];
  readonly ranking: Ranking;
}

/**
 * The markets of one purchase option, best first. Another recommender's advice holds as long as it leaves a candidate: it
 * says what is better, never whether an instance is replaced at all.
 */
export function rank(input: PlanInput, wanted: Wanted): Ranked {
  const { advice } = input;
  if (wanted.to === 'on-demand' || advice.kind === 'none') return builtIn(input, wanted, null);
  if (advice.kind === 'missing')
    return builtIn(input, wanted, `the recommender was asked: ${advice.because}`);
  const candidates = recommend({ ...considered(input, wanted), advice: advice.markets });
  if (candidates.some(isCandidate)) return { candidates, ranking: { by: 'recommender', because: null } };
  return builtIn(input, wanted, 'none of the types that the recommender lists may replace the old one');
}

function builtIn(input: PlanInput, wanted: Wanted, because: string | null): Ranked {
  return { candidates: recommend(considered(input, wanted)), ranking: { by: 'coppice', because } };
}

function considered(input: PlanInput, { instance, to, original, saving }: Wanted): RecommendInput {
  const { view, policy, memory, source, group, now } = input;
  const counts = new Map(marketCounts(view));
  const leaving = marketName(instance);
  counts.set(leaving, (counts.get(leaving) ?? 1) - 1);
  const mixedTypes = group.launch.kind === 'mixed' ? group.launch.mixed.types : [];
  return {
    ...{ zones: [instance.zone], to, original, leaving: instance, saving, policy, counts, data: input.data },
    image: source.defaults.image,
    interfaces: interfacesOf(source),
    mixedTypes: mixedTypes.length > 0 ? mixedTypes : null,
    cap: marketCap(policy, view.desired),
    size: view.desired,
    spreads: input.spec.spreads === true && !input.spec.urgent,
    advice: null,
    unavailableUntil: (market) => memory.unavailableUntil(market),
    interruptionWeight: (market) => memory.interruptionWeight(market, now),
    shortage: (market) => memory.shortage(market),
  };
}

function interfacesOf(source: LaunchSource): number {
  return source.kind === 'template' ? source.networkInterfaces.length : 0;
}

/** A swap that is urgent, or that restores the on-demand floor, is not made to save something. */
export function savingOf(
  { spec, data }: PlanInput,
  { type, zone, purchaseOption, hourlyPrice }: InstanceView,
  to: PurchaseOption,
): Saving | null {
  if (spec.minSaving === undefined || spec.urgent || to === 'on-demand') return null;
  const offer = data.offers.find((one) => one.type === type && one.zone === zone);
  const average = purchaseOption === 'spot' ? offer?.spotAverage : null;
  const from = hourlyPrice === null ? null : Math.min(hourlyPrice, average ?? hourlyPrice);
  return { share: spec.minSaving, from };
}
