import { Failure } from '../base/failure.ts';
import type { Cloud } from '../cloud/cloud.ts';
import { fencedCloud } from './fenced-cloud.ts';

/**
 * The cloud, but for what would end the instance that Coppice itself runs on, or take it out of its group: that fails with
 * `own_instance` before it is sent. Plans refuse such a swap and say why; this is for what no plan foresaw, such as a
 * process that was moved, in the middle of a swap, to an instance of that swap.
 */
export function sparingCloud(cloud: Cloud, ownInstance: string | null): Cloud {
  if (ownInstance === null) return cloud;
  const spared = <T>(instanceId: string, write: () => Promise<T>): Promise<T> =>
    instanceId === ownInstance
      ? Promise.reject(new Failure('own_instance', 'reject', `Coppice runs on ${instanceId}`))
      : write();
  return {
    // Spelled out there, behind a fence that stands open: an adapter may be a class, whose methods cannot be copied.
    ...fencedCloud(cloud, () => true),
    terminate: (where, id) => spared(id, () => cloud.terminate(where, id)),
    detach: (group, id, capacity) => spared(id, () => cloud.detach(group, id, capacity)),
    terminateInGroup: (group, id, capacity) => spared(id, () => cloud.terminateInGroup(group, id, capacity)),
  };
}
