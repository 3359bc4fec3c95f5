import type { Clock } from '../../base/clock.ts';
import { Failure } from '../../base/failure.ts';
import type { GroupName } from '../../base/group-name.ts';
import type { SimulatedCloud } from '../../cloud/simulated/simulated-cloud.ts';
import type { RuleTest, TestAlert, TestCloudEvent, TestHappening } from '../../config/rule-test.ts';
import { type GroupReference, groupIn } from '../../config/scene.ts';
import type { Rehearsal } from '../../rehearsal.ts';

/** Where the events of a test take place. */
export interface Stage {
  readonly test: RuleTest;
  readonly cloud: SimulatedCloud;
  readonly clock: Clock;
  readonly rehearsal: Rehearsal;
  /** When each alert that fires began to, by its labels; ms since the epoch. */
  readonly alerts: Map<string, number>;
}

/** Lets it happen now. Answers, or throws, why it cannot be; null when it has. */
export async function bringAbout(what: TestHappening, stage: Stage): Promise<string | null> {
  if (what.kind === 'alert') return stage.rehearsal.take({ alert: notification(what.alert, stage) });
  if (what.kind === 'event') return stage.rehearsal.take({ event: cloudEvent(what.event, stage) });
  befall(what, stage);
  return null;
}

/** As Alertmanager would send it: with the time at which the alert began, also when it is repeated or over. */
function notification({ labels, annotations, status }: TestAlert, { alerts, clock }: Stage): object {
  const key = JSON.stringify(Object.entries(labels).sort());
  const now = clock.now();
  const startsAt = alerts.get(key) ?? now;
  if (status === 'firing') alerts.set(key, startsAt);
  else alerts.delete(key);
  return {
    ...{ status, labels, annotations, startsAt: timeOf(startsAt) },
    ...(status === 'resolved' && { endsAt: timeOf(now) }),
  };
}

/** No two have the same id, so that none is taken for another one sent again. */
function cloudEvent(event: TestCloudEvent, { test, clock }: Stage): object {
  const { type, source, subject, labels, annotations, status } = event;
  const position = test.events.findIndex(({ what }) => what.kind === 'event' && what.event === event);
  return {
    ...{ specversion: '1.0', id: `event-${position}`, type, source, time: timeOf(clock.now()) },
    ...(subject !== null && { subject }),
    data: { status, labels, annotations },
  };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

type Befalling = Exclude<TestHappening, { kind: 'alert' | 'event' }>;
type Of<K extends Befalling['kind']> = Extract<Befalling, { readonly kind: K }>;

const BEFALL: { readonly [K in Befalling['kind']]: (what: Of<K>, stage: Stage) => void } = {
  interrupt: ({ instance }, { cloud }) => void cloud.byHand.interrupt(instance),
  terminate: ({ instance }, { cloud }) => cloud.byHand.terminate(instance),
  stop: ({ instance }, { cloud }) => cloud.byHand.stop(instance),
  break: ({ instance }, { cloud }) => cloud.byHand.breakApplication(instance),
  mend: ({ instance }, { cloud }) => cloud.byHand.breakApplication(instance, false),
  resize: ({ group, sizes }, stage) => stage.cloud.byHand.setSizes(named(group, stage), sizes),
  tag: ({ group, key, value }, stage) => stage.cloud.byHand.tag(named(group, stage), key, value, true),
  suspend: ({ group, processes }, stage) => stage.cloud.byHand.suspend(named(group, stage), processes),
  resume: ({ group, processes }, stage) => stage.cloud.byHand.resume(named(group, stage), processes),
  capacity: ({ market, launches }, { cloud }) => cloud.byHand.setCapacity(market, launches),
  price: ({ price }, { cloud }) => cloud.byHand.setPrice(price),
};

function befall<K extends Befalling['kind']>(what: Of<K>, stage: Stage): void {
  const act: (what: Of<K>, stage: Stage) => void = BEFALL[what.kind as K];
  act(what, stage);
}

/** The file was checked against its own cloud, so the group is there. */
function named(reference: GroupReference, { test }: Stage): GroupName {
  const group = groupIn(test.cloud, reference);
  if (group === null) throw new Failure('internal', 'reject', `there is no group ${reference}`);
  return group;
}
