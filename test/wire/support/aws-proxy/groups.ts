import { succeeded } from './answer.ts';
import { flattened, numberOf, withParameters } from './request.ts';
import { type Handler, invalid, onGroup } from './world.ts';

/** What replaces the way in which a group launches; without any of them an update leaves it as it is. */
const LAUNCH_PARAMETERS = /^(?:MixedInstancesPolicy|LaunchTemplate|LaunchConfigurationName)/;

/** UpdateAutoScalingGroup within bounds. A mixed instances policy is sent again, since moto drops it otherwise. */
export const updateAutoScalingGroup: Handler = onGroup(
  (_world, { parameters }, group) => {
    const min = numberOf(parameters, 'MinSize') ?? group.MinSize;
    const max = numberOf(parameters, 'MaxSize') ?? group.MaxSize;
    const desired = numberOf(parameters, 'DesiredCapacity');
    if (max < min) {
      return invalid(`Max bound, ${max}, must be greater than or equal to min bound, ${min}`);
    }
    return desired !== undefined && (desired < min || desired > max)
      ? invalid(
          `Desired capacity:${desired} must be between the specified min size:${min} and max size:${max}`,
        )
      : null;
  },
  (world, request, group) => {
    const replaced = [...request.parameters.keys()].some((name) => LAUNCH_PARAMETERS.test(name));
    const parameters = new URLSearchParams(request.parameters);
    const kept = replaced ? [] : flattened('MixedInstancesPolicy', group.MixedInstancesPolicy);
    for (const [name, value] of kept) {
      // Described are both a template's id and its name; sent may be only one of them.
      if (!name.endsWith('.LaunchTemplateName')) parameters.set(name, value);
    }
    return world.upstream.forward(withParameters(request, parameters));
  },
);

/** SuspendProcesses and ResumeProcesses, of groups that exist. */
export const onExistingGroup: Handler = onGroup(
  () => null,
  (world, request) => world.upstream.forward(request),
);

/** DescribeAutoScalingGroups, as late as AWS is. */
export const describeGroups: Handler = async ({ upstream, lag }, request) => {
  const answer = await upstream.forward(request);
  return succeeded(answer) ? lag.onGroups(answer) : answer;
};
