import { z } from 'zod';
import type { Group } from '../../cloud/cloud.ts';
import type { Held } from './swap-details.ts';
import { HOLD_TAG } from './tags.ts';

/** Whose hold a group carries, and what has to be given back. */
export interface HoldMark {
  readonly run: string;
  readonly held: Held;
  /** The old instance is to be left running once it is out of the group. */
  readonly keepOld?: true;
}

const MARK = z.object({
  run: z.string(),
  suspended: z.array(z.string()),
  max: z.object({ from: z.int(), to: z.int() }).nullable(),
  keepOld: z.literal(true).exactOptional(),
});

/** The value of the group's tag: at most 256 characters, AWS' limit. The same hold always gives the same text. */
export function markText({ run, held, keepOld }: HoldMark): string {
  const { suspended, max } = held;
  const room = max === null ? null : { from: max.from, to: max.to };
  return JSON.stringify({ run, suspended, max: room, keepOld });
}

/** The group's mark; null when it has none, or one that is not Coppice's text any more. */
export function markOn(group: Pick<Group, 'tags'>): HoldMark | null {
  const text = markTextOn(group);
  const read = text === undefined ? undefined : MARK.safeParse(parsed(text));
  if (read?.success !== true) return null;
  const { run, suspended, max, ...rest } = read.data;
  return { run, held: { suspended, max }, ...rest };
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
