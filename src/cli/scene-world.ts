import {
  group,
  imageFor,
  instances,
  type SimulatedWorld,
  template,
  world,
} from '../cloud/simulated/world.ts';
import type { Scene, SceneGroup, SceneInstances } from '../config/scene.ts';

/** The simulated cloud that a scene describes. */
export function worldOf({ groups, ...rest }: Scene): SimulatedWorld {
  return world(groups.map(groupSpec), rest);
}

function groupSpec(given: SceneGroup): SimulatedWorld['groups'][number] {
  const { name, tags, launch, suspended, instances: members, ...rest } = given;
  return group(name, {
    ...rest,
    tags: Object.entries(tags).map(([key, value]) => ({ key, value, propagates: true })),
    launch: template(launch.type, { spot: launch.spot, imageId: imageFor(launch.type) }),
    suspendedProcesses: suspended,
    instances: members.map(membersOf),
  });
}

function membersOf(given: SceneInstances): SimulatedWorld['groups'][number]['instances'][number] {
  const { type, zone, purchaseOption, ids, ageMs, healthy, tags } = given;
  return instances(type, zone, ids.length, {
    ...{ purchaseOption, ids, tags, ageSeconds: ageMs / 1000, protected: given.protected },
    healthStatus: healthy ? 'Healthy' : 'Unhealthy',
  });
}
