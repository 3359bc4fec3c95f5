import type { FastifyInstance } from 'fastify';
import type { Pause } from '../actions/store.ts';
import { type Answer, ok } from './answer.ts';
import type { ApiDeps } from './deps.ts';
import { groupsUnread, withGroup } from './find-group.ts';
import { post } from './http.ts';
import { PAUSE, RESUME } from './parameters.ts';
import { presentPause } from './present.ts';

type SwitchDeps = Pick<ApiDeps, 'pausing' | 'fleet' | 'clock' | 'log'>;

/** The switch: nothing is done on a paused group, nor on any while everything is paused. Runs under way go on. */
export function registerSwitch(scope: FastifyInstance, deps: SwitchDeps): void {
  post(scope, '/api/v1/pause', PAUSE, ({ group, reason, ...where }) => {
    if (group === undefined) return pause(deps, null, reason);
    const fleet = deps.fleet.current();
    if (fleet === null) return groupsUnread();
    return withGroup(fleet.groups, { name: group, ...where }, (_view, key) => pause(deps, key, reason));
  });
  post(scope, '/api/v1/resume', RESUME, async ({ group, reason = null, ...where }) => {
    if (group === undefined) return resume(deps, null, reason);
    // A paused group may have left the fleet, and must still be found.
    const paused = (await deps.pausing.pauses()).flatMap((pause) => pause.group ?? []);
    const known = new Map<string, unknown>([...paused.map((key) => [key, null] as const), ...watched(deps)]);
    return withGroup(known, { name: group, ...where }, (_view, key) => resume(deps, key, reason));
  });
}

function watched({ fleet }: SwitchDeps): Iterable<readonly [string, unknown]> {
  return fleet.current()?.groups ?? [];
}

async function pause(deps: SwitchDeps, group: string | null, reason: string): Promise<Answer> {
  await deps.pausing.pause({ group, reason, at: deps.clock.now() });
  deps.log.warn({ group, reason }, 'paused');
  return state(deps, group, true);
}

async function resume(deps: SwitchDeps, group: string | null, reason: string | null): Promise<Answer> {
  const changed = await deps.pausing.resume(group);
  deps.log.warn({ group, reason, changed }, 'resumed');
  return state(deps, group, changed);
}

/**
 * How things stand afterwards: a group that was resumed is still paused while everything is, and groups that were
 * paused one by one stay so when everything is resumed.
 */
async function state({ pausing }: SwitchDeps, group: string | null, changed: boolean): Promise<Answer> {
  const pauses = await pausing.pauses();
  const concerns = (pause: Pause): boolean => group === null || pause.group === null || pause.group === group;
  return ok({ group, changed, pauses: pauses.filter(concerns).map(presentPause) });
}
