import { scheduleProblems } from './lint-schedule.ts';
import { compileGlob, isGlob } from './matcher.ts';
import { SWAPS_REMEMBERED_MS } from './memory.ts';
import type { BudgetSpec, InstanceTypeLimits, PolicySpec, RelativeRange } from './policy.ts';
import type { LintError, Problem } from './problem.ts';

/** One value of a policy and what must hold of it. */
interface Demand {
  /** Below the policy. */
  readonly path: readonly (string | number)[];
  readonly code: LintError;
  readonly met: boolean;
  readonly message: string;
}

/** Impossible values of a policy. They are refused, never repaired: a repaired limit is one that is off in silence. */
export function policyProblems(policy: PolicySpec, at: Problem['path']): readonly Problem[] {
  const demands = [
    ...selectionDemands(policy),
    ...floorDemands(policy),
    ...diversityDemands(policy),
    ...typeDemands(policy),
    ...paceDemands(policy),
    ...budgetDemands(policy),
    ...waitDemands(policy),
  ];
  return [
    ...demands
      .filter(({ met }) => !met)
      .map(({ path, code, message }) => ({
        severity: 'error' as const,
        ...{ code, message, path: [...at, ...path] },
      })),
    ...windowProblems(policy, at),
  ];
}

function selectionDemands({ groups }: PolicySpec): readonly Demand[] {
  const { names, tags, regions, accounts } = groups;
  const given = [names, regions, accounts, tags === undefined ? undefined : Object.keys(tags)];
  const empty = given.some((criterion) => criterion?.length === 0);
  const none = given.every((criterion) => criterion === undefined);
  return [
    {
      path: ['groups'],
      code: 'selects-nothing',
      met: !empty && !none,
      message: 'the policy selects no group; to select all of them write names: ["*"]',
    },
    ...(accounts ?? []).map(
      (account, index): Demand => ({
        path: ['groups', 'accounts', index],
        code: 'bad-account',
        met: /^\d{12}$/.test(account),
        message: `"${account}" is not an account: twelve digits, in quotes`,
      }),
    ),
  ];
}

function floorDemands({ onDemand }: PolicySpec): readonly Demand[] {
  if (onDemand === undefined) return [];
  return [
    wholeNumber(['onDemand', 'base'], onDemand.base, 0),
    share(['onDemand', 'shareAboveBase'], onDemand.shareAboveBase),
  ];
}

function diversityDemands({ diversity }: PolicySpec): readonly Demand[] {
  const { maxMarketShare, minMarkets } = diversity ?? {};
  return [
    share(['diversity', 'maxMarketShare'], maxMarketShare),
    wholeNumber(['diversity', 'minMarkets'], minMarkets, 1),
  ];
}

function typeDemands({ instanceTypes }: PolicySpec): readonly Demand[] {
  const { allow, architectures, generations, vcpus, memory, maxPriceRatio } = instanceTypes ?? {};
  return [
    notEmpty(['instanceTypes', 'allow'], allow),
    {
      path: ['instanceTypes', 'deny'],
      code: 'allows-nothing',
      met: instanceTypes === undefined || !deniesAll(instanceTypes),
      message: 'every type that is allowed is denied, too, so nothing could ever be replaced',
    },
    notEmpty(['instanceTypes', 'architectures'], architectures),
    notEmpty(['instanceTypes', 'generations'], generations),
    range(['instanceTypes', 'vcpus'], vcpus),
    range(['instanceTypes', 'memory'], memory),
    {
      path: ['instanceTypes', 'maxPriceRatio'],
      code: 'bad-ratio',
      met: maxPriceRatio === undefined || (maxPriceRatio > 0 && Number.isFinite(maxPriceRatio)),
      message: 'the highest price ratio must be above 0',
    },
  ];
}

/** As far as it can be seen without a list of types: a glob that denies all, or one that covers all that are named. */
function deniesAll({ allow = ['*'], deny = [] }: InstanceTypeLimits): boolean {
  const denied = deny.flatMap((glob) => {
    const test = compileGlob(glob);
    return test.ok ? [{ glob, covers: test.value }] : [];
  });
  return (
    allow.length > 0 &&
    allow.every((type) =>
      denied.some(
        ({ glob, covers }) => /^\*+$/.test(glob) || glob === type || (!isGlob(type) && covers(type)),
      ),
    )
  );
}

function paceDemands(policy: PolicySpec): readonly Demand[] {
  return [
    duration(['cooldownMs'], policy.cooldownMs, 0),
    remembered(['cooldownMs'], policy.cooldownMs),
    duration(['minInstanceAgeMs'], policy.minInstanceAgeMs, 0),
    share(['minHealthy'], policy.minHealthy),
  ];
}

function budgetDemands({ budgets }: PolicySpec): readonly Demand[] {
  if (budgets === undefined || budgets === 'unlimited') return [];
  const always = budgets.some((entry) => entry !== 'unlimited' && entry.window === undefined);
  return [
    {
      path: ['budgets'],
      code: 'empty-list',
      met: budgets.length > 0,
      message: "an empty list of budgets says nothing; write 'unlimited' to have none",
    },
    {
      path: ['budgets', budgets.indexOf('unlimited')],
      code: 'bad-budget',
      met: !(always && budgets.includes('unlimited')),
      message: "'unlimited' stands beside a budget that holds at any time; leave one of them out",
    },
    ...budgets.flatMap((entry, index) => (entry === 'unlimited' ? [] : oneBudget(entry, ['budgets', index]))),
  ];
}

/** Paths are those of the file, where a window's keys stand beside the others. */
function oneBudget({ swaps, perMs, window }: BudgetSpec, path: Demand['path']): readonly Demand[] {
  const amount = [...path, 'swaps'];
  const counted = perMs === undefined && swaps.value > 0 ? window?.durationMs : undefined;
  return [
    swaps.kind === 'count' ? wholeNumber(amount, swaps.value, 0) : share(amount, swaps.value),
    {
      path,
      code: 'bad-budget',
      met: perMs !== undefined || window !== undefined,
      message: "a budget counts 'per' some time, or while a window is open",
    },
    duration([...path, 'perMs'], perMs, 1),
    remembered([...path, 'perMs'], perMs),
    duration([...path, 'durationMs'], window?.durationMs, 1),
    remembered([...path, 'durationMs'], counted),
  ];
}

function windowProblems({ budgets = [] }: PolicySpec, at: Problem['path']): readonly Problem[] {
  if (budgets === 'unlimited') return [];
  return budgets.flatMap((entry, index) => {
    if (entry === 'unlimited' || entry.window === undefined) return [];
    const { schedule, timezone } = entry.window;
    const path = [...at, 'budgets', index];
    const places = { cron: [...path, 'schedule'], timezone: [...path, 'timezone'] };
    return scheduleProblems({ cron: schedule, timezone, at: places });
  });
}

function waitDemands({ swap }: PolicySpec): readonly Demand[] {
  const waits: Readonly<Record<string, number>> = { ...swap?.waits };
  return Object.entries(waits).map(([wait, ms]) => duration(['swap', 'waits', wait], ms, 1));
}

function wholeNumber(path: Demand['path'], value: number | undefined, least: number): Demand {
  const met = value === undefined || (Number.isInteger(value) && value >= least);
  return { path, code: 'bad-number', met, message: `must be a whole number from ${least}` };
}

function share(path: Demand['path'], value: number | undefined): Demand {
  const met = value === undefined || (value >= 0 && value <= 1);
  return { path, code: 'bad-share', met, message: 'a share must be from 0 to 1, or 0% to 100%' };
}

function duration(path: Demand['path'], ms: number | undefined, leastMs: number): Demand {
  const met = ms === undefined || (Number.isFinite(ms) && ms >= leastMs);
  return { path, code: 'bad-duration', met, message: `must be a time${leastMs > 0 ? ' above 0' : ''}` };
}

/** A longer window would be counted over what is remembered only, and so allow more than it says. */
function remembered(path: Demand['path'], ms: number | undefined): Demand {
  const met = ms === undefined || !(ms > SWAPS_REMEMBERED_MS);
  return {
    path,
    code: 'window-too-long',
    met,
    message: 'swaps are remembered for 24h; nothing longer can be counted',
  };
}

function range(path: Demand['path'], value: RelativeRange | undefined): Demand {
  const met = value === undefined || (value.from >= 0 && value.to >= value.from && value.to > 0);
  return { path, code: 'bad-range', met, message: 'a range must end at or above its beginning, and above 0' };
}

function notEmpty(path: Demand['path'], list: readonly string[] | undefined): Demand {
  const met = list === undefined || list.length > 0;
  return { path, code: 'empty-list', met, message: 'an empty list would allow nothing; leave the key out' };
}
