import { type GroupName, groupKey } from '../../base/group-name.ts';
import type { CloudWrites } from '../cloud.ts';
import type { CloudOperation } from './call-book.ts';
import type { SimulatedGroup, SimulatedInstance, Simulation } from './simulation.ts';

/** What a write changes as far as reads can tell at once. New machines need not be said: they are found. */
interface Touched {
  readonly group?: GroupName;
  readonly instanceId?: string;
}

const TOUCHED: { readonly [W in keyof CloudWrites]: (...args: Parameters<CloudWrites[W]>) => Touched } = {
  launch: () => ({}),
  launchFleet: () => ({}),
  terminate: (_, instanceId) => ({ instanceId }),
  attach: (group, instanceId) => ({ group, instanceId }),
  detach: (group, instanceId) => ({ group, instanceId }),
  terminateInGroup: (group, instanceId) => ({ group, instanceId }),
  suspend: (group) => ({ group }),
  resume: (group) => ({ group }),
  resize: (group) => ({ group }),
  protect: (group) => ({ group }),
  tagGroup: (group) => ({ group }),
  tagInstance: (_, instanceId) => ({ instanceId }),
};

/**
 * Eventual consistency: for `readLagMs` after a write, each read may still find what it touched as it was right before.
 * A later read may be further behind than an earlier one, as at AWS, where they meet different copies. Without a lag
 * nothing is kept and nothing drawn.
 */
export class ReadLag {
  readonly #simulation: Simulation;
  readonly #groups = new Past<SimulatedGroup>();
  /** Null is a machine that was not there yet. */
  readonly #instances = new Past<SimulatedInstance | null>();

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** Performs a call, and keeps what was before if it wrote something. One that is refused wrote nothing. */
  through<T>(operation: CloudOperation, args: readonly unknown[], act: () => T): T {
    const { world, now, instances } = this.#simulation;
    if (world.readLagMs === 0 || !isWrite(operation)) return act();
    const { group, instance } = this.#before(operation, args);
    const machines = instances.size;
    const answer = act();
    const until = now + world.readLagMs;
    if (group !== null) this.#groups.keep({ key: group.key, view: group, until }, now);
    if (instance !== null) this.#instances.keep({ key: instance.id, view: instance, until }, now);
    for (const id of [...instances.keys()].slice(machines)) {
      this.#instances.keep({ key: id, view: null, until }, now);
    }
    return answer;
  }

  /** The group as one read finds it. */
  group(group: SimulatedGroup): SimulatedGroup {
    return this.#found(this.#groups, group.key, group);
  }

  /** The machine as one read finds it; null when that read does not know it yet. */
  instance(instance: SimulatedInstance): SimulatedInstance | null {
    return this.#found<SimulatedInstance | null>(this.#instances, instance.id, instance);
  }

  #before(
    operation: keyof CloudWrites,
    args: readonly unknown[],
  ): { readonly group: SimulatedGroup | null; readonly instance: SimulatedInstance | null } {
    // Every method records its own arguments, so that each row meets those of its method.
    const touched = (TOUCHED[operation] as (...args: readonly unknown[]) => Touched)(...args);
    const group =
      touched.group === undefined ? undefined : this.#simulation.groups.get(groupKey(touched.group));
    const instance = this.#simulation.instances.get(touched.instanceId ?? '');
    return {
      group: group === undefined ? null : copyOfGroup(group),
      instance: instance === undefined ? null : { ...instance, tags: new Map(instance.tags) },
    };
  }

  #found<T>(past: Past<T>, key: string, present: T): T {
    const views = past.views(key, this.#simulation.now);
    if (views.length === 0) return present;
    const chosen = views[Math.floor(this.#simulation.random.next() * (views.length + 1))];
    return chosen === undefined ? present : chosen;
  }
}

interface PastView<T> {
  readonly key: string;
  readonly view: T;
  /** When no read finds it any more, ms since the epoch. */
  readonly until: number;
}

/** Views that reads may still find, oldest first. */
class Past<T> {
  readonly #views: PastView<T>[] = [];

  keep(view: PastView<T>, now: number): void {
    this.#forget(now);
    this.#views.push(view);
  }

  views(key: string, now: number): readonly T[] {
    this.#forget(now);
    return this.#views.filter((view) => view.key === key).map(({ view }) => view);
  }

  /** All are kept for equally long, so that the first is the first to go. */
  #forget(now: number): void {
    while ((this.#views[0]?.until ?? Number.POSITIVE_INFINITY) <= now) this.#views.shift();
  }
}

function isWrite(operation: CloudOperation): operation is keyof CloudWrites {
  return operation in TOUCHED;
}

function copyOfGroup(group: SimulatedGroup): SimulatedGroup {
  return {
    ...group,
    tags: new Map(group.tags),
    suspended: new Set(group.suspended),
    members: new Map([...group.members].map(([id, membership]) => [id, { ...membership }])),
  };
}
