import { groupKey, groupOfKey } from '../../base/group-name.ts';
import type { CloudPlace, Group, GroupState, Instance, Member } from '../../cloud/cloud.ts';
import type { Run } from '../run.ts';
import type { HoldMark, Leaving } from './hold-mark.ts';
import { isLeaving, isPending, memberOf } from './membership.ts';
import { isOneLarger, type Surplus } from './surplus.ts';
import type { SwapDetails } from './swap-details.ts';
import { swapSteps } from './swap-steps.ts';
import { AWS_GROUP_TAG, GROUP_TAG, RELEASED_TAG, REPLACES_TAG, RUN_TAG } from './tags.ts';

/** AWS may show a new member as none for half a minute, so a younger instance is not judged. */
const OLD_ENOUGH_MS = 30_000;

/** An instance with the place that it is in. */
export type PlacedInstance = Instance & { readonly place: CloudPlace };

/** Whether a machine that Coppice launched is in no group, by its own tags and this list of members, and for some time. */
export function isStray(machine: Instance, members: ReadonlySet<string>, now: number): boolean {
  const { id, state, tags, launchedAt } = machine;
  return (
    state !== 'shutting-down' &&
    state !== 'terminated' &&
    RUN_TAG in tags &&
    !(RELEASED_TAG in tags) &&
    !(AWS_GROUP_TAG in tags) &&
    !members.has(id) &&
    now - launchedAt > OLD_ENOUGH_MS
  );
}

/** The strays of one reading of the cloud, in which the machines were read before the groups. */
export function straysAmong(
  machines: readonly PlacedInstance[],
  groups: readonly Group[],
  now: number,
): readonly PlacedInstance[] {
  const members = new Set(groups.flatMap((group) => group.members.map(({ instanceId }) => instanceId)));
  return machines.filter((machine) => isStray(machine, members, now));
}

/** The group that the machine was launched for; null when its tag does not say, or names one of another place. */
export function groupOf({ tags, place }: PlacedInstance): Group['group'] | null {
  const group = groupOfKey(tags[GROUP_TAG] ?? '');
  return group?.account === place.account && group.region === place.region ? group : null;
}

/** A group with the hold of a swap that nobody performs any more. */
export interface AbandonedHold {
  readonly group: GroupState;
  readonly mark: HoldMark;
  /** As the store knows it; null when it does not, and the tags alone have to tell. */
  readonly run: Run | null;
  /** The machines of the members, and those that were replaced by one of them. */
  readonly machines: readonly Instance[];
}

/** What is done about an abandoned hold next; one thing at a time, since only a later reading shows what it changed. */
export type Remedy =
  /** Takes the replacement out of the group again; it is a stray then. */
  | { readonly kind: 'take-out'; readonly instanceId: string }
  | { readonly kind: 'lower'; readonly surplus: Surplus }
  /** Attaches the old instance again, which left first and has no replacement. */
  | { readonly kind: 'take-back'; readonly instanceId: string }
  /** Puts desired back, so that the group launches an instance for the one that left first. */
  | { readonly kind: 'put-back'; readonly desired: number }
  /** Terminates the old instance, which the swap has detached for that. */
  | { readonly kind: 'terminate-old'; readonly instanceId: string }
  /** Gives back what the mark says, and the protection of the replacement. */
  | { readonly kind: 'give-back'; readonly unprotect: string | null }
  | { readonly kind: 'wait'; readonly for: string };

/**
 * Without both, replacement and old instance, there is nothing to choose. With both the group is one larger, and the safe
 * way is back: the old instance has served, of the replacement nobody knows it. Once the old one is out, the way is
 * forward, since the group would be one short without the replacement.
 */
export function remedyFor(hold: AbandonedHold): Remedy {
  const found = replacementIn(hold);
  if (found === null) return withoutReplacement(hold);
  const { member, machine } = found;
  if (isPending(member)) return { kind: 'wait', for: `${member.instanceId} to be in service` };
  const oldId = machine.tags[REPLACES_TAG] ?? '';
  const old = memberOf(hold.group, oldId);
  if (old === undefined || isLeaving(old)) return goOn(hold, found, oldId);
  const serve = [member, old].every(({ lifecycleState }) => lifecycleState === 'InService');
  // Standby is a person's doing, and detaching such an instance can make the group terminate another one. At its minimum the
  // group is not one larger any more: somebody has scaled it in, and both may stay.
  return serve && hold.group.desired > hold.group.min
    ? { kind: 'take-out', instanceId: member.instanceId }
    : giveBack(hold, member);
}

/** Ids of the instances that members of the group have replaced under this mark, or were to. */
export function replacedIn({ mark, machines }: Pick<AbandonedHold, 'mark' | 'machines'>): readonly string[] {
  const replaced = machines
    .filter(({ tags }) => tags[RUN_TAG] === mark.run)
    .flatMap(({ tags }) => tags[REPLACES_TAG] ?? []);
  return mark.leaving === undefined ? replaced : [...new Set([...replaced, mark.leaving.instance])];
}

const NOTHING_LEFT: Remedy = { kind: 'give-back', unprotect: null };

/** Nobody has come for the old instance; where that one was not to leave first, it is still there. */
function withoutReplacement(hold: AbandonedHold): Remedy {
  const { leaving } = hold.mark;
  return leaving === undefined || tookNothing(hold.run) ? NOTHING_LEFT : withoutEither(hold, leaving);
}

/** As the store knows it: the old instance never left first, or is back. If it is out all the same, a person did that. */
function tookNothing(run: Run | null): boolean {
  if (run === null) return false;
  const state = swapSteps(run).find(({ name }) => name === 'detach-old')?.state;
  return state === undefined || state === 'undone';
}

function withoutEither(hold: AbandonedHold, leaving: Leaving): Remedy {
  const member = memberOf(hold.group, leaving.instance);
  if (member !== undefined && !isLeaving(member)) return NOTHING_LEFT;
  if (member?.lifecycleState.startsWith('Detach') === true)
    return { kind: 'wait', for: `${leaving.instance} to leave the group` };
  const old = member === undefined ? hold.machines.find(({ id }) => id === leaving.instance) : undefined;
  return (
    fillUp(hold, leaving, old) ??
    (old !== undefined && mayTerminate(hold, old) ? terminateOld(old) : NOTHING_LEFT)
  );
}

/**
 * The group is one short: the old instance comes back if it still can; else the group launches one. Somebody who has
 * changed desired meanwhile, or left no room for it, is taken at his word.
 */
function fillUp({ group }: AbandonedHold, leaving: Leaving, old: Instance | undefined): Remedy | null {
  if (group.desired !== leaving.desired - 1 || leaving.desired > group.max) return null;
  const returns = leaving.mayReturn && old?.state === 'running' && !(AWS_GROUP_TAG in old.tags);
  return returns
    ? { kind: 'take-back', instanceId: leaving.instance }
    : { kind: 'put-back', desired: leaving.desired };
}

function terminateOld({ id }: Instance): Remedy {
  return { kind: 'terminate-old', instanceId: id };
}

interface Replacement {
  readonly member: Member;
  readonly machine: Instance;
}

function replacementIn({ group, mark, machines }: AbandonedHold): Replacement | null {
  const key = groupKey(group.group);
  for (const machine of machines) {
    if (machine.tags[RUN_TAG] !== mark.run || machine.tags[GROUP_TAG] !== key) continue;
    const member = memberOf(group, machine.id);
    if (member !== undefined && !isLeaving(member)) return { member, machine };
  }
  return null;
}

/** The old instance is out, or on its way; the replacement stays. */
function goOn(hold: AbandonedHold, { member, machine }: Replacement, oldId: string): Remedy {
  const { group, machines } = hold;
  if (memberOf(group, oldId)?.lifecycleState.startsWith('Detach') === true)
    return { kind: 'wait', for: `${oldId} to leave the group` };
  const desired = desiredBefore(hold);
  if (desired !== null && isOneLarger(group, desired)) {
    const surplus = { desired, replacement: member.instanceId, since: machine.launchedAt };
    return { kind: 'lower', surplus };
  }
  const old = memberOf(group, oldId) === undefined ? machines.find(({ id }) => id === oldId) : undefined;
  return old !== undefined && mayTerminate(hold, old) ? terminateOld(old) : giveBack(hold, member);
}

/**
 * Desired before the attach, where it may have to be lowered still. Without the store only a raised maximum tells it: that
 * is one above. Where the old instance left by itself and the maximum was not raised, nothing tells.
 */
function desiredBefore({ mark, run }: AbandonedHold): number | null {
  // Where the old instance left first, its own request has lowered desired.
  if (mark.leaving !== undefined) return null;
  if (run === null) return mark.held.max === null ? null : mark.held.max.to - 1;
  // What a release that failed had written down is what it meant to do.
  const released = swapSteps(run).some(({ name, state }) => name === 'release-old' && state === 'failed')
    ? false
    : detailOf(run, 'release-old').lowered === true;
  return released || detailOf(run, 'give-back').lowered === true
    ? null
    : (detailOf(run, 'attach').desiredBefore ?? null);
}

/** One that left by itself is a person's, where the store can tell. A member of any group is not to be terminated. */
function mayTerminate({ mark, run }: AbandonedHold, old: Instance): boolean {
  const { state, tags } = old;
  if (state !== 'running' || mark.keepOld === true || RELEASED_TAG in tags || AWS_GROUP_TAG in tags)
    return false;
  if (run === null) return true;
  return (detailOf(run, 'release-old').how ?? detailOf(run, 'detach-old').how) === 'detach';
}

/** Whether the protection is ours no tag tells; while the mark is there, it is. */
function giveBack({ group }: AbandonedHold, member: Member): Remedy {
  const ours =
    member.lifecycleState === 'InService' && member.protectedFromScaleIn && !group.newInstancesProtected;
  return { kind: 'give-back', unprotect: ours ? member.instanceId : null };
}

function detailOf<Name extends keyof SwapDetails & string>(run: Run, name: Name): Partial<SwapDetails[Name]> {
  const detail: Partial<SwapDetails[Name]> | undefined = swapSteps(run).find(
    (step) => step.name === name,
  )?.detail;
  return detail ?? {};
}
