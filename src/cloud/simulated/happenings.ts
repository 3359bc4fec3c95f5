import { checkHealth, reconcile } from './group-life.ts';
import { BY_INTERRUPTION, BY_REQUEST, end, isLive, run, shutDown } from './instances.ts';
import { isLeaving, leave, reconcileSoon, serve } from './members.ts';
import {
  draw,
  type Happening,
  type InstanceHappening,
  later,
  type Membership,
  type SimulatedGroup,
  type SimulatedInstance,
  type Simulation,
  TIMES,
} from './simulation.ts';

/** Plays everything that falls due up to `until`, each thing at its own time, and leaves the time there. */
export function playUntil(simulation: Simulation, until: number): void {
  for (let next = simulation.timeline.take(until); next !== null; next = simulation.timeline.take(until)) {
    simulation.now = next.due;
    play(simulation, next.what);
  }
  simulation.now = until;
}

function play(simulation: Simulation, what: Happening): void {
  if (what.kind === 'token_forgotten') {
    simulation.tokens.delete(what.token);
    simulation.fleets.delete(what.token);
  } else if (what.kind === 'group_reconciled') {
    const group = simulation.groups.get(what.group);
    if (group !== undefined) reconcile(simulation, group);
  } else {
    const instance = simulation.instances.get(what.instanceId);
    if (instance !== undefined) PLAY[what.kind](simulation, instance);
  }
}

interface Belonging {
  readonly group: SimulatedGroup;
  readonly membership: Membership;
}

function belongingOf(simulation: Simulation, instance: SimulatedInstance): Belonging | null {
  const group = instance.group === null ? undefined : simulation.groups.get(instance.group);
  const membership = group?.members.get(instance.id);
  return group === undefined || membership === undefined ? null : { group, membership };
}

type Play = (simulation: Simulation, instance: SimulatedInstance) => void;

function ofMembers(
  act: (simulation: Simulation, instance: SimulatedInstance, belonging: Belonging) => void,
): Play {
  return (simulation, instance) => {
    const belonging = belongingOf(simulation, instance);
    if (belonging !== null) act(simulation, instance, belonging);
  };
}

const PLAY: Readonly<Record<InstanceHappening, Play>> = {
  instance_running(simulation, instance) {
    run(simulation, instance);
    const belonging = belongingOf(simulation, instance);
    if (instance.state !== 'running' || belonging?.membership.lifecycleState !== 'Pending') return;
    const { group, membership } = belonging;
    if (group.hooks.launching) membership.lifecycleState = 'Pending:Wait';
    const ms = group.hooks.launching ? group.hookSeconds * 1000 : draw(simulation, TIMES.joining);
    later(simulation, ms, { kind: 'member_in_service', instanceId: instance.id });
  },

  instance_stopped(_, instance) {
    if (instance.state === 'stopping') instance.state = 'stopped';
  },

  instance_terminated(simulation, instance) {
    end(simulation, instance);
    const belonging = belongingOf(simulation, instance);
    if (belonging?.membership.lifecycleState.startsWith('Terminating') === true) {
      leave(belonging.group, instance);
    }
  },

  instance_forgotten(simulation, { id, group }) {
    // A group whose health check sleeps keeps its dead as members; ask again later.
    if (group === null) simulation.instances.delete(id);
    else later(simulation, TIMES.remembering, { kind: 'instance_forgotten', instanceId: id });
  },

  instance_reclaimed(simulation, instance) {
    if (!isLive(instance)) return;
    shutDown(simulation, instance, BY_INTERRUPTION);
    const belonging = belongingOf(simulation, instance);
    if (belonging === null || isLeaving(belonging.membership)) return;
    // No process stops this, and there is no time left for hooks or draining.
    belonging.membership.lifecycleState = 'Terminating';
    reconcileSoon(simulation, belonging.group);
  },

  member_in_service: ofMembers((simulation, instance, { group, membership }) => {
    if (instance.state === 'running') serve(simulation, group, membership);
  }),

  member_checked: ofMembers((simulation, instance, { group, membership }) => {
    checkHealth(simulation, group, instance, membership);
  }),

  member_detached: ofMembers((_, instance, { group }) => {
    leave(group, instance);
  }),

  member_released: ofMembers((simulation, instance, { group, membership }) => {
    membership.lifecycleState = 'Terminating';
    if (instance.state === 'terminated') leave(group, instance);
    else shutDown(simulation, instance, BY_REQUEST);
  }),
};
