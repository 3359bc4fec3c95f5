import type { FailureCode } from '../base/failure.ts';
import type { Market } from '../base/market.ts';
import type { Outcome } from '../engine/decision.ts';
import type { EventStatus, Labels } from '../engine/event.ts';
import type { PolicySpec } from '../engine/policy.ts';
import type { Reason, RefusalReason } from '../engine/reason.ts';
import type { ActionSpec, Scalar } from '../engine/rule.ts';
import type { GroupReference, Scene, ScenePrice } from './scene.ts';

/** One test of a `*.test.yaml`, with every default filled in. Times are ms after the start of the test. */
export interface RuleTest {
  readonly name: string;
  /** What the clock shows at the beginning; ms since the epoch. */
  readonly startsAt: number;
  /**
   * Which policies hold. `inherit`: those of the rule file and of all others in its directory, as a daemon that loads the
   * directory would have it; `own`: those of the rule file alone; or just these.
   */
  readonly policies: 'inherit' | 'own' | readonly PolicySpec[];
  /** Further rule files, relative to the test file. */
  readonly rules: readonly string[];
  readonly cloud: Scene;
  readonly events: readonly TestEvent[];
  readonly expect: readonly Expectation[];
  /** Decisions of these outcomes must all be expected. */
  readonly exact: readonly Outcome[];
}

/** Something that happens in a test. */
export interface TestEvent {
  readonly atMs: number;
  readonly what: TestHappening;
}

/** `alert` and `event` are told to Coppice; the rest happens to the cloud, and nobody tells of it. */
export type TestHappening =
  | { readonly kind: 'alert'; readonly alert: TestAlert }
  | { readonly kind: 'event'; readonly event: TestCloudEvent }
  /** AWS gives the two minutes' notice of a spot interruption. */
  | { readonly kind: 'interrupt' | 'terminate' | 'stop' | 'break' | 'mend'; readonly instance: string }
  | {
      readonly kind: 'resize';
      readonly group: GroupReference;
      readonly sizes: { readonly min?: number; readonly max?: number; readonly desired?: number };
    }
  | {
      readonly kind: 'tag';
      readonly group: GroupReference;
      readonly key: string;
      /** Null takes the tag away. */
      readonly value: string | null;
    }
  | {
      readonly kind: 'suspend' | 'resume';
      readonly group: GroupReference;
      readonly processes: readonly string[];
    }
  /** Null is plenty. */
  | { readonly kind: 'capacity'; readonly market: Market; readonly launches: number | null }
  | { readonly kind: 'price'; readonly price: ScenePrice };

/** A notification of Alertmanager. */
export interface TestAlert {
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly status: EventStatus;
}

/** A CloudEvent; id and time are filled in. */
export interface TestCloudEvent {
  readonly type: string;
  readonly source: string;
  readonly subject: string | null;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly status: EventStatus;
}

/** What must be so; every part that is null is not looked at. */
export type Expectation = DecisionExpectation | RunExpectation | FactsExpectation;

/** Some decision that was made within the second that begins at `atMs` fits. */
export interface DecisionExpectation {
  readonly kind: 'decision';
  readonly atMs: number;
  readonly rule: string;
  readonly outcome: Outcome;
  readonly reason: Reason | null;
  readonly group: GroupReference | null;
  readonly instance: string | null;
  /** All of them, in order. */
  readonly actions: readonly ActionSpec['kind'][] | null;
  /** Each of these conditions was evaluated, and so. */
  readonly because: readonly EvidenceExpectation[];
}

export interface EvidenceExpectation {
  readonly fact: string;
  readonly result: 'true' | 'false' | 'unknown' | null;
  readonly actual: Scalar | null;
}

/** States that a run may be expected in: those in which it is over, and `under_way` for all others. */
export const RUN_EXPECTATIONS = ['succeeded', 'failed', 'rolled_back', 'cancelled', 'under_way'] as const;

/** Of the runs that were begun by `atMs` and fit, the last one is in this state then. */
export interface RunExpectation {
  readonly kind: 'run';
  readonly atMs: number;
  readonly run: (typeof RUN_EXPECTATIONS)[number];
  readonly rule: string | null;
  readonly group: GroupReference | null;
  readonly instance: string | null;
  /** Why it did not succeed. */
  readonly error: RefusalReason | FailureCode | null;
}

/** The group's facts at `atMs`, after all that happens then. */
export interface FactsExpectation {
  readonly kind: 'facts';
  readonly atMs: number;
  readonly group: GroupReference;
  /** By names without `group.`. */
  readonly facts: Readonly<Record<string, FactExpectation>>;
}

/** A value; null where the fact must be missing; or bounds. */
export type FactExpectation = Scalar | null | FactBounds;

/** Named and meant as the operators of conditions. */
export interface FactBounds {
  readonly lessThan?: number;
  readonly lessThanInclusive?: number;
  readonly greaterThan?: number;
  readonly greaterThanInclusive?: number;
}
