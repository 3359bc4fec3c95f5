import { endOf } from '../actions/action-end.ts';
import type { GroupRest } from '../actions/live-memory.ts';
import { newestAttempt, type Run, type RunError, type StepRecord } from '../actions/run.ts';
import type { Pause } from '../actions/store.ts';
import type { Rest } from '../engine/memory.ts';

/** The step that writes the plan of a swap down, in `detail.plan`. */
const PLAN_STEP = 'plan';

/** A time as answers have it. */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** As `timeOf`, where there may be no time. */
export function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : timeOf(ms);
}

/** The time when it lies ahead, else null. */
export function comingTime(until: number | null, now: number): string | null {
  return until !== null && until > now ? timeOf(until) : null;
}

/** A run as the API shows it; `plan` is null until one has been made. */
export function presentRun(run: Run): object {
  return {
    ...summaryOfRun(run),
    attempt: run.attempt,
    error: run.error,
    actions: run.actions.map(({ kind }, action) => ({ kind, ...presentAction(run, action) })),
    plan: planOf(run),
    steps: run.steps.map(presentStep),
  };
}

/** What identifies a run and where it stands. `action` is the chain's kinds in order, joined by a comma. */
export function summaryOfRun(run: Run): object {
  return {
    id: run.id,
    state: run.state,
    decisionId: run.decisionId,
    rule: run.rule,
    group: run.group.name,
    region: run.group.region,
    account: run.group.account,
    instance: run.instanceId,
    action: run.actions.map(({ kind }) => kind).join(','),
    createdAt: timeOf(run.createdAt),
    dueAt: timeOf(run.dueAt),
    finishedAt: timeOrNull(run.finishedAt),
  };
}

/** Outcome and error are null while the action is under way, or not begun; `attempts` is how many were begun. */
function presentAction(run: Run, action: number): object {
  const end = endOf(run, action);
  return {
    outcome: end?.outcome ?? null,
    attempts: newestAttempt(run, action),
    error: end?.error ?? null,
  };
}

/** `action` is the position in the run's `actions`. */
function presentStep(step: StepRecord): object {
  return {
    action: step.action,
    name: step.name,
    state: step.state,
    attempt: step.attempt,
    startedAt: timeOf(step.startedAt),
    finishedAt: timeOrNull(step.finishedAt),
    detail: withoutSecrets(step.detail),
    error: step.error satisfies RunError | null,
  };
}

/** The newest plan of the run: a swap that is planned again, or a second swap of the chain, replaces the first's. */
function planOf(run: Run): unknown {
  const step = run.steps.findLast(({ name, detail }) => name === PLAN_STEP && detail['plan'] !== undefined);
  return step === undefined ? null : withoutSecrets(step.detail['plan']);
}

/** A pause as the API shows it; `group` is a group key, or null for all groups. */
export function presentPause(pause: Pause): object {
  return { group: pause.group, reason: pause.reason, at: timeOf(pause.at) };
}

/** A rest as the API shows it. */
export function presentRest({ until, failures }: Rest): object {
  return { until: timeOf(until), failures };
}

/** As `presentRest`, with the group's key. */
export function presentGroupRest({ group, ...rest }: GroupRest): object {
  return { group, ...presentRest(rest) };
}

/**
 * Fields that a launch configuration, and so a launch request that a step wrote down, may carry secrets in (law 9);
 * compared in lower case.
 */
const SECRET_FIELDS = new Set([
  'authorization',
  'password',
  'secret',
  'secretaccesskey',
  'sessiontoken',
  'userdata',
]);

/** A copy of plain JSON with the values of secret fields blotted out, at any depth. */
export function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      SECRET_FIELDS.has(key.toLowerCase()) ? '<secret>' : withoutSecrets(inner),
    ]),
  );
}
