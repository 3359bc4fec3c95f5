import type { Event, EventStatus, Labels } from './event.ts';
import type { Explanation } from './explain.ts';
import { type PresentedDecision, presentHypothetical } from './present-decision.ts';

/** An event with what the rules would conclude of it. */
export interface Explained {
  readonly event: Event;
  readonly explanation: Explanation;
  /** What else there is to say of the event, one sentence each. */
  readonly remarks: readonly string[];
}

/** The answer to a request for an explanation: plain JSON. */
export interface PresentedExplanation {
  readonly events: readonly ExplainedEvent[];
  /** Event by event: of each rule that listens in file order, or one without a rule; then of each that does not. */
  readonly decisions: readonly PresentedDecision[];
  /** What of the sample could not be read; places from 0. */
  readonly rejected: readonly { readonly index: number; readonly error: string }[];
}

interface ExplainedEvent {
  /** That decisions name; no event of this id is in the inbox. */
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly subject: string | null;
  /** RFC 3339. */
  readonly time: string | null;
  readonly endsAt: string | null;
  readonly status: EventStatus;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly fingerprint: string;
  readonly notes: readonly string[];
}

/** The one form in which explanations are shown, by a daemon or without one; of only one rule where it is named. */
export function presentExplanations(
  explained: readonly Explained[],
  rejected: PresentedExplanation['rejected'],
  rule: string | null,
): PresentedExplanation {
  const decisions = explained.flatMap(({ explanation }) => [...explanation.decided, ...explanation.deaf]);
  return {
    events: explained.map(presentEvent),
    decisions: decisions
      .filter((decision) => rule === null || decision.rule === rule)
      .map(presentHypothetical),
    rejected: rejected.map(({ index, error }) => ({ index, error })),
  };
}

function presentEvent({ event, explanation, remarks }: Explained): ExplainedEvent {
  const { id, type, source, subject, time, endsAt, status, labels, annotations, fingerprint } = event;
  return {
    ...{ id, type, source, subject, time: timeOrNull(time), endsAt: timeOrNull(endsAt) },
    ...{ status, labels, annotations, fingerprint },
    notes: [...explanation.hints, ...remarks],
  };
}

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
