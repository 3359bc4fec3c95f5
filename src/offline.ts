import { explainEvents } from './actions/explain-events.ts';
import { type Fleet, readFleet } from './actions/fleet.ts';
import type { Clock } from './base/clock.ts';
import { Failure } from './base/failure.ts';
import { idMaker } from './base/id.ts';
import type { Random } from './base/random.ts';
import type { CloudReads } from './cloud/cloud.ts';
import type { RuleLists } from './config/merge.ts';
import type { Sample } from './engine/explain.ts';
import type { FleetView } from './engine/fleet.ts';
import { NOTHING_REMEMBERED } from './engine/memory.ts';
import { type PresentedExplanation, presentExplanations } from './engine/present-explanation.ts';
import { compileRuleset } from './engine/ruleset.ts';
import { readSample } from './ingest/sample.ts';
import { silentLog } from './telemetry/log.ts';

/** What a daemon would have; it is not there. */
export interface OfflineInput {
  readonly lists: RuleLists;
  /** Of the files that the lists are from. */
  readonly hash: string;
  /** Where the groups are read; null when none are known. */
  readonly cloud: Pick<CloudReads, 'groups' | 'instances' | 'marketData'> | null;
  readonly sample: Sample;
  /** Shows only this rule where it is not null. */
  readonly rule: string | null;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * What a daemon that has just begun, with these rules and this cloud, would answer to `POST /api/v1/explain`. Fails with
 * `invalid_request` when nothing of the sample can be read.
 */
export async function explainOffline(input: OfflineInput): Promise<PresentedExplanation> {
  const { lists, hash, cloud, sample, rule, clock, random } = input;
  const newId = idMaker(clock, random);
  const ruleset = compileRuleset({ ...lists, hash, generation: 0, loadedAt: clock.now() });
  const reading = readSample(sample, clock.now(), newId);
  if ('error' in reading) throw new Failure('invalid_request', 'reject', reading.error);
  const { events, rejected } = reading;
  const explained = await explainEvents(events, {
    ...{ clock, newId, log: silentLog, memory: NOTHING_REMEMBERED },
    ...{ shadow: false, ownInstance: null, foresee: () => 'new' },
    ruleset: { current: () => ruleset },
    fleet: fixed(cloud === null ? NO_GROUPS : await readFleet({ cloud, clock })),
  });
  return presentExplanations(explained, rejected, rule);
}

const NO_GROUPS: FleetView = { readAt: 0, groups: new Map(), instances: new Map(), addresses: new Map() };

/** A reading that is as new as can be, whenever it is asked for. */
function fixed(view: FleetView): Fleet {
  return { current: () => view, atMost: () => Promise.resolve(view) };
}
