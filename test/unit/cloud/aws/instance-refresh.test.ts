import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { ElasticLoadBalancingClient } from '@aws-sdk/client-elastic-load-balancing';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';

import { Failure } from '../../../../src/base/failure.ts';
import type { RegionClients } from '../../../../src/cloud/aws/clients.ts';
import { refreshReader } from '../../../../src/cloud/aws/instance-refresh.ts';
import type { Requests } from '../../../../src/cloud/aws/requests.ts';
import { silentLog } from '../../../../src/telemetry/log.ts';

function clients(custom: boolean): RegionClients {
  const region = 'eu-west-1';
  const autoScaling = new AutoScalingClient({ region });
  const ec2 = new EC2Client({ region });
  const balancing = new ElasticLoadBalancingV2Client({ region });
  const classicBalancing = new ElasticLoadBalancingClient({ region });
  return {
    region,
    reads: { autoScaling, ec2, balancing, classicBalancing },
    writes: { autoScaling, ec2 },
    customEndpoint: async () => custom,
  };
}

/** Every request is answered with a page for people. */
function pages(): { requests: Requests; asked: () => number } {
  let asked = 0;
  const fail = async (): Promise<never> => {
    asked += 1;
    const cause = Object.assign(new Error('XML parse error'), { $responseBodyText: '<!doctype html>' });
    throw new Failure('unavailable', 'retry', 'DescribeInstanceRefreshes', cause);
  };
  return { requests: { read: fail, write: fail }, asked: () => asked };
}

test('AWS itself has the operation: a page instead of an answer fails, each time', async () => {
  const { requests, asked } = pages();
  const active = refreshReader(requests, silentLog);
  await assert.rejects(active(clients(false), 'web'), { code: 'unavailable' });
  await assert.rejects(active(clients(false), 'web'), { code: 'unavailable' });
  assert.equal(asked(), 2);
});

test('behind a custom endpoint the operation is missing, and is not asked for again', async () => {
  const { requests, asked } = pages();
  const active = refreshReader(requests, silentLog);
  assert.equal(await active(clients(true), 'web'), false);
  assert.equal(await active(clients(true), 'web'), false);
  assert.equal(asked(), 1);
});
