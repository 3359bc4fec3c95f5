import { type Batched, createBatcher } from '../base/batcher.ts';
import type { Clock } from '../base/clock.ts';
import type { CloudPlace, CloudReads, GroupState, Instance } from '../cloud/cloud.ts';

/** How long the first look of a step may wait for company; ms. Nothing beside the tens of ms that the request takes. */
const LEAD_MS = 5;
/** How long a look at something that takes its time may wait; ms (docs/swap.md, "Cost in calls"). */
const POLL_MS = 100;
/**
 * How much longer either waits while a request of the same kind is under way; ms. As long as AWS takes for most answers, so
 * that under load looks follow one another instead of crowding, and so short that a request that hangs stops nobody.
 */
const HOLD_MS = 500;

/** The reads that runs look with. */
type Looks = Pick<CloudReads, 'groupsNamed' | 'instances'>;

/** The same reads with two kinds of patience. Both join the same batches. */
export interface SharedReads {
  /** For whoever acts on the answer at once. */
  readonly now: Looks;
  /** For whoever looks whether something has happened yet. */
  readonly waiting: Looks;
}

/**
 * The reads of groups and of machines, merged into one request a place where they are asked for at about the same time, so
 * that all the runs in flight share their looks. As fresh as without: a request is sent only after everyone who shares its
 * answer has asked. The health of targets is not among them: AWS tells it for one target group a request, and hardly two
 * groups send their traffic through the same.
 */
export function sharedReads(cloud: Looks, clock: Clock): SharedReads {
  const groups = byPlace<GroupState>((where) =>
    createBatcher({
      clock,
      holdMs: HOLD_MS,
      fetch: (names) => cloud.groupsNamed(where, names),
      keyOf: ({ group }) => group.name,
    }),
  );
  const instances = byPlace<Instance>((where) =>
    createBatcher({
      clock,
      holdMs: HOLD_MS,
      fetch: (ids) => cloud.instances(where, ids),
      keyOf: ({ id }) => id,
    }),
  );
  const within = (ms: number): Looks => ({
    groupsNamed: (where, names) => groups(where)(names, ms),
    instances: (where, ids) => instances(where)(ids, ms),
  });
  return { now: within(LEAD_MS), waiting: within(POLL_MS) };
}

/** One batcher a place; as many as there are configured accounts and regions. */
function byPlace<V>(make: (where: CloudPlace) => Batched<V>): (where: CloudPlace) => Batched<V> {
  const made = new Map<string, Batched<V>>();
  return ({ account, region }) => {
    const key = `${account}/${region}`;
    const known = made.get(key);
    if (known !== undefined) return known;
    const fresh = make({ account, region });
    made.set(key, fresh);
    return fresh;
  };
}
