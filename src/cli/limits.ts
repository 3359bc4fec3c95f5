import { formatDuration } from '../base/duration.ts';
import type { BudgetSpec, EffectivePolicy, RelativeRange } from '../engine/policy.ts';
import type { Cell } from './table.ts';

/** The limits in force as rows for people, in the words of rule files. */
export function describeLimits(policy: EffectivePolicy): readonly (readonly [string, Cell])[] {
  const { instanceTypes, swap } = policy;
  const { runningMs, inServiceMs, releaseMs } = swap.waits;
  return [
    ['  paused', policy.paused],
    ['  onDemand', policy.floors.map(describeFloor).join(', ') || 'no floor'],
    [
      '  diversity.maxMarketShare',
      policy.maxMarketShare === null ? 'no limit' : percent(policy.maxMarketShare),
    ],
    ['  diversity.minMarkets', policy.minMarkets],
    ['  instanceTypes.allow', instanceTypes.allow.map((globs) => globs.join(' ')).join(' and ') || 'any'],
    ['  instanceTypes.deny', instanceTypes.deny.join(' ') || 'none'],
    [
      '  instanceTypes.architectures',
      instanceTypes.architectures?.join(' ') ?? 'as the own type of the group',
    ],
    ['  instanceTypes.vcpus', range(instanceTypes.vcpus)],
    ['  instanceTypes.memory', range(instanceTypes.memory)],
    ['  instanceTypes.burstable', instanceTypes.burstable],
    ['  instanceTypes.maxPriceRatio', instanceTypes.maxPriceRatio ?? 'no limit'],
    ['  cooldown', policy.cooldownMs === 0 ? 'none' : formatDuration(policy.cooldownMs)],
    ['  budgets', policy.budgets.map(describeBudget).join(', ') || 'unlimited'],
    ['  minHealthy', percent(policy.minHealthy)],
    ['  minInstanceAge', policy.minInstanceAgeMs === 0 ? 'none' : formatDuration(policy.minInstanceAgeMs)],
    ['  swap.headroom', swap.headroom],
    ['  swap.fallbackToOnDemand', swap.fallbackToOnDemand ?? 'for urgent swaps'],
    ['  swap.lifecycleHooks', swap.lifecycleHooks],
    ['  swap.waits.running', formatDuration(runningMs)],
    ['  swap.waits.inService', `${formatDuration(inServiceMs)} above the grace period`],
    ['  swap.waits.release', formatDuration(releaseMs)],
  ];
}

function describeFloor({ base, shareAboveBase }: EffectivePolicy['floors'][number]): string {
  return `${base} and ${percent(shareAboveBase)} of desired above`;
}

function describeBudget({ swaps, perMs }: BudgetSpec): string {
  const amount =
    swaps.kind === 'count' ? String(swaps.value) : `${percent(swaps.value)} of desired, at least 1,`;
  return `${amount} per ${formatDuration(perMs)}`;
}

/** Without the last digits of floating point: 0.07 is 7%. */
function percent(share: number): string {
  return `${Number((share * 100).toFixed(6))}%`;
}

function range({ from, to }: RelativeRange): string {
  return `${from}x..${to}x`;
}
