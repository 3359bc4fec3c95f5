import type { FastifyInstance } from 'fastify';
import { asFailure } from '../base/failure.ts';
import { groupKey } from '../base/group-name.ts';
import type { FleetView, GroupView } from '../engine/fleet.ts';
import { waitsFor } from '../engine/recheck.ts';
import { ok } from './answer.ts';
import type { ApiDeps } from './deps.ts';
import { groupsUnread, isAsked, withGroup } from './find-group.ts';
import { presentGroup } from './group-answer.ts';
import { get } from './http.ts';
import { pageOf } from './page.ts';
import { GROUP, GROUPS } from './parameters.ts';

type GroupDeps = Pick<
  ApiDeps,
  'about' | 'fleet' | 'ruleset' | 'memory' | 'cooldowns' | 'rechecks' | 'liveRuns' | 'clock' | 'log'
>;

/** A person who has just changed a group looks again within seconds; one reading serves all who ask meanwhile. */
const GROUPS_MAX_AGE_MS = 5_000;

/** The groups, read afresh where the cloud answers, else as they were last read: `readAt` tells. */
export function registerGroups(scope: FastifyInstance, deps: GroupDeps): void {
  get(
    scope,
    { path: '/api/v1/groups', access: 'read' },
    GROUPS,
    async ({ group, limit, cursor, ...place }) => {
      const fleet = await newest(deps);
      if (fleet === null) return groupsUnread();
      const asked = { ...(group !== undefined && { name: group }), ...place };
      const views = [...fleet.groups.values()].filter((view) => isAsked(keyOf(view), asked));
      const { items, next } = pageOf(views, keyOf, { limit, ...(cursor !== undefined && { cursor }) });
      return ok({ items: items.map(await presenter(deps, fleet)), next });
    },
  );
  get(scope, { path: '/api/v1/groups/*', access: 'read' }, GROUP, async (place, name) => {
    const fleet = await newest(deps);
    if (fleet === null) return groupsUnread();
    const present = await presenter(deps, fleet);
    return withGroup(fleet.groups, { name, ...place }, (view) => ok(present(view)));
  });
}

async function newest({ fleet, log }: GroupDeps): Promise<FleetView | null> {
  try {
    return await fleet.atMost(GROUPS_MAX_AGE_MS);
  } catch (thrown) {
    log.warn({ err: asFailure(thrown) }, 'showing groups as last read');
    return fleet.current();
  }
}

/** How to show a group of this fleet; what is shared by all groups is read once. */
async function presenter(deps: GroupDeps, { readAt }: FleetView): Promise<(view: GroupView) => object> {
  const { policies } = deps.ruleset.current();
  const { memory, about } = deps;
  const { ownInstance } = about;
  const now = deps.clock.now();
  const [liveRuns, cooldowns] = await Promise.all([deps.liveRuns(), deps.cooldowns(now)]);
  const rechecks = Map.groupBy(deps.rechecks(), (recheck) => waitsFor(recheck).group);
  const shared = { readAt, policies, memory, cooldowns, rechecks, liveRuns, ownInstance, now };
  return (view) => presentGroup({ ...shared, view });
}

function keyOf({ group }: GroupView): string {
  return groupKey(group);
}
