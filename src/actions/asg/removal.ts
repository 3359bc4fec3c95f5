import { Failure } from '../../base/failure.ts';
import { groupKey } from '../../base/group-name.ts';
import { marketName } from '../../base/market.ts';
import type { Capacity } from '../../cloud/cloud.ts';
import type { RemovalSpec } from '../../engine/rule.ts';
import { type Action, defineAction, type Step, type StepContext, type StepOutcome } from '../action.ts';
import { markReleased } from './mark-released.ts';
import { accepted, groupNow, isLeaving, memberOf } from './membership.ts';
import { planRemoval, type RemovalPlan } from './removal-plan.ts';

/** What each step of a removal writes down. */
interface RemovalDetails extends Readonly<Record<string, object>> {
  readonly plan: RemovalPlan;
  readonly 'take-out': { readonly sent: boolean };
  readonly 'await-left': object;
}

type RemovalContext = StepContext<RemovalDetails>;

/** How an instance is taken out: running, or through its group with hooks and draining. */
type Way = 'detach' | 'terminate';

/** For so long a request that stays unclear is worth trying: nobody else would finish it. */
const PATIENCE_MS = 1_800_000;

const planStep: Step<RemovalDetails> = {
  name: 'plan',
  async perform(context): Promise<StepOutcome> {
    const planned = await planRemoval(context, specOf(context));
    if (planned.kind === 'plan') return { kind: 'done', detail: planned.plan };
    const { reason, detail } = planned.refusal;
    return { kind: 'refused', reason, message: detail, detail: {} };
  },
};

/** One request, which is the whole deed: there is no way back, and nothing that would have to be given back. */
function takeOut(way: Way): Step<RemovalDetails> {
  return {
    name: 'take-out',
    pointOfNoReturn: true,
    deadlineMs: () => PATIENCE_MS,
    async perform(context): Promise<StepOutcome> {
      const { run } = context;
      const group = await groupNow(context);
      const member = memberOf(group, run.instanceId);
      if (member === undefined || isLeaving(member)) return foundGone(context);
      const again = context.soFar('take-out').sent === true;
      await begin(context, way);
      if (await accepted(request(context, way), again)) return { kind: 'done', detail: { sent: true } };
      return { kind: 'wait', for: `${run.instanceId} to be seen leaving` };
    },
  };
}

/** Waits until connections are drained and hooks have run; that it takes longer than a release should is no failure. */
const awaitLeft: Step<RemovalDetails> = {
  name: 'await-left',
  lateIs: 'done',
  deadlineMs: (context) => context.detail('plan').releaseMs,
  async perform(context): Promise<StepOutcome> {
    const { instanceId } = context.run;
    const member = memberOf(await groupNow(context), instanceId);
    if (member === undefined) return { kind: 'done', detail: {} };
    return { kind: 'wait', for: `${instanceId} to leave the group` };
  },
};

function removal(way: Way): Action {
  return defineAction<RemovalDetails>(way, [planStep, takeOut(way), awaitLeft]);
}

/** Takes the instance out of its group and leaves it running. */
export const detach: Action = removal('detach');

/** Terminates the instance through its group. */
export const terminate: Action = removal('terminate');

/** By our request if one was sent; else it left by itself, or a person took it out, and there is nothing to do. */
function foundGone(context: RemovalContext): StepOutcome {
  if (context.soFar('take-out').sent === true) return { kind: 'done', detail: { sent: true } };
  const { instanceId } = context.run;
  throw new Failure('no_longer_member', 'reject', `${instanceId} has left the group by itself`);
}

/** Counted, marked and written down before the request is sent. */
async function begin(context: RemovalContext, way: Way): Promise<void> {
  const { run, world, clock } = context;
  const { market } = context.detail('plan');
  const { urgent } = specOf(context);
  const at = clock.now();
  await world.swapBegan({
    runId: run.id,
    group: groupKey(run.group),
    market: marketName(market),
    at,
    urgent,
  });
  if (way === 'detach') await markReleased(context);
  await context.checkpoint({ sent: true });
}

function request(context: RemovalContext, way: Way): Promise<unknown> {
  const { cloud, run } = context;
  const capacity: Capacity = specOf(context).replace ? 'kept' : 'lowered';
  return way === 'detach'
    ? cloud.detach(run.group, run.instanceId, capacity)
    : cloud.terminateInGroup(run.group, run.instanceId, capacity);
}

function specOf({ action }: RemovalContext): RemovalSpec {
  if (action.kind === 'detach') return action.detach;
  if (action.kind === 'terminate') return action.terminate;
  throw new Failure('internal', 'reject', `${action.kind} takes no instance out`);
}
