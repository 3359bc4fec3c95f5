import { createHash } from 'node:crypto';
import { groupKey } from '../../base/group-name.ts';
import type { Market } from '../../base/market.ts';
import type { LaunchRequest } from '../../cloud/cloud.ts';
import type { Run } from '../run.ts';
import type { SwapPlan } from './swap-plan.ts';
import { GROUP_TAG, MANAGED_BY_TAG, REPLACES_TAG, RUN_TAG } from './tags.ts';

/** AWS' limit for a client token. */
const TOKEN_LENGTH = 64;

/**
 * The launch of one attempt: what the group itself would launch, but for its market. Pure and repeatable: the same run,
 * plan and attempt always give the same request with the same token, and no two attempts share a token, because AWS takes
 * a token in another zone for a new request (EC2 developer guide, "Ensuring idempotency").
 */
export function launchRequest(
  run: Pick<Run, 'id' | 'group'>,
  plan: SwapPlan,
  attempt: { market: Market; number: number },
): LaunchRequest {
  return {
    group: run.group,
    token: createHash('sha256')
      .update(`${run.id}|${attempt.number}`)
      .digest('base64url')
      .slice(0, TOKEN_LENGTH),
    source: plan.source,
    market: attempt.market,
    subnet: plan.subnet,
    placementGroup: plan.placementGroup,
    tags: {
      // CloudFormation's own tags propagate, but nobody else may set them (InvalidTagKey.Malformed).
      ...Object.fromEntries(Object.entries(plan.tags).filter(([key]) => !key.startsWith('aws:'))),
      [RUN_TAG]: run.id,
      [GROUP_TAG]: groupKey(run.group),
      [REPLACES_TAG]: plan.old.instanceId,
      [MANAGED_BY_TAG]: 'coppice',
    },
  };
}
