import { z } from 'zod';
import type { Group } from '../../cloud/cloud.ts';
import type { Bound, Held } from './swap-details.ts';
import { HOLD_TAG } from './tags.ts';

/** Whose hold a group carries, and what has to be given back. */
export interface HoldMark {
  readonly run: string;
  readonly held: Held;
  /** The old instance is to be left running once it is out of the group. */
  readonly keepOld?: true;
  /** Where the old instance leaves first: nothing in the cloud would tell which one it was. */
  readonly leaving?: Leaving;
}

/** An old instance that is detached before there is a replacement. */
export interface Leaving {
  readonly instance: string;
  /** Desired before it left. */
  readonly desired: number;
  /** Whether it may come back, if there is no replacement: not when it is going away anyway. */
  readonly mayReturn: boolean;
}

const BOUND = z.object({ from: z.int(), to: z.int() });
const MARK = z.object({
  run: z.string(),
  suspended: z.array(z.string()),
  max: BOUND.nullable(),
  min: BOUND.nullable().default(null),
  keepOld: z.literal(true).exactOptional(),
  leaving: z.object({ instance: z.string(), desired: z.int(), mayReturn: z.boolean() }).exactOptional(),
});

/** The value of the group's tag: at most 256 characters, AWS' limit. The same hold always gives the same text. */
export function markText({ run, held, keepOld, leaving }: HoldMark): string {
  const { suspended, max, min } = held;
  return JSON.stringify({
    run,
    suspended,
    max: ordered(max),
    ...(min === undefined || min === null ? {} : { min: ordered(min) }),
    keepOld,
    leaving: leaving && {
      instance: leaving.instance,
      desired: leaving.desired,
      mayReturn: leaving.mayReturn,
    },
  });
}

function ordered(bound: Bound | null): Bound | null {
  return bound === null ? null : { from: bound.from, to: bound.to };
}

/** The group's mark; null when it has none, or one that is not Coppice's text any more. */
export function markOn(group: Pick<Group, 'tags'>): HoldMark | null {
  const text = markTextOn(group);
  const read = text === undefined ? undefined : MARK.safeParse(parsed(text));
  if (read?.success !== true) return null;
  const { run, suspended, max, min, ...rest } = read.data;
  return { run, held: { suspended, max, min }, ...rest };
}

/** What stands on the group, mark or not; undefined when nothing does. */
export function markTextOn(group: Pick<Group, 'tags'>): string | undefined {
  return group.tags.find((tag) => tag.key === HOLD_TAG)?.value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
