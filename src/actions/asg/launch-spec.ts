import { createHash } from 'node:crypto';
import { Failure } from '../../base/failure.ts';
import { groupKey } from '../../base/group-name.ts';
import type { FleetRequest, LaunchRequest, LaunchSource } from '../../cloud/cloud.ts';
import type { Run } from '../run.ts';
import type { LaunchAttempt } from './swap-details.ts';
import type { SwapPlan } from './swap-plan.ts';
import { GROUP_TAG, MANAGED_BY_TAG, REPLACES_TAG, RUN_TAG } from './tags.ts';

/** AWS' limit for a client token. */
const TOKEN_LENGTH = 64;

/** What a plan says of how the replacement is launched, but for its market. */
export type LaunchParts = Pick<SwapPlan, 'source' | 'subnet' | 'placementGroup' | 'tags' | 'old'>;

/** Whose launch it is. */
export interface SwapAttempt {
  readonly run: Pick<Run, 'id' | 'group'>;
  /** Which attempt of the swap, from 1. */
  readonly attempt: number;
}

/**
 * The request of the last of these attempts: what the group itself would launch, but for its market. Pure and repeatable: the
 * same swap, plan and attempts always give the same request with the same token, and no two attempts share a token, because
 * AWS takes a token in another zone for a new request (EC2 developer guide, "Ensuring idempotency"), and one that was used
 * for other markets for a mistake. Throws `internal` without an attempt.
 */
export function requestOf(
  swap: SwapAttempt,
  plan: LaunchParts,
  attempts: readonly LaunchAttempt[],
): LaunchRequest | FleetRequest {
  const attempt = attempts.at(-1);
  if (attempt === undefined) throw new Failure('internal', 'reject', 'no launch was attempted');
  const { source, subnet, placementGroup } = plan;
  const common = {
    group: swap.run.group,
    token: tokenOf(swap, attempts.length),
    subnet,
    placementGroup,
    tags: tagsOf(swap.run, plan),
  };
  return 'markets' in attempt
    ? { ...common, source: templateOf(source), markets: attempt.markets }
    : { ...common, source, market: attempt.market };
}

/** A swap that is tried again launches anew: with a token of the time before AWS would answer with the instance of then. */
function tokenOf({ run, attempt }: SwapAttempt, launch: number): string {
  const swap = attempt === 1 ? run.id : `${run.id}|${attempt}`;
  return createHash('sha256').update(`${swap}|${launch}`).digest('base64url').slice(0, TOKEN_LENGTH);
}

function tagsOf(run: Pick<Run, 'id' | 'group'>, plan: LaunchParts): LaunchRequest['tags'] {
  return {
    // CloudFormation's own tags propagate, but nobody else may set them (InvalidTagKey.Malformed).
    ...Object.fromEntries(Object.entries(plan.tags).filter(([key]) => !key.startsWith('aws:'))),
    [RUN_TAG]: run.id,
    [GROUP_TAG]: groupKey(run.group),
    [REPLACES_TAG]: plan.old.instanceId,
    [MANAGED_BY_TAG]: 'coppice',
  };
}

function templateOf(source: LaunchSource): FleetRequest['source'] {
  if (source.kind === 'template') return source;
  throw new Failure('internal', 'reject', 'a fleet was planned without a launch template');
}
