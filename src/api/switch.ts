import type { FastifyInstance } from 'fastify';
import type { GroupRest } from '../actions/live-memory.ts';
import { type Answer, ok } from './answer.ts';
import type { ApiDeps } from './deps.ts';
import { groupsUnread, withGroup } from './find-group.ts';
import { post } from './http.ts';
import { PAUSE, RESUME } from './parameters.ts';
import { presentGroupRest, presentPause, presentRest } from './present.ts';

type SwitchDeps = Pick<ApiDeps, 'pausing' | 'rests' | 'fleet' | 'clock' | 'log'>;

/**
 * The switch: nothing is done on a paused group, nor on any while everything is paused. Runs under way go on. To resume a
 * group also ends its rest after failed swaps.
 */
export function registerSwitch(scope: FastifyInstance, deps: SwitchDeps): void {
  post(scope, { path: '/api/v1/pause', access: 'act' }, PAUSE, ({ group, reason, ...where }) => {
    if (group === undefined) return pause(deps, null, reason);
    const fleet = deps.fleet.current();
    if (fleet === null) return groupsUnread();
    return withGroup(fleet.groups, { name: group, ...where }, (_view, key) => pause(deps, key, reason));
  });
  post(
    scope,
    { path: '/api/v1/resume', access: 'act' },
    RESUME,
    async ({ group, reason = null, ...where }) => {
      if (group === undefined) return resume(deps, null, reason);
      // A group that is held back may have left the fleet, and must still be found.
      const heldBack = [...(await deps.pausing.pauses()), ...restsNow(deps)].flatMap(
        (held) => held.group ?? [],
      );
      const known = new Map<string, unknown>([
        ...heldBack.map((key) => [key, null] as const),
        ...watched(deps),
      ]);
      return withGroup(known, { name: group, ...where }, (_view, key) => resume(deps, key, reason));
    },
  );
}

function watched({ fleet }: SwitchDeps): Iterable<readonly [string, unknown]> {
  return fleet.current()?.groups ?? [];
}

function restsNow({ rests, clock }: SwitchDeps): readonly GroupRest[] {
  return rests(clock.now());
}

async function pause(deps: SwitchDeps, group: string | null, reason: string): Promise<Answer> {
  await deps.pausing.pause({ group, reason, at: deps.clock.now() });
  deps.log.warn({ group, reason }, 'paused');
  return ok({ group, changed: true, pauses: await pausesOf(deps, group) });
}

/**
 * Ends the pause and the rest of the group, or the pause of everything. The answer has what still holds back: a group that
 * was resumed is still paused while everything is, and groups that were paused one by one, or rest, stay so when everything
 * is resumed.
 */
async function resume(deps: SwitchDeps, group: string | null, reason: string | null): Promise<Answer> {
  const lifted = restsNow(deps).find((rest) => rest.group === group) ?? null;
  const changed = (await deps.pausing.resume(group)) || lifted !== null;
  deps.log.warn({ group, reason, changed, failures: lifted?.failures ?? 0 }, 'resumed');
  return ok({
    group,
    changed,
    lifted: lifted === null ? null : presentRest(lifted),
    pauses: await pausesOf(deps, group),
    rests: restsNow(deps).filter(concerning(group)).map(presentGroupRest),
  });
}

async function pausesOf({ pausing }: SwitchDeps, group: string | null): Promise<readonly object[]> {
  return (await pausing.pauses()).filter(concerning(group)).map(presentPause);
}

/** Whether something holds the group back, or any group where none is named. */
function concerning(group: string | null): (held: { readonly group: string | null }) => boolean {
  return (held) => group === null || held.group === null || held.group === group;
}
