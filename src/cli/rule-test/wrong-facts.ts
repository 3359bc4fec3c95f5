import type { FactBounds, FactExpectation } from '../../config/rule-test.ts';
import type { GroupView } from '../../engine/fleet.ts';
import { readGroupFact } from '../../engine/group-facts.ts';
import { NOTHING_REMEMBERED } from '../../engine/memory.ts';
import type { EffectivePolicy } from '../../engine/policy.ts';
import type { Scalar } from '../../engine/rule.ts';

/** Ratios and prices are sums and quotients; what differs by less than this share is the same. */
const ROUNDING = 1e-9;

/** A sentence for each fact of the group that is not as expected. */
export function wrongFacts(
  facts: Readonly<Record<string, FactExpectation>>,
  about: { readonly group: GroupView; readonly policy: EffectivePolicy | null },
): readonly string[] {
  return Object.entries(facts).flatMap(([name, wanted]) => {
    const value = readGroupFact(name, { ...about, memory: NOTHING_REMEMBERED, now: 0 });
    if (isAsExpected(value, wanted)) return [];
    return [`${name} is ${value === null ? 'missing' : JSON.stringify(value)}, not ${factText(wanted)}`];
  });
}

/** What a fact is expected to be, in words. */
export function factText(wanted: FactExpectation): string {
  if (wanted === null) return 'missing';
  if (typeof wanted !== 'object') return JSON.stringify(wanted);
  return Object.entries(wanted)
    .map(([operator, bound]) => `${operator} ${bound}`)
    .join(' and ');
}

function isAsExpected(value: Scalar | null, wanted: FactExpectation): boolean {
  if (wanted === null || value === null) return value === wanted;
  if (typeof wanted === 'object') return typeof value === 'number' && isWithin(value, wanted);
  if (typeof value !== 'number' || typeof wanted !== 'number') return value === wanted;
  return Math.abs(value - wanted) <= ROUNDING * Math.max(1, Math.abs(wanted));
}

const BOUNDS: { readonly [K in keyof FactBounds]-?: (value: number, bound: number) => boolean } = {
  lessThan: (value, bound) => value < bound,
  lessThanInclusive: (value, bound) => value <= bound,
  greaterThan: (value, bound) => value > bound,
  greaterThanInclusive: (value, bound) => value >= bound,
};

function isWithin(value: number, bounds: FactBounds): boolean {
  return Object.entries(BOUNDS).every(([operator, holds]) => {
    const bound = bounds[operator as keyof FactBounds];
    return bound === undefined || holds(value, bound);
  });
}
