import type { PurchaseOption } from '../../base/market.ts';
import { type Action, defineOrderedAction, type Step } from '../action.ts';
import type { Run } from '../run.ts';
import { beforeRelease } from './before-release.ts';
import { commit, detachOld } from './detach-first.ts';
import { giveBack, hold } from './hold.ts';
import { attach, awaitHealthy, awaitInService, awaitRunning } from './join.ts';
import { launch } from './launch.ts';
import { plan } from './plan-step.ts';
import { awaitReleased, releaseOld, terminateOld } from './release.ts';
import type { SwapDetails } from './swap-details.ts';

type SwapSteps = readonly Step<SwapDetails>[];

/** The new one serves before the old one leaves; from then on only cleaning up remains. */
const LAUNCH_FIRST: SwapSteps = [
  plan,
  hold,
  launch,
  awaitRunning,
  attach,
  awaitInService,
  awaitHealthy,
  beforeRelease,
  releaseOld,
  awaitReleased,
  terminateOld,
  giveBack,
];

/** The old one leaves before the new one is launched, so the group is one short meanwhile. */
const DETACH_FIRST: SwapSteps = [
  plan,
  hold,
  beforeRelease,
  detachOld,
  launch,
  awaitRunning,
  attach,
  awaitInService,
  awaitHealthy,
  commit,
  awaitReleased,
  terminateOld,
  giveBack,
];

/**
 * Replaces one instance of a group by one of another market (docs/swap.md, "Launch first"), in the order that
 * the plan has chosen. Until the point of no return everything can be undone; from there on the group is as it should be.
 */
export const swap: Action = defineOrderedAction<SwapDetails>(
  'swap',
  [LAUNCH_FIRST, DETACH_FIRST],
  (planned: Partial<SwapDetails['plan']>) => (planned.first === 'detach' ? DETACH_FIRST : LAUNCH_FIRST),
);

/** Purchase option that the run's swap goes to, by its newest plan; null when it was refused before that was settled. */
export function swapTarget(run: Run): PurchaseOption | null {
  const swap = run.actions.findIndex(({ kind }) => kind === 'swap');
  const plans = run.steps.filter(({ action, name }) => action === swap && name === 'plan');
  const details = plans.map(({ detail }): Partial<SwapDetails['plan']> => detail);
  return details.findLast(({ plan: shown }) => shown !== undefined)?.plan?.to ?? null;
}
