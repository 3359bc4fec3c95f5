import type { Instance } from '@aws-sdk/client-auto-scaling';

import { type Answer, element } from './answer.ts';

/** How long AWS shows what moto is over with at once, ms. What is not given is over at once here, too. */
export interface Lags {
  /** A launched instance is `pending`. */
  readonly pendingMs?: number;
  /** An attached member is `Pending`. */
  readonly joiningMs?: number;
  /** A detached member is `Detaching`, and still listed. */
  readonly detachingMs?: number;
  /** A terminated member is `Terminating` and listed; a terminated instance is `shutting-down`. */
  readonly terminatingMs?: number;
}

/**
 * Shows states later than moto has them, in the answers of DescribeInstances and DescribeAutoScalingGroups. Filters by
 * state still go by moto's.
 */
export interface Lag {
  launched(instanceId: string): void;
  terminated(instanceId: string): void;
  joined(group: string, instanceId: string): void;
  left(group: string, member: Instance, how: 'Detaching' | 'Terminating'): void;
  /** The members of the group as they are shown, those on their way out included. */
  members(group: string, actual: readonly Instance[]): readonly Instance[];
  /** False while an instance is shown in another state than moto's. */
  isSettled(instanceId: string): boolean;
  onInstances(answer: Answer): Answer;
  onGroups(answer: Answer): Answer;
}

interface ShownMachine {
  readonly until: number;
  readonly code: number;
  readonly name: 'pending' | 'shutting-down';
}

interface ShownMember {
  readonly until: number;
  readonly group: string;
  /** Null for one that moto lists itself. */
  readonly gone: Instance | null;
  readonly state: string;
}

export function createLag(lags: Lags): Lag {
  const machines = new Map<string, ShownMachine>();
  const shown = new Map<string, ShownMember>();
  const until = (ms: number | undefined): number => performance.now() + (ms ?? 0);
  const terminated = (instanceId: string): void => {
    machines.set(instanceId, { until: until(lags.terminatingMs), code: 32, name: 'shutting-down' });
  };
  return {
    launched(instanceId) {
      machines.set(instanceId, { until: until(lags.pendingMs), code: 0, name: 'pending' });
    },
    terminated,
    joined(group, instanceId) {
      shown.set(instanceId, { until: until(lags.joiningMs), group, gone: null, state: 'Pending' });
    },
    left(group, member, state) {
      const ms = state === 'Detaching' ? lags.detachingMs : lags.terminatingMs;
      const instanceId = member.InstanceId ?? '';
      shown.set(instanceId, { until: until(ms), group, gone: member, state });
      if (state === 'Terminating') terminated(instanceId);
    },
    members(group, actual) {
      const now = live(shown);
      const listed = actual.map((member): Instance => {
        const state = now.get(member.InstanceId ?? '')?.state;
        return state === undefined ? member : withState(member, state);
      });
      return [...listed, ...departing(now, group)];
    },
    isSettled: (instanceId) => !live(machines).has(instanceId),
    onInstances: (answer) => ({ ...answer, body: withMachines(answer.body, live(machines)) }),
    onGroups: (answer) => ({ ...answer, body: withMembers(answer.body, live(shown)) }),
  };
}

/** Forgets what is over, and returns the rest. */
function live<T extends { readonly until: number }>(all: Map<string, T>): ReadonlyMap<string, T> {
  const now = performance.now();
  for (const [id, { until }] of all) if (until <= now) all.delete(id);
  return all;
}

function departing(shown: ReadonlyMap<string, ShownMember>, group: string): readonly Instance[] {
  return [...shown.values()].flatMap((member) =>
    member.gone !== null && member.group === group ? withState(member.gone, member.state) : [],
  );
}

function withState(member: Instance, state: string): Instance {
  return { ...member, LifecycleState: state as NonNullable<Instance['LifecycleState']> };
}

function withMachines(xml: string, machines: ReadonlyMap<string, ShownMachine>): string {
  return [...machines].reduce((text, [id, { code, name }]) => {
    const state = new RegExp(
      `(<instanceId>${id}</instanceId><imageId>[^<]*</imageId><instanceState>).*?(?=</instanceState>)`,
    );
    return text.replace(state, `$1<code>${code}</code><name>${name}</name>`);
  }, xml);
}

function withMembers(xml: string, shown: ReadonlyMap<string, ShownMember>): string {
  const stated = [...shown].reduce((text, [id, { state }]) => {
    // Only elements without children stand between an instance's id and its state.
    const lifecycle = new RegExp(
      `(<InstanceId>${id}</InstanceId>(?:<\\w+>[^<]*</\\w+>)*?<LifecycleState>)[^<]*`,
    );
    return text.replace(lifecycle, `$1${state}`);
  }, xml);
  const groups = new Set([...shown.values()].map(({ group }) => group));
  return [...groups].reduce((text, group) => {
    const gone = departing(shown, group)
      .map((member) => element('member', member, 'member'))
      .join('');
    return gone === '' ? text : inserted(text, group, gone);
  }, stated);
}

/** Adds members to the list of one group, which moto writes as one empty element when there are none. */
function inserted(xml: string, group: string, members: string): string {
  const start = xml.indexOf(`<AutoScalingGroupName>${group}</AutoScalingGroupName>`);
  if (start === -1) return xml;
  const rest = xml.slice(start).replace('<Instances/>', '<Instances></Instances>');
  return xml.slice(0, start) + rest.replace('<Instances>', () => `<Instances>${members}`);
}
