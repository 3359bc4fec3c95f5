import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseCron } from '../../src/engine/cron.ts';
import { judge, type Refusal } from '../../src/engine/judge.ts';
import type { PastSwap } from '../../src/engine/memory.ts';
import { effectivePolicy } from '../../src/engine/policies.ts';
import type { BudgetSpec, EffectivePolicy, PolicySpec } from '../../src/engine/policy.ts';
import { group, HOUR, instance, MINUTE, silent } from '../unit/engine/build.ts';

const DAY = 24 * HOUR;
const MEMBERS = 10;
const WEB = group(
  Array.from({ length: MEMBERS }, (_, index) => instance(`i-${index}`)),
  { desired: MEMBERS },
);
const OLD = instance('i-0', { launchedAt: 0 });

/** Days around which clocks change somewhere, and days on which none does. */
const STARTS = ['2026-03-06', '2026-03-27', '2026-06-10', '2026-10-23', '2026-10-30'].map((day) =>
  Date.parse(`${day}T00:00:00Z`),
);
/** No story is longer. */
const LONGEST = 40 * 3 * HOUR;

/** The times of each schedule over all stories, found one after the other and so in another way than windows are. */
const OPENINGS = new Map(
  [
    ['0 9 * * mon-fri', 'Europe/Budapest'],
    ['30 2 * * *', 'Europe/Budapest'],
    ['0 22 * * *', 'America/New_York'],
    ['*/30 1-3 * * *', 'America/New_York'],
    ['0 0 * * *', 'UTC'],
    ['0 */4 * * sat,sun', 'Australia/Lord_Howe'],
  ].map(([schedule = '', timezone = '']) => [
    JSON.stringify([schedule, timezone]),
    openings(schedule, timezone),
  ]),
);

function openings(schedule: string, timezone: string): readonly number[] {
  const times = parseCron(schedule, timezone);
  assert.ok(times.ok);
  return STARTS.flatMap((start) => {
    const found: number[] = [];
    for (
      let at = times.value.next(start - 3 * DAY);
      at !== null && at <= start + LONGEST;
      at = times.value.next(at)
    )
      found.push(at);
    return found;
  });
}

const swapsAllowed: fc.Arbitrary<BudgetSpec['swaps']> = fc.oneof(
  fc.record({ kind: fc.constant('count' as const), value: fc.nat(4) }),
  fc.record({ kind: fc.constant('share' as const), value: fc.constantFrom(0, 0.05, 0.2, 0.35, 1) }),
);
const perMs = fc.integer({ min: 1, max: DAY });
const window: fc.Arbitrary<NonNullable<BudgetSpec['window']>> = fc
  .tuple(fc.constantFrom(...OPENINGS.keys()), fc.integer({ min: 1, max: 48 }))
  .map(([key, halfHours]) => {
    const [schedule, timezone] = JSON.parse(key) as [string, string];
    return { schedule, timezone, durationMs: halfHours * 30 * MINUTE };
  });
const budget: fc.Arbitrary<BudgetSpec> = fc.oneof(
  fc.record({ swaps: swapsAllowed, perMs }),
  fc.record({ swaps: swapsAllowed, window }),
  fc.record({ swaps: swapsAllowed, perMs, window }),
);
const budgets: fc.Arbitrary<PolicySpec['budgets']> = fc.oneof(
  fc.constant<PolicySpec['budgets']>('unlimited'),
  fc.array(
    fc.oneof({ weight: 4, arbitrary: budget }, { weight: 1, arbitrary: fc.constant('unlimited' as const) }),
    {
      minLength: 1,
      maxLength: 3,
    },
  ),
);
const policy: fc.Arbitrary<PolicySpec> = fc.option(budgets, { nil: undefined }).map((some) =>
  silent({
    ...{ cooldownMs: 0, minHealthy: 0, minInstanceAgeMs: 0 },
    ...(some === undefined ? {} : { budgets: some }),
  }),
);
const policies = fc
  .array(policy, { minLength: 1, maxLength: 3 })
  .map((some) => some.map((one, index) => ({ ...one, name: `policy-${index}` })));

/** Half hours are when windows open and close; there a moment more or less decides. */
const afterMs = fc.oneof(
  fc.nat(3 * HOUR),
  fc.nat(6).map((halves) => halves * 30 * MINUTE),
  fc.constantFrom(1, 30 * MINUTE - 1, 30 * MINUTE + 1),
);
interface Story {
  readonly start: number;
  readonly wishes: readonly { readonly afterMs: number; readonly urgent: boolean }[];
}
const story: fc.Arbitrary<Story> = fc.record({
  start: fc.constantFrom(...STARTS),
  wishes: fc.array(fc.record({ afterMs, urgent: fc.boolean() }), { maxLength: 40 }),
});

function merged(some: readonly PolicySpec[]): EffectivePolicy {
  const effective = effectivePolicy(some, WEB);
  assert.ok(effective !== null);
  return effective;
}

interface Wish {
  readonly now: number;
  readonly urgent: boolean;
}

function asked(limits: EffectivePolicy, swaps: readonly PastSwap[], wish: Wish): Refusal | null {
  const nothing = { pausedBecause: null, rest: null };
  return judge({ ...{ policy: limits, group: WEB, instance: OLD, to: 'spot', swaps }, ...nothing, ...wish });
}

/** What became of each wish of a story, in order, with the voluntary swaps that had begun until then. */
function* told(
  limits: EffectivePolicy,
  { start, wishes }: Story,
): Generator<Wish & { readonly refusal: Refusal | null; readonly begun: readonly number[] }> {
  const past: PastSwap[] = [];
  let now = start;
  for (const { afterMs: waited, urgent } of wishes) {
    now += waited;
    const begun = past.filter((swap) => !swap.urgent).map(({ at }) => at);
    const refusal = asked(limits, past, { now, urgent });
    yield { now, urgent, refusal, begun };
    if (refusal === null) past.push({ at: now, urgent });
  }
}

/** What the policy says of voluntary swaps, read anew from its words: its budgets, and the safety unless it is switched off. */
function writtenBudgets({ budgets: written }: PolicySpec): readonly BudgetSpec[] {
  const safety: BudgetSpec = { swaps: { kind: 'share', value: 0.1 }, perMs: HOUR };
  if (written === 'unlimited') return [];
  if (written === undefined) return [safety];
  const limited = written.filter((entry) => entry !== 'unlimited');
  const isOff = written.includes('unlimited') || limited.some((entry) => entry.window === undefined);
  return isOff ? limited : [...limited, safety];
}

function allowedBy({ swaps }: BudgetSpec): number {
  if (swaps.kind === 'count' || swaps.value === 0) return swaps.value;
  return Math.max(1, Math.floor(swaps.value * MEMBERS + 1e-9));
}

/** Whether the last swap of those begun was one too many. */
function exceeds(one: BudgetSpec, begun: readonly number[]): boolean {
  const last = begun.at(-1);
  if (last === undefined) return false;
  const count = (from: number): number => begun.filter((at) => at >= from).length;
  if (one.window === undefined) return count(last - (one.perMs ?? 0) + 1) > allowedBy(one);
  const { schedule, timezone, durationMs } = one.window;
  const open = (OPENINGS.get(JSON.stringify([schedule, timezone])) ?? []).filter(
    (at) => at <= last && last < at + durationMs,
  );
  return open.some((at) => count(one.perMs === undefined ? at : last - one.perMs + 1) > allowedBy(one));
}

describe('budgets', () => {
  it('should never be exceeded, whichever policies hold and whenever swaps are asked for', () => {
    let begunInAll = 0;
    fc.assert(
      fc.property(policies, story, (some, whole) => {
        const written = some.flatMap(writtenBudgets);
        for (const { now, urgent, refusal, begun } of told(merged(some), whole)) {
          if (urgent) assert.equal(refusal, null, 'no budget binds an urgent swap');
          if (urgent || refusal !== null) continue;
          begunInAll++;
          const exceeded = written.filter((one) => exceeds(one, [...begun, now]));
          assert.deepEqual(exceeded, []);
        }
      }),
      { numRuns: 500 },
    );
    assert.ok(begunInAll > 500, `only ${begunInAll} swaps begun: that nothing was exceeded says little`);
  });

  it('should be used up before they refuse: what one policy alone refuses, one of its budgets forbids', () => {
    fc.assert(
      fc.property(policy, story, (spec, whole) => {
        for (const { now, refusal, begun } of told(merged([spec]), whole)) {
          if (refusal === null) continue;
          const why = writtenBudgets(spec).filter((one) => exceeds(one, [...begun, now]));
          assert.notDeepEqual(why, [], refusal.detail);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('should never allow more by one more policy, in whichever order they are written', () => {
    const past = fc.array(fc.record({ agoMs: fc.nat(DAY), urgent: fc.boolean() }), { maxLength: 8 });
    fc.assert(
      fc.property(policies, policy, story, past, (some, more, { start, wishes }, before) => {
        const others = { ...more, name: 'more' };
        const [loose, tight, turned] = [
          merged(some),
          merged([...some, others]),
          merged([others, ...some.toReversed()]),
        ];
        let now = start;
        for (const { afterMs: waited } of wishes) {
          now += waited;
          const swaps = before.map(({ agoMs, urgent }) => ({ at: now - agoMs, urgent }));
          const wish = { now, urgent: false };
          const refused = asked(tight, swaps, wish) !== null;
          assert.ok(refused || asked(loose, swaps, wish) === null, 'one more policy allows more');
          assert.equal(asked(turned, swaps, wish) !== null, refused);
        }
      }),
      { numRuns: 300 },
    );
  });
});
