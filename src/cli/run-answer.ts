import { z } from 'zod';

const ERROR = z.object({ reason: z.string(), message: z.string() });

/** One action of the chain; outcome and error are null until it has ended. */
const ACTION = z.object({
  kind: z.string(),
  outcome: z.string().nullable(),
  attempts: z.number(),
  error: ERROR.nullable(),
});

const STEP = z.object({
  /** Position in `actions`; an older daemon does not tell. */
  action: z.number().default(0),
  name: z.string(),
  state: z.string(),
  attempt: z.number(),
  startedAt: z.string(),
  finishedAt: z.string().nullable(),
  error: ERROR.nullable(),
});

const CANDIDATE = z.object({
  market: z.string(),
  price: z.number().nullable().default(null),
  scores: z.record(z.string(), z.number()).nullable(),
  rejected: z.object({ code: z.string(), detail: z.string() }).nullable(),
});

/** Whose scores order the candidates; an older daemon had only its own. */
const RANKING = z
  .object({ by: z.string(), because: z.string().nullable() })
  .default({ by: 'coppice', because: null });

/** The plan of a swap: what may replace the old instance, best first. */
export const PLAN = z.object({
  ranking: RANKING,
  candidates: z.array(CANDIDATE),
  chosen: z.string().nullable(),
});

/** A run as the daemon answers it; only what is shown to people. */
export const RUN = z.object({
  id: z.string(),
  state: z.string(),
  decisionId: z.string(),
  rule: z.string(),
  group: z.string(),
  region: z.string(),
  account: z.string(),
  instance: z.string(),
  action: z.string(),
  createdAt: z.string(),
  finishedAt: z.string().nullable(),
  error: ERROR.nullable(),
  actions: z.array(ACTION).default([]),
  plan: PLAN.nullable(),
  steps: z.array(STEP),
});
export type Run = z.output<typeof RUN>;

/** A page of runs. */
export const RUNS = z.object({ items: z.array(RUN), next: z.string().nullable() });
