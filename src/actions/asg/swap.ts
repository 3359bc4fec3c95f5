import type { PurchaseOption } from '../../base/market.ts';
import { type Action, defineAction } from '../action.ts';
import type { Run } from '../run.ts';
import { giveBack, hold } from './hold.ts';
import { attach, awaitInService, awaitRunning } from './join.ts';
import { launch } from './launch.ts';
import { plan } from './plan-step.ts';
import { awaitReleased, beforeRelease, releaseOld, terminateOld } from './release.ts';
import type { SwapDetails } from './swap-details.ts';

/**
 * Replaces one instance of a group by one of another market; the new one serves before the old one leaves (design: swap.md,
 * "Steps of launch-first"). Until the old instance is released everything can be undone; from there on the group is as it
 * should be, and only cleaning up remains.
 */
export const swap: Action = defineAction<SwapDetails>('swap', [
  plan,
  hold,
  launch,
  awaitRunning,
  attach,
  awaitInService,
  beforeRelease,
  releaseOld,
  awaitReleased,
  terminateOld,
  giveBack,
]);

/** Purchase option that the run's swap goes to; null when it was refused before that was settled. */
export function swapTarget(run: Run): PurchaseOption | null {
  const detail: Partial<SwapDetails['plan']> = run.steps.find((step) => step.name === 'plan')?.detail ?? {};
  return detail.plan?.to ?? null;
}
