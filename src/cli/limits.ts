import { formatDuration } from '../base/duration.ts';
import type { BudgetSpec, EffectivePolicy, RelativeRange } from '../engine/policy.ts';
import type { Cell } from './table.ts';

type Row = readonly [string, Cell];

/** The limits in force as rows for people, in the words of rule files. */
export function describeLimits(policy: EffectivePolicy): readonly Row[] {
  return [
    ['  paused', policy.paused],
    ['  onDemand', policy.floors.map(describeFloor).join(', ') || 'no floor'],
    [
      '  diversity.maxMarketShare',
      policy.maxMarketShare === null ? 'no limit' : percent(policy.maxMarketShare),
    ],
    ['  diversity.minMarkets', policy.minMarkets],
    ...describeTypes(policy.instanceTypes),
    ['  weights.cost', plain(policy.weights.cost)],
    ['  weights.stability', plain(policy.weights.stability)],
    ['  weights.diversity', plain(policy.weights.diversity)],
    ['  cooldown', orNone(policy.cooldownMs)],
    ['  budgets', policy.budgets.map(describeBudget).join(', ') || 'unlimited'],
    ['  minHealthy', percent(policy.minHealthy)],
    ['  minInstanceAge', orNone(policy.minInstanceAgeMs)],
    ...describeSwap(policy.swap),
  ];
}

function describeTypes(types: EffectivePolicy['instanceTypes']): readonly Row[] {
  return [
    ['  instanceTypes.allow', types.allow.map((globs) => globs.join(' ')).join(' and ') || 'any'],
    ['  instanceTypes.deny', types.deny.join(' ') || 'none'],
    ['  instanceTypes.architectures', types.architectures?.join(' ') ?? 'as the own type of the group'],
    ['  instanceTypes.generations', types.generations?.join(' ') ?? 'any'],
    ['  instanceTypes.vcpus', range(types.vcpus)],
    ['  instanceTypes.memory', range(types.memory)],
    ['  instanceTypes.burstable', types.burstable],
    ['  instanceTypes.maxPriceRatio', types.maxPriceRatio ?? 'no limit'],
  ];
}

function describeSwap(swap: EffectivePolicy['swap']): readonly Row[] {
  const { runningMs, inServiceMs, healthyTargetMs, beforeReleaseMs, releaseMs } = swap.waits;
  return [
    ['  swap.order', swap.order],
    ['  swap.headroom', swap.headroom],
    ['  swap.fallbackToOnDemand', swap.fallbackToOnDemand ?? 'for urgent swaps'],
    ['  swap.lifecycleHooks', swap.lifecycleHooks],
    ['  swap.waits.running', formatDuration(runningMs)],
    ['  swap.waits.inService', `${formatDuration(inServiceMs)} above the grace period`],
    ['  swap.waits.healthyTarget', `${formatDuration(healthyTargetMs)} above the grace period`],
    ['  swap.waits.beforeRelease', formatDuration(beforeReleaseMs)],
    ['  swap.waits.release', formatDuration(releaseMs)],
  ];
}

function orNone(ms: number): string {
  return ms === 0 ? 'none' : formatDuration(ms);
}

function describeFloor({ base, shareAboveBase }: EffectivePolicy['floors'][number]): string {
  return `${base} and ${percent(shareAboveBase)} of desired above`;
}

function describeBudget({ swaps, perMs, window }: BudgetSpec): string {
  const amount =
    swaps.kind === 'count' ? String(swaps.value) : `${percent(swaps.value)} of desired, at least 1,`;
  const per = perMs === undefined ? [] : [`per ${formatDuration(perMs)}`];
  return [swaps.value === 0 ? '0' : amount, ...per, ...describeWindow(window)].join(' ');
}

function describeWindow(window: BudgetSpec['window']): readonly string[] {
  if (window === undefined) return [];
  const { schedule, timezone, durationMs } = window;
  return [`from "${schedule}" ${timezone} for ${formatDuration(durationMs)}`];
}

/** Without the last digits of floating point: 0.07 is 7%. */
function percent(share: number): string {
  return `${plain(share * 100)}%`;
}

function plain(value: number): number {
  return Number(value.toFixed(6));
}

function range({ from, to }: RelativeRange): string {
  return `${from}x..${to}x`;
}
