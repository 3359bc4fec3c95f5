import { compileGlob, isGlob } from './matcher.ts';
import type { Problem } from './problem.ts';
import type { RuleSpec, TriggerSpec } from './rule.ts';
import { INTERNAL_TYPE_PREFIX } from './schedule.ts';

type TypeTrigger = Extract<TriggerSpec, { readonly kind: 'type' }>;

/** Triggers that take nothing which another trigger of the rule does not take: what they ask for beyond it is never asked. */
export function overlapProblems({ on }: RuleSpec, at: Problem['path']): readonly Problem[] {
  return on.flatMap((trigger, index): Problem[] => {
    const wider = on.findIndex((other, place) => place !== index && shadows(other, trigger, place < index));
    if (wider === -1) return [];
    const message = `takes nothing that trigger ${wider + 1} of the rule does not take; leave one of them out`;
    return [{ severity: 'warning', code: 'no-effect', message, path: [...at, 'on', index] }];
  });
}

/** Of two that take the same only the first shadows the other. */
function shadows(wider: TriggerSpec, narrower: TriggerSpec, isFirst: boolean): boolean {
  if (wider.kind !== 'type' || narrower.kind !== 'type' || !takesAllOf(wider, narrower)) return false;
  return isFirst || !takesAllOf(narrower, wider);
}

function takesAllOf(wider: TypeTrigger, narrower: TypeTrigger): boolean {
  return (
    takesType(wider.type, narrower.type) &&
    (wider.status === 'any' || wider.status === narrower.status) &&
    (wider.repeats || !narrower.repeats) &&
    wider.matchers.every((matcher) => narrower.matchers.includes(matcher))
  );
}

/** Whether a glob takes all of another glob is left open; events of Coppice's own are taken by no glob. */
function takesType(wider: string, narrower: string): boolean {
  if (wider === narrower) return true;
  if (!isGlob(wider) || isGlob(narrower) || narrower.startsWith(INTERNAL_TYPE_PREFIX)) return false;
  const glob = compileGlob(wider);
  return glob.ok && glob.value(narrower);
}
