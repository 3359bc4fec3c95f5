import type { Decision } from './decision.ts';

/** A decision as the API and the command line show it: plain JSON. */
export interface PresentedDecision
  extends Pick<
    Decision,
    'generation' | 'rule' | 'event' | 'outcome' | 'reason' | 'detail' | 'because' | 'actions'
  > {
  /** Null where the decision is only an explanation. */
  readonly id: string | null;
  /** RFC 3339. */
  readonly at: string;
  readonly subject: {
    readonly group: string | null;
    readonly region: string | null;
    readonly account: string | null;
    readonly instance: string | null;
  };
  readonly runId: string | null;
}

/** The one form in which a decision is shown, whoever asks. */
export function presentDecision(decision: Decision): PresentedDecision {
  const { id, at, generation, rule, event, subject, outcome, reason, detail, runId, actions } = decision;
  return {
    id,
    at: new Date(at).toISOString(),
    generation,
    rule,
    event,
    subject: {
      group: subject.group?.name ?? null,
      region: subject.group?.region ?? null,
      account: subject.group?.account ?? null,
      instance: subject.instance,
    },
    outcome,
    reason,
    detail,
    because: decision.because.map((evidence) => ({ ...evidence, actual: evidence.actual ?? null })),
    runId,
    actions,
  };
}

/** A decision that was never taken: there is neither a decision nor a run of these ids. */
export function presentHypothetical(decision: Decision): PresentedDecision {
  return { ...presentDecision(decision), id: null, runId: null };
}
