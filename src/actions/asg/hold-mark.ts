import { z } from 'zod';
import type { GroupDetail } from '../../cloud/cloud.ts';
import type { Held } from './swap-details.ts';
import { HOLD_TAG } from './tags.ts';

/** Whose hold a group carries, and what has to be given back. */
export interface HoldMark {
  readonly run: string;
  readonly held: Held;
}

const MARK = z.object({
  run: z.string(),
  suspended: z.array(z.string()),
  max: z.object({ from: z.int(), to: z.int() }).nullable(),
});

/** The value of the group's tag: at most 256 characters, AWS' limit. The same hold always gives the same text. */
export function markText({ run, held }: HoldMark): string {
  const { suspended, max } = held;
  return JSON.stringify({ run, suspended, max: max === null ? null : { from: max.from, to: max.to } });
}

/** The group's mark; null when it has none, or one that is not Coppice's text any more. */
export function markOn(group: Pick<GroupDetail, 'tags'>): HoldMark | null {
  const text = group.tags.find((tag) => tag.key === HOLD_TAG)?.value;
  const read = text === undefined ? undefined : MARK.safeParse(parsed(text));
  if (read?.success !== true) return null;
  const { run, ...held } = read.data;
  return { run, held };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
