import { asFailure, Failure, type FailureCode } from '../base/failure.ts';
import type { IdKind } from '../base/id.ts';
import type { CloudReads, FleetRequest, LaunchRequest } from '../cloud/cloud.ts';
import { type SwapWish, swapRequestEvent } from '../engine/by-hand.ts';
import { decide } from '../engine/decide.ts';
import type { Decision } from '../engine/decision.ts';
import type { Reason } from '../engine/reason.ts';
import type { Ruleset } from '../engine/ruleset.ts';
import { nextAttempt } from './asg/launch-attempts.ts';
import { requestOf } from './asg/launch-spec.ts';
import { type PlanWorld, readAndPlan, type SwapTask } from './asg/plan-step.ts';
import type { SwapPlan } from './asg/swap-plan.ts';
import { type FleetForEventsDeps, fleetFor } from './fleet-for-events.ts';

/** What would come of a request for a swap. */
export interface DryRun {
  readonly decision: Decision;
  /** Also of a plan that is refused, where candidates were looked at. */
  readonly plan: SwapPlan['plan'] | null;
  /** Why nothing would be done; null when it would. */
  readonly refusal: { readonly reason: Reason | FailureCode; readonly detail: string } | null;
  /** The launch that would be tried first; a run has an id of its own, so token and tags would be others. */
  readonly requests: readonly (LaunchRequest | FleetRequest)[];
}

export interface DryRunDeps extends FleetForEventsDeps {
  /** Nothing can be changed through it. */
  readonly cloud: CloudReads;
  readonly ruleset: { current(): Ruleset };
  readonly world: Omit<PlanWorld, 'clock'>;
  readonly newId: (kind: IdKind) => string;
  readonly shadow: boolean;
}

/**
 * Decides and plans a swap as it would be decided and planned if it were asked for now, and records nothing. Fails when
 * the cloud cannot be read for now (disposition retry).
 */
export async function dryRun(wish: SwapWish, deps: DryRunDeps): Promise<DryRun> {
  const decision = await decisionOn(wish, deps);
  const { outcome, reason, detail } = decision;
  const withheld = outcome === 'dispatched' ? null : { reason, detail };
  const task = taskOf(decision);
  if (task === null) return { decision, plan: null, refusal: withheld, requests: [] };
  const { plan, refusal, requests } = await planOf(task, deps);
  return { decision, plan, refusal: withheld ?? refusal, requests };
}

async function decisionOn(wish: SwapWish, deps: DryRunDeps): Promise<Decision> {
  const { clock, newId, shadow, world } = deps;
  const event = swapRequestEvent(wish, { now: clock.now(), newId });
  const fleet = await fleetFor([event], deps);
  const ruleset = deps.ruleset.current();
  const { memory } = world;
  const [verdict] = await decide({ event, ruleset, fleet, memory, now: clock.now(), shadow, newId });
  if (verdict === undefined) throw new Failure('internal', 'reject', 'a request came to no decision');
  return verdict.decision;
}

/** What a run of the decision would do, also where it is only watched; null when nothing. */
function taskOf({ subject, actions }: Decision): SwapTask | null {
  const { group, instance } = subject;
  const [action] = actions;
  if (group === null || instance === null || action?.kind !== 'swap') return null;
  return { group, instanceId: instance, spec: action.swap };
}

async function planOf(task: SwapTask, deps: DryRunDeps): Promise<Omit<DryRun, 'decision'>> {
  const { cloud, world, clock, newId } = deps;
  try {
    const planned = await readAndPlan(cloud, task, { ...world, clock });
    if (planned.kind === 'refused') return { plan: planned.shown, refusal: planned.refusal, requests: [] };
    const swap = { run: { id: newId('run'), group: task.group }, attempt: 1 };
    const first = nextAttempt(planned.plan, []);
    const requests = first === null ? [] : [requestOf(swap, planned.plan, [first])];
    return { plan: planned.plan.plan, refusal: null, requests };
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure.disposition === 'retry' || failure.code === 'internal') throw failure;
    // The plan of a run would fail with the same.
    return { plan: null, refusal: { reason: failure.code, detail: failure.message }, requests: [] };
  }
}
