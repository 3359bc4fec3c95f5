import { DescribeInstancesCommand } from '@aws-sdk/client-ec2';

import { errorAnswer, succeeded } from './answer.ts';
import { listOf } from './request.ts';
import type { Handler } from './world.ts';

/** DescribeInstances, as late as AWS is. */
export const describeInstances: Handler = async ({ upstream, lag }, request) => {
  const answer = await upstream.forward(request);
  return succeeded(answer) ? lag.onInstances(answer) : answer;
};

/** TerminateInstances: they are shutting down before they are gone. */
export const terminateInstances: Handler = async ({ upstream, lag }, request) => {
  const answer = await upstream.forward(request);
  if (succeeded(answer)) for (const id of listOf(request.parameters, 'InstanceId')) lag.terminated(id);
  return answer;
};

/** CreateTags of what exists; moto writes tags to any id. */
export const createTags: Handler = async ({ upstream }, request) => {
  const ids = listOf(request.parameters, 'ResourceId').filter((id) => id.startsWith('i-'));
  if (ids.length === 0) return upstream.forward(request);
  const { Reservations } = await upstream
    .clients(request.region)
    .ec2.send(new DescribeInstancesCommand({ Filters: [{ Name: 'instance-id', Values: ids }] }));
  const known = (Reservations ?? []).flatMap(({ Instances }) => Instances ?? []);
  const unknown = ids.find((id) => !known.some(({ InstanceId }) => InstanceId === id));
  if (unknown === undefined) return upstream.forward(request);
  const message = `The instance ID '${unknown}' does not exist`;
  return errorAnswer(request.service, { code: 'InvalidInstanceID.NotFound', message });
};
