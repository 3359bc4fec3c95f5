import { checkAllSoon } from './group-life.ts';
import { reconcileSoon } from './members.ts';
import { invalid, type Refusal } from './refusal.ts';
import type { SimulatedGroup, Simulation } from './simulation.ts';

/** Every process that can be suspended. */
const PROCESSES: ReadonlySet<string> = new Set([
  'Launch',
  'Terminate',
  'AddToLoadBalancer',
  'AlarmNotification',
  'AZRebalance',
  'HealthCheck',
  'InstanceRefresh',
  'ReplaceUnhealthy',
  'ScheduledActions',
]);

/** SuspendProcesses: null when it was done. Suspending what is suspended does nothing. */
export function suspendProcesses(group: SimulatedGroup, processes: readonly string[]): Refusal | null {
  const refused = processRefusal(group, processes, 'suspended');
  if (refused !== null) return refused;
  for (const process of processes) group.suspended.add(process);
  return null;
}

/** ResumeProcesses: null when it was done. What had to wait is looked at soon. */
export function resumeProcesses(
  simulation: Simulation,
  group: SimulatedGroup,
  processes: readonly string[],
): Refusal | null {
  const refused = processRefusal(group, processes, 'resumed');
  if (refused !== null) return refused;
  for (const process of processes) group.suspended.delete(process);
  checkAllSoon(simulation, group);
  reconcileSoon(simulation, group);
  return null;
}

function processRefusal(
  group: SimulatedGroup,
  processes: readonly string[],
  what: 'suspended' | 'resumed',
): Refusal | null {
  if (group.deleting) {
    return invalid(`Processes may not be ${what} while the AutoScaling group is pending delete`);
  }
  const unknown = processes.filter((process) => !PROCESSES.has(process));
  return unknown.length > 0 ? invalid(`Invalid scaling processes: [${unknown.join(', ')}]`) : null;
}

/** UpdateAutoScalingGroup of the sizes: null when it was done. Desired follows the bounds, as AWS has it. */
export function resizeGroup(
  simulation: Simulation,
  group: SimulatedGroup,
  sizes: { readonly min?: number; readonly max?: number; readonly desired?: number },
): Refusal | null {
  const { min = group.min, max = group.max } = sizes;
  const refused = sizeRefusal(group, min, max, sizes.desired);
  if (refused !== null) return refused;
  group.min = min;
  group.max = max;
  group.desired = Math.min(max, Math.max(min, sizes.desired ?? group.desired));
  reconcileSoon(simulation, group);
  return null;
}

function sizeRefusal(
  group: SimulatedGroup,
  min: number,
  max: number,
  desired: number | undefined,
): Refusal | null {
  if (group.deleting) {
    return invalid('The AutoScaling group may not be modified while it is pending delete');
  }
  if (min < 0) return invalid(`Min size ${min} must be greater than or equal to 0`);
  if (max < min) return invalid(`Max bound, ${max}, must be greater than or equal to min bound, ${min}`);
  return desired !== undefined && (desired < min || desired > max)
    ? invalid(`Desired capacity:${desired} must be between the specified min size:${min} and max size:${max}`)
    : null;
}

/** CreateOrUpdateTags or DeleteTags of one tag that does not propagate: null when it was done. */
export function writeGroupTag(group: SimulatedGroup, key: string, value: string | null): Refusal | null {
  if (key.startsWith('aws:')) return invalid('Tag keys may not start with aws:');
  if (value === null) group.tags.delete(key);
  else group.tags.set(key, { key, value, propagates: false });
  return null;
}
