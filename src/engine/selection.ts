import type { GroupView } from './fleet.ts';
import { compileGlob, type TextTest } from './matcher.ts';
import type { PolicySpec } from './policy.ts';

type Criteria = PolicySpec['groups'];

/** Compiled globs of `groups.names`, kept as long as the policy they belong to. */
const nameTests = new WeakMap<PolicySpec, readonly TextTest[]>();

/** Whether the group meets a criterion that the policy has, and in its file's words what that asks for. */
interface Criterion {
  readonly isMet: boolean;
  readonly asks: () => string;
}

/**
 * Whether the policy selects the group: all criteria given must match, within one list any. A policy without any
 * criterion selects nothing, so that an empty key never puts every group under management.
 */
export function selects(policy: PolicySpec, group: GroupView): boolean {
  const criteria = criteriaOf(policy, group);
  return criteria.length > 0 && criteria.every(({ isMet }) => isMet);
}

/** Why nobody looks after the group, in a sentence: what it lacks for the policies that only one criterion keeps from it. */
export function whyUnmanaged(policies: readonly PolicySpec[], group: GroupView): string {
  const plain = `no policy selects the group ${group.group.name}`;
  const near = policies.flatMap((policy) => {
    const [unmet, ...others] = criteriaOf(policy, group).filter(({ isMet }) => !isMet);
    return unmet === undefined || others.length > 0 ? [] : [`${policy.name} asks for ${unmet.asks()}`];
  });
  const [first, ...others] = near;
  if (first === undefined) return plain;
  return others.length === 0
    ? `${plain}; ${first}`
    : `${plain}; ${first}, and ${others.length} more could be met as easily`;
}

function criteriaOf(policy: PolicySpec, group: GroupView): readonly Criterion[] {
  const { names, tags, regions, accounts } = policy.groups;
  return [
    ...listed('a name like', names, () => testsOf(policy, names).some((test) => test(group.group.name))),
    ...listed('the region', regions, () => regions?.includes(group.group.region) === true),
    ...listed('the account', accounts, () => accounts?.includes(group.group.account) === true),
    ...Object.entries(tags ?? {}).map(([key, value]) => ({
      isMet: Object.hasOwn(group.tags, key) && group.tags[key] === value,
      asks: () => `the tag ${key}=${value}`,
    })),
  ];
}

function listed(what: string, list: readonly string[] | undefined, isMet: () => boolean): Criterion[] {
  return list === undefined ? [] : [{ isMet: isMet(), asks: () => `${what} ${list.join(' or ')}` }];
}

function testsOf(policy: PolicySpec, names: Criteria['names']): readonly TextTest[] {
  const known = nameTests.get(policy);
  if (known !== undefined) return known;
  const tests = (names ?? []).flatMap((name) => {
    const glob = compileGlob(name);
    return glob.ok ? [glob.value] : [];
  });
  nameTests.set(policy, tests);
  return tests;
}
