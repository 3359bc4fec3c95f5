import { checkHealth, reconcile, reconcileSoon } from './group-life.ts';
import { BY_INTERRUPTION, BY_REQUEST, end, isLive, run, shutDown } from './instances.ts';
import { isLeaving, laterFor, leave, serve } from './members.ts';
import {
  draw,
  type Happening,
  later,
  type Membership,
  type SimulatedGroup,
  type SimulatedInstance,
  type Simulation,
  TIMES,
} from './simulation.ts';

/** Plays everything that falls due up to `until`, each thing at its own time, and leaves the time there. */
export function playUntil(simulation: Simulation, until: number): void {
  for (;;) {
    const next = simulation.timeline.take(until);
    if (next === null) break;
    simulation.now = next.due;
    play(simulation, next.what);
  }
  simulation.now = until;
}

/** An instance, with its group and membership where it has them. */
interface Subject {
  readonly instance: SimulatedInstance;
  readonly group: SimulatedGroup | null;
  readonly membership: Membership | null;
}

interface MemberSubject {
  readonly instance: SimulatedInstance;
  readonly group: SimulatedGroup;
  readonly membership: Membership;
}

type InstanceHappening = Exclude<Extract<Happening, { instanceId: string }>, { seq: number }>['kind'];
type MemberHappening = Extract<Happening, { seq: number }>['kind'];

function play(simulation: Simulation, what: Happening): void {
  if (what.kind === 'token_forgotten') {
    simulation.tokens.delete(what.token);
  } else if (what.kind === 'group_reconciled') {
    const group = simulation.groups.get(what.group);
    if (group !== undefined) reconcile(simulation, group);
  } else if ('seq' in what) {
    const subject = subjectOf(simulation, what.instanceId);
    if (subject !== null && isOf(subject, what.seq)) TO_A_MEMBER[what.kind](simulation, subject);
  } else {
    const subject = subjectOf(simulation, what.instanceId);
    if (subject !== null) TO_AN_INSTANCE[what.kind](simulation, subject);
  }
}

function subjectOf(simulation: Simulation, instanceId: string): Subject | null {
  const instance = simulation.instances.get(instanceId);
  if (instance === undefined) return null;
  const group = instance.group === null ? undefined : simulation.groups.get(instance.group);
  return { instance, group: group ?? null, membership: group?.members.get(instanceId) ?? null };
}

function isOf(subject: Subject, seq: number): subject is MemberSubject {
  return subject.membership?.seq === seq;
}

function isMember(subject: Subject): subject is MemberSubject {
  return subject.membership !== null;
}

const TO_AN_INSTANCE: Readonly<
  Record<InstanceHappening, (simulation: Simulation, subject: Subject) => void>
> = {
  instance_running(simulation, subject) {
    run(simulation, subject.instance);
    if (subject.instance.state !== 'running' || !isMember(subject)) return;
    const { group, membership } = subject;
    if (membership.lifecycleState !== 'Pending') return;
    if (group.hooks.launching) membership.lifecycleState = 'Pending:Wait';
    const ms = group.hooks.launching ? group.hookSeconds * 1000 : draw(simulation, TIMES.joining);
    laterFor(simulation, ms, 'member_in_service', membership);
  },

  instance_stopped(_, { instance }) {
    if (instance.state === 'stopping') instance.state = 'stopped';
  },

  instance_terminated(simulation, subject) {
    end(simulation, subject.instance);
    if (!isMember(subject) || !subject.membership.lifecycleState.startsWith('Terminating')) return;
    leave(subject.group, subject.instance);
    reconcileSoon(simulation, subject.group);
  },

  instance_forgotten(simulation, { instance, group }) {
    // A group whose health check sleeps keeps its dead as members; ask again later.
    if (group === null) simulation.instances.delete(instance.id);
    else later(simulation, TIMES.remembering, { kind: 'instance_forgotten', instanceId: instance.id });
  },

  instance_reclaimed(simulation, subject) {
    if (!isLive(subject.instance)) return;
    shutDown(simulation, subject.instance, BY_INTERRUPTION);
    if (!isMember(subject) || isLeaving(subject.membership)) return;
    // No process stops this, and there is no time left for hooks or draining.
    subject.membership.lifecycleState = 'Terminating';
    reconcileSoon(simulation, subject.group);
  },
};

const TO_A_MEMBER: Readonly<
  Record<MemberHappening, (simulation: Simulation, subject: MemberSubject) => void>
> = {
  member_in_service(simulation, { group, instance, membership }) {
    if (instance.state === 'running') serve(simulation, group, membership);
  },

  member_checked(simulation, { group, instance, membership }) {
    checkHealth(simulation, group, instance, membership);
  },

  member_detached(simulation, { group, instance }) {
    leave(group, instance);
    reconcileSoon(simulation, group);
  },

  member_released(simulation, { group, instance, membership }) {
    membership.lifecycleState = 'Terminating';
    if (instance.state !== 'terminated') {
      shutDown(simulation, instance, BY_REQUEST);
      return;
    }
    leave(group, instance);
    reconcileSoon(simulation, group);
  },
};
