import { describeFact } from './facts.ts';
import { isGlob } from './matcher.ts';
import type { Comparison } from './operators.ts';
import type { RuleSpec } from './rule.ts';

/** Ratios of a part to its whole; others, such as that of two prices, may be above 1. */
const SHARES: readonly string[] = ['group.diversityRatio', 'group.onDemandRatio', 'group.largestMarketShare'];
/** Units of what is counted or measured from 0 on. */
const NEVER_NEGATIVE: readonly unknown[] = ['instances', 'markets', 'swaps', 'seconds', 'dollars per hour'];

/** The only values of facts that have few. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  'instance.purchaseOption': ['spot', 'on-demand'],
  'instance.healthStatus': ['Healthy', 'Unhealthy'],
};

/** Comparisons that hold of a fact whenever it is there, for events that wake a rule with these triggers. */
export function truismsOf(fact: string, on: RuleSpec['on']): readonly Comparison[] {
  const values = valuesOf(fact, on);
  if (values !== null) return [{ fact, operator: 'in', value: values }];
  const isShare = SHARES.includes(fact);
  if (!isShare && !NEVER_NEGATIVE.includes(describeFact(fact)?.unit)) return [];
  const least = { fact, operator: 'greaterThanInclusive', value: 0 };
  return isShare ? [least, { fact, operator: 'lessThanInclusive', value: 1 }] : [least];
}

function valuesOf(fact: string, on: RuleSpec['on']): readonly string[] | null {
  if (fact === 'event.status') return statusesOf(on);
  if (fact === 'event.type') return typesOf(on);
  return Object.hasOwn(VALUES, fact) ? (VALUES[fact] ?? null) : null;
}

/** Events of a schedule count as firing. */
function statusesOf(on: RuleSpec['on']): readonly string[] {
  const wanted = on.map((trigger) => (trigger.kind === 'type' ? trigger.status : 'firing'));
  return wanted.includes('any') ? ['firing', 'resolved'] : [...new Set(wanted)];
}

/** Null where a glob or a schedule leaves it open. */
function typesOf(on: RuleSpec['on']): readonly string[] | null {
  const types = on.map((trigger) => (trigger.kind === 'type' ? trigger.type : '*'));
  return types.some(isGlob) ? null : types;
}
