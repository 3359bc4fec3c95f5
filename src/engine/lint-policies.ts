import { SWAPS_REMEMBERED_MS } from './memory.ts';
import type { BudgetSpec, PolicySpec, RelativeRange } from './policy.ts';
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
  return demands
    .filter(({ met }) => !met)
    .map(({ path, code, message }) => ({ severity: 'error', code, message, path: [...at, ...path] }));
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
  const { allow, architectures, vcpus, memory, maxPriceRatio } = instanceTypes ?? {};
  return [
    notEmpty(['instanceTypes', 'allow'], allow),
    notEmpty(['instanceTypes', 'architectures'], architectures),
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
  return [
    {
      path: ['budgets'],
      code: 'empty-list',
      met: budgets.length > 0,
      message: "an empty list of budgets says nothing; write 'unlimited' to have none",
    },
    ...budgets.flatMap((budget, index) => oneBudget(budget, ['budgets', index])),
  ];
}

function oneBudget({ swaps, perMs }: BudgetSpec, path: Demand['path']): readonly Demand[] {
  const amount = [...path, 'swaps'];
  return [
    swaps.kind === 'count' ? wholeNumber(amount, swaps.value, 0) : share(amount, swaps.value),
    duration([...path, 'perMs'], perMs, 1),
    remembered([...path, 'perMs'], perMs),
  ];
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
