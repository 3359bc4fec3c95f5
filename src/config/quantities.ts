import { z } from 'zod';
import { parseDuration } from '../base/duration.ts';
import type { BudgetSpec, RelativeRange } from '../engine/policy.ts';
import { mistake } from './schema-issues.ts';

/** The notation of base/duration.ts, once more as a pattern, for editors. */
const DURATION = /^(?:0|(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+)$/;
const PERCENT = /^(\d+(?:\.\d+)?)%$/;
const RANGE = /^(\d+(?:\.\d+)?)x\.\.(\d+(?:\.\d+)?)x$/;
/** Ten years: longer than any window, short enough that sums of two stay exact dates. */
const LONGEST_MS = 3650 * 86_400_000;

const noDuration = mistake('bad-duration', 'must be a duration such as 90s, 15m or 1h30m');

/** A duration of a file (`90s`, `15m`, `1h30m`, `0`) in ms, at least `leastMs`. */
export function duration(leastMs = 0): z.ZodType<number> {
  return z
    .union(
      [
        z.string({ error: noDuration }).regex(DURATION, { error: noDuration }),
        z.literal(0, { error: noDuration }),
      ],
      { error: noDuration },
    )
    .transform((text) => parseDuration(String(text)) ?? Number.NaN)
    .refine((ms) => ms <= LONGEST_MS, { error: mistake('out-of-range', 'must be at most 3650d') })
    .refine((ms) => ms >= leastMs, {
      error: mistake(
        'out-of-range',
        leastMs === 1 ? 'must be above 0' : `must be at least ${leastMs / 1000}s`,
      ),
    });
}

const noShare = mistake('bad-share', 'must be a share from 0 to 1, or a percentage such as 20%');

/** A share of a file (`0.2` or `20%`) as a number from 0 to 1. */
export const share: z.ZodType<number> = z
  .union(
    [
      z.number({ error: noShare }).min(0, { error: noShare }).max(1, { error: noShare }),
      z.string({ error: noShare }).regex(PERCENT, { error: noShare }),
    ],
    { error: noShare },
  )
  .transform((written) => (typeof written === 'number' ? written : (percentage(written) ?? Number.NaN)))
  .refine((value) => value <= 1, { error: noShare });

const noPercentage = mistake('bad-percentage', 'must be a percentage from 0 to 100 such as 20 or 20%');

/** A percentage of a file (`20` or `20%`) as a share from 0 to 1. */
export const percent: z.ZodType<number> = z
  .union(
    [
      z.number({ error: noPercentage }).min(0, { error: noPercentage }).max(100, { error: noPercentage }),
      z.string({ error: noPercentage }).regex(PERCENT, { error: noPercentage }),
    ],
    { error: noPercentage },
  )
  // 0.2 could be meant as 20 % and would be taken as 0.2 %: a floor that is off in silence.
  .refine((written) => typeof written === 'string' || written === 0 || written >= 1, {
    error: mistake('bad-percentage', 'would be less than one percent; write 20 or 20%'),
  })
  .transform((written) => (typeof written === 'number' ? written / 100 : (percentage(written) ?? Number.NaN)))
  .refine((value) => value <= 1, { error: noPercentage });

const noAmount = mistake('bad-amount', 'must be a whole number of instances, or a percentage such as 10%');

/** A number of instances (`2`), or a share of desired (`10%`). */
export const amount: z.ZodType<BudgetSpec['swaps']> = z
  .union(
    [
      z.int({ error: noAmount }).min(0, { error: noAmount }),
      z.string({ error: noAmount }).regex(PERCENT, { error: noAmount }),
    ],
    { error: noAmount },
  )
  .transform((written): BudgetSpec['swaps'] =>
    typeof written === 'number'
      ? { kind: 'count', value: written }
      : { kind: 'share', value: percentage(written) ?? Number.NaN },
  )
  .refine(({ kind, value }) => kind === 'count' || value <= 1, { error: noAmount });

const noRange = mistake('bad-range', 'must be a range relative to the own type of the group such as 1x..2x');

/** `1x..2x`: from as much as the group's own type has, to twice as much. */
export const relativeRange: z.ZodType<RelativeRange> = z
  .string({ error: noRange })
  .regex(RANGE, { error: noRange })
  .transform((text) => {
    const [, from, to] = RANGE.exec(text) ?? [];
    return { from: Number(from), to: Number(to) };
  })
  .refine(({ from, to }) => from <= to && to > 0, {
    error: mistake('bad-range', 'must not end below its beginning, or at 0x'),
  });

/** `20%` as 0.2; null when the text is no percentage. */
function percentage(text: string): number | null {
  const digits = PERCENT.exec(text)?.[1];
  return digits === undefined ? null : Number(digits) / 100;
}
