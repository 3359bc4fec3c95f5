import {
  type Activity,
  AttachInstancesCommand,
  CreateOrUpdateTagsCommand,
  DeleteTagsCommand,
  DetachInstancesCommand,
  ResumeProcessesCommand,
  SetInstanceProtectionCommand,
  SuspendProcessesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  CreateFleetCommand,
  CreateTagsCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';

import { Failure } from '../../base/failure.ts';
import type { CloudWrites, TakenOut } from '../cloud.ts';
import { createFleetInput, fleetAnswer } from './create-fleet.ts';
import type { SourceTools } from './launch-source.ts';
import { runInstancesInput } from './run-instances.ts';

type MachineWrites = Pick<CloudWrites, 'launch' | 'launchFleet' | 'terminate' | 'tagInstance'>;
type MembershipWrites = Pick<CloudWrites, 'attach' | 'detach' | 'terminateInGroup' | 'protect'>;
type GroupWrites = Pick<CloudWrites, 'suspend' | 'resume' | 'resize' | 'tagGroup'>;

/** Writes that need no group. */
export function machineWrites({ clients, requests, templates }: Omit<SourceTools, 'images'>): MachineWrites {
  return {
    async launch(request) {
      const { group, source } = request;
      const template =
        source.kind === 'template'
          ? (await templates.pinned(group.region, source.templateId, source.version)).data
          : null;
      const input = runInstancesInput(request, template);
      const { Instances } = await requests.write('RunInstances', () =>
        clients.of(group.region).writes.ec2.send(new RunInstancesCommand(input)),
      );
      const instanceId = Instances?.[0]?.InstanceId;
      if (instanceId !== undefined) return { instanceId };
      throw new Failure('ambiguous', 'retry', 'RunInstances: the answer names no instance');
    },

    async launchFleet(request) {
      const { group, source } = request;
      const { data } = await templates.pinned(group.region, source.templateId, source.version);
      const input = createFleetInput(request, data);
      const result = await requests.write('CreateFleet', () =>
        clients.of(group.region).writes.ec2.send(new CreateFleetCommand(input)),
      );
      return fleetAnswer(request, result);
    },

    async terminate(where, instanceId) {
      const input = { InstanceIds: [instanceId] };
      await requests.write('TerminateInstances', () =>
        clients.of(where.region).writes.ec2.send(new TerminateInstancesCommand(input)),
      );
    },

    async tagInstance(where, instanceId, key, value) {
      const input = { Resources: [instanceId], Tags: [{ Key: key, Value: value }] };
      await requests.write('CreateTags', () =>
        clients.of(where.region).writes.ec2.send(new CreateTagsCommand(input)),
      );
    },
  };
}

/** Writes on one member of a group. */
export function membershipWrites({
  clients,
  requests,
}: Pick<SourceTools, 'clients' | 'requests'>): MembershipWrites {
  return {
    async attach({ region, name }, instanceId) {
      const input = { AutoScalingGroupName: name, InstanceIds: [instanceId] };
      await requests.write('AttachInstances', () =>
        clients.of(region).writes.autoScaling.send(new AttachInstancesCommand(input)),
      );
    },

    async detach({ region, name }, instanceId, capacity = 'lowered') {
      const input = {
        AutoScalingGroupName: name,
        InstanceIds: [instanceId],
        ShouldDecrementDesiredCapacity: capacity === 'lowered',
      };
      const { Activities } = await requests.write('DetachInstances', () =>
        clients.of(region).writes.autoScaling.send(new DetachInstancesCommand(input)),
      );
      return takenOut(Activities?.[0]);
    },

    async terminateInGroup({ region }, instanceId, capacity = 'lowered') {
      const input = { InstanceId: instanceId, ShouldDecrementDesiredCapacity: capacity === 'lowered' };
      const { Activity } = await requests.write('TerminateInstanceInAutoScalingGroup', () =>
        clients.of(region).writes.autoScaling.send(new TerminateInstanceInAutoScalingGroupCommand(input)),
      );
      return takenOut(Activity);
    },

    async protect({ region, name }, instanceId, on) {
      const input = { AutoScalingGroupName: name, InstanceIds: [instanceId], ProtectedFromScaleIn: on };
      await requests.write('SetInstanceProtection', () =>
        clients.of(region).writes.autoScaling.send(new SetInstanceProtectionCommand(input)),
      );
    },
  };
}

/** Writes on the group itself. All set absolute values, so that repeating them changes nothing. */
export function groupWrites({ clients, requests }: Pick<SourceTools, 'clients' | 'requests'>): GroupWrites {
  return {
    async suspend({ region, name }, processes) {
      const input = { AutoScalingGroupName: name, ScalingProcesses: named(processes) };
      await requests.write('SuspendProcesses', () =>
        clients.of(region).writes.autoScaling.send(new SuspendProcessesCommand(input)),
      );
    },

    async resume({ region, name }, processes) {
      const input = { AutoScalingGroupName: name, ScalingProcesses: named(processes) };
      await requests.write('ResumeProcesses', () =>
        clients.of(region).writes.autoScaling.send(new ResumeProcessesCommand(input)),
      );
    },

    async resize({ region, name }, { min, max, desired }) {
      const input = { AutoScalingGroupName: name, MinSize: min, MaxSize: max, DesiredCapacity: desired };
      await requests.write('UpdateAutoScalingGroup', () =>
        clients.of(region).writes.autoScaling.send(new UpdateAutoScalingGroupCommand(input)),
      );
    },

    async tagGroup({ region, name }, key, value) {
      const { autoScaling } = clients.of(region).writes;
      const tag = {
        ResourceId: name,
        ResourceType: 'auto-scaling-group',
        Key: key,
        PropagateAtLaunch: false,
      };
      if (value === null) {
        await requests.write('DeleteTags', () => autoScaling.send(new DeleteTagsCommand({ Tags: [tag] })));
        return;
      }
      const input = { Tags: [{ ...tag, Value: value }] };
      await requests.write('CreateOrUpdateTags', () =>
        autoScaling.send(new CreateOrUpdateTagsCommand(input)),
      );
    },
  };
}

/** An empty list means "all processes" to AWS. */
function named(processes: readonly string[]): string[] {
  if (processes.length > 0) return [...processes];
  throw new Failure('internal', 'reject', 'suspending or resuming: an empty list would mean every process');
}

/** AWS tells it only in the cause of the activity: "… in response to a user request, shrinking the capacity from 2 to 1." */
function takenOut(activity: Activity | undefined): TakenOut {
  const [, before] = /shrinking the capacity from (\d+) to \d+/.exec(activity?.Cause ?? '') ?? [];
  return { desiredBefore: before === undefined ? null : Number(before) };
}
