import type { Run } from './run-answer.ts';
import { type Cell, plain, renderFields, renderSection, renderTable } from './table.ts';

/** One line a run. */
export function drawRuns(runs: readonly Run[], colors: boolean): string {
  const titles = ['CREATED', 'ID', 'ACTION', 'RULE', 'GROUP', 'INSTANCE', 'STATE', 'ERROR', 'FINISHED'];
  const rows = runs.map((run) => [
    run.createdAt,
    run.id,
    run.action,
    run.rule,
    run.group,
    run.instance,
    run.state,
    run.error?.reason ?? null,
    run.finishedAt,
  ]);
  return renderTable(titles, rows, colors);
}

/** A run with the candidates of its plan, each with its scores or why it was rejected, and its steps. */
export function drawRun(run: Run, colors: boolean): string {
  const fields = renderFields(
    [
      ['id', run.id],
      ['state', run.state],
      ['action', run.action],
      ['rule', run.rule],
      ['decision', run.decisionId],
      ['group', run.group],
      ['region', run.region],
      ['account', run.account],
      ['instance', run.instance],
      ['created', run.createdAt],
      ['finished', run.finishedAt],
      ['error', errorText(run.error)],
    ],
    colors,
  );
  return [
    fields,
    renderSection('Actions', drawActions(run, colors), colors),
    renderSection('Candidates', drawCandidates(run.plan, colors), colors),
    renderSection('Steps', drawSteps(run, colors), colors),
  ].join('');
}

/** Nothing where the run itself says it all: one action, tried once. */
function drawActions({ actions }: Run, colors: boolean): string {
  if (actions.length < 2 && actions.every(({ attempts }) => attempts < 2)) return '';
  const titles = ['ACTION', 'OUTCOME', 'ATTEMPTS', 'ERROR'];
  const rows = actions.map(({ kind, outcome, attempts, error }): Cell[] => [
    kind,
    outcome,
    attempts,
    errorText(error),
  ]);
  return renderTable(titles, rows, colors);
}

/** The candidate table of a plan, best first; the chosen one is marked. */
export function drawCandidates(plan: Run['plan'], colors: boolean): string {
  if (plan === null || plan.candidates.length === 0) return '';
  // The scores are the daemon's to name; a newer one may weigh more of them.
  const scores = [...new Set(plan.candidates.flatMap((candidate) => Object.keys(candidate.scores ?? {})))];
  const titles = ['', 'MARKET', 'PRICE', ...scores.map((score) => score.toUpperCase()), 'REJECTED'];
  const rows = plan.candidates.map((candidate) => [
    candidate.market === plan.chosen ? '*' : '',
    candidate.market,
    priceText(candidate.price),
    ...scores.map((score) => scoreText(candidate.scores?.[score])),
    rejectionText(candidate.rejected),
  ]);
  return `${renderTable(titles, rows, colors)}${rankingText(plan.ranking)}`;
}

/** Nothing where Coppice ranked by itself, as it does without a recommender. */
function rankingText({ by, because }: NonNullable<Run['plan']>['ranking']): string {
  if (because !== null) return `ranked by ${by}; ${plain(because)}\n`;
  return by === 'coppice' ? '' : `ranked by the ${by}\n`;
}

function drawSteps(run: Run, colors: boolean): string {
  if (run.steps.length === 0) return '';
  const several = run.actions.length > 1;
  const titles = [
    ...(several ? ['ACTION'] : []),
    ...['STEP', 'STATE', 'ATTEMPT', 'STARTED', 'FINISHED', 'ERROR'],
  ];
  const rows = run.steps.map((step): Cell[] => [
    ...(several ? [run.actions[step.action]?.kind ?? null] : []),
    step.name,
    step.state,
    step.attempt,
    step.startedAt,
    step.finishedAt,
    errorText(step.error),
  ]);
  return renderTable(titles, rows, colors);
}

/** `reason: message`; null where there is no error. */
export function errorText(error: Run['error']): string | null {
  return error === null ? null : `${error.reason}: ${error.message}`;
}

function rejectionText(rejected: { readonly code: string; readonly detail: string } | null): string {
  return rejected === null ? '' : `${rejected.code}: ${rejected.detail}`;
}

function scoreText(score: number | undefined): string | null {
  return score === undefined ? null : score.toFixed(2);
}

/** Prices of small instances differ in the fourth digit of a dollar. */
function priceText(price: number | null): string | null {
  return price === null ? null : `$${price.toFixed(4)}`;
}
