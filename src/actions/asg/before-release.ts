import type { ChainedSpec } from '../../engine/rule.ts';
import type { Action, Step, StepContext, StepOutcome, UndoOutcome } from '../action.ts';
import { httpInSwap } from '../http/http.ts';
import { pluginInSwap } from '../plugin/plugin.ts';
import type { Chained, ChainedPart, SwapContext, SwapDetails } from './swap-details.ts';

/** What may run inside a swap. */
const CHAINED: Readonly<Record<ChainedSpec['kind'], Action>> = {
  http: httpInSwap,
  plugin: pluginInSwap,
};

/**
 * Runs the chained actions in order, such as a drain, each step of theirs written down as it is begun and ended; the first
 * that fails fails the swap. Undone, newest first, where the old instance stays after all.
 */
export const beforeRelease: Step<SwapDetails> = {
  name: 'before-release',
  deadlineMs: (context) => context.detail('plan').waits.beforeReleaseMs,
  async perform(context): Promise<StepOutcome> {
    const parts = partsOf(context);
    if (parts.length === 0) return { kind: 'skipped' };
    for (const part of parts) {
      if (recorded(context, part)?.state === 'done') continue;
      if (recorded(context, part) === null) await record(context, part, { state: 'running', detail: {} });
      const outcome = await part.step.perform(contextFor(context, part));
      if (outcome.kind === 'wait' || outcome.kind === 'refused') return outcome;
      const detail = outcome.kind === 'done' ? outcome.detail : {};
      await record(context, part, {
        state: 'done',
        detail: { ...recorded(context, part)?.detail, ...detail },
      });
    }
    return { kind: 'done', detail: {} };
  },
  async undo(context): Promise<UndoOutcome> {
    for (const part of partsOf(context).reverse()) {
      const { undo } = part.step;
      const state = recorded(context, part)?.state;
      if (undo === undefined || state === undefined || state === 'undone') continue;
      const outcome = await undo.call(part.step, contextFor(context, part));
      if (outcome.kind === 'wait') return outcome;
      await record(context, part, { ...EMPTY, ...recorded(context, part), state: 'undone' });
    }
    return { kind: 'undone' };
  },
};

const EMPTY: ChainedPart = { state: 'running', detail: {} };

/** One step of one chained action. */
interface Part {
  readonly key: string;
  readonly position: number;
  readonly spec: ChainedSpec;
  readonly step: Step;
}

function partsOf({ action }: SwapContext): Part[] {
  const specs = action.kind === 'swap' ? action.swap.beforeRelease : [];
  return specs.flatMap((spec, position) =>
    CHAINED[spec.kind].orderOf({}).map((step) => ({
      ...{ key: `${position}.${step.name}`, position, spec, step },
    })),
  );
}

function recorded(context: SwapContext, { key }: Pick<Part, 'key'>): ChainedPart | null {
  return context.soFar('before-release').parts?.[key] ?? null;
}

async function record(context: SwapContext, { key }: Part, part: ChainedPart): Promise<void> {
  const { parts = {} } = context.soFar('before-release');
  await context.checkpoint({ parts: { ...parts, [key]: part } } satisfies Chained);
}

/** The swap's own context, but for what the step knows of itself and of its neighbours in the same action. */
function contextFor(context: SwapContext, part: Part): StepContext {
  const detailOf = (name: string): object =>
    recorded(context, { key: `${part.position}.${name}` })?.detail ?? {};
  return {
    ...context,
    action: part.spec,
    soFar: detailOf,
    detail: detailOf,
    checkpoint: (detail) => record(context, part, { state: 'running', detail }),
  };
}
