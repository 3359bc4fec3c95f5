import { Failure } from '../base/failure.ts';
import type { Cloud, CloudWrites } from '../cloud/cloud.ts';

/**
 * The cloud, as long as the group is ours: once `holds` answers false every write fails with `lease_lost` before it is
 * sent. Reads always pass.
 */
export function fencedCloud(cloud: Cloud, holds: () => boolean): Cloud {
  const fenced = <A extends readonly unknown[], R>(
    write: (...args: A) => Promise<R>,
  ): ((...args: A) => Promise<R>) => {
    return (...args) =>
      holds()
        ? write(...args)
        : Promise.reject(new Failure('lease_lost', 'reject', 'the lease of the group has ended'));
  };
  const writes: CloudWrites = {
    launch: fenced((request) => cloud.launch(request)),
    launchFleet: fenced((request) => cloud.launchFleet(request)),
    terminate: fenced((where, id) => cloud.terminate(where, id)),
    attach: fenced((group, id) => cloud.attach(group, id)),
    detach: fenced((group, id, capacity) => cloud.detach(group, id, capacity)),
    terminateInGroup: fenced((group, id, capacity) => cloud.terminateInGroup(group, id, capacity)),
    suspend: fenced((group, processes) => cloud.suspend(group, processes)),
    resume: fenced((group, processes) => cloud.resume(group, processes)),
    resize: fenced((group, sizes) => cloud.resize(group, sizes)),
    protect: fenced((group, id, on) => cloud.protect(group, id, on)),
    tagGroup: fenced((group, key, value) => cloud.tagGroup(group, key, value)),
    tagInstance: fenced((where, id, key, value) => cloud.tagInstance(where, id, key, value)),
  };
  return {
    groups: () => cloud.groups(),
    groupsNamed: (where, names) => cloud.groupsNamed(where, names),
    groupInDetail: (group) => cloud.groupInDetail(group),
    instances: (where, ids) => cloud.instances(where, ids),
    instancesTagged: (key) => cloud.instancesTagged(key),
    launchSource: (group) => cloud.launchSource(group),
    marketData: (where, zones, platform) => cloud.marketData(where, zones, platform),
    targetHealth: (group, id) => cloud.targetHealth(group, id),
    ...writes,
  };
}
