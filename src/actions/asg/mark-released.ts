import type { StepContext } from '../action.ts';
import { RELEASED_TAG, RUN_TAG } from './tags.ts';

/**
 * What Coppice launched once and lets go now, running, carries a tag that says so, before it is let go: the janitor would
 * take it for an instance left behind. Whoever has no such instance pays no more than a look.
 */
export async function markReleased({ cloud, run }: Pick<StepContext, 'cloud' | 'run'>): Promise<void> {
  const [machine] = await cloud.instances(run.group, [run.instanceId]);
  if (machine?.state !== 'running' || !(RUN_TAG in machine.tags) || RELEASED_TAG in machine.tags) return;
  await cloud.tagInstance(run.group, run.instanceId, RELEASED_TAG, run.id);
}
