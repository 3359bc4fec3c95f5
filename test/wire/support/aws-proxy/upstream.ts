import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';

import type { Answer } from './answer.ts';
import type { AwsRequest } from './request.ts';

/** moto, for the proxy: requests as they come, and clients for what the proxy itself has to know or to mend. */
export interface Upstream {
  forward(request: AwsRequest): Promise<Answer>;
  clients(region: string): UpstreamClients;
}

export interface UpstreamClients {
  readonly autoScaling: AutoScalingClient;
  readonly ec2: EC2Client;
  readonly balancing: ElasticLoadBalancingV2Client;
}

/** What moto, or its routing, looks at: the scope of the signature. */
const FORWARDED = ['authorization', 'content-type', 'x-amz-date', 'user-agent'];

export function createUpstream(endpoint: string): Upstream {
  const byRegion = new Map<string, UpstreamClients>();
  return {
    async forward({ headers, parameters }) {
      const kept = FORWARDED.flatMap((name) => {
        const value = headers[name];
        return typeof value === 'string' ? [[name, value] as const] : [];
      });
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: Object.fromEntries(kept),
        body: parameters.toString(),
      });
      return {
        status: response.status,
        contentType: response.headers.get('content-type') ?? 'text/xml',
        body: await response.text(),
      };
    },
    clients(region) {
      const clients = byRegion.get(region) ?? createClients(region, endpoint);
      byRegion.set(region, clients);
      return clients;
    },
  };
}

function createClients(region: string, endpoint: string): UpstreamClients {
  const options = { region, endpoint, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
  return {
    autoScaling: new AutoScalingClient(options),
    ec2: new EC2Client(options),
    balancing: new ElasticLoadBalancingV2Client(options),
  };
}
