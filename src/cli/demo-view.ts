import { createColors } from 'picocolors';
import type { Decision } from '../engine/decision.ts';
import type { Group } from './group-view.ts';
import type { Run } from './run-answer.ts';
import { drawCandidates } from './run-view.ts';
import { plain } from './table.ts';

/** Widest bar: one cell an instance, up to so many. */
const WIDEST_BAR = 40;
/** Candidates shown of a plan; the API has all of them. */
const CANDIDATES_SHOWN = 6;

/** Turns what happens in the demo into lines for a person. Pure but for the colours. */
export interface DemoView {
  group(title: string, group: Group): string;
  event(at: string, sentence: string): string;
  decision(at: string, decision: Decision): string;
  candidates(run: Run): string;
  step(at: string, step: { readonly name: string; readonly state: string; readonly seconds: number }): string;
  end(
    at: string,
    run: { readonly instance: string; readonly state: string; readonly error: string | null },
  ): string;
}

export function demoView(colors: boolean): DemoView {
  const paint = createColors(colors);
  const line = (at: string, what: string, text: string): string =>
    `${paint.dim(at)}  ${what.padEnd(9)} ${text}\n`;
  return {
    group: (title, group) => `\n${paint.bold(title)}\n${drawBars(group, paint.green)}${drawFigures(group)}\n`,
    event: (at, sentence) => line(at, paint.yellow('event'.padEnd(9)), sentence),
    decision(at, { rule, outcome, reason, detail }) {
      const told = outcome === 'dispatched' ? paint.green(outcome) : paint.dim(outcome);
      return line(at, 'decision', `${rule ?? 'no rule'}: ${told} (${reason}) ${paint.dim(plain(detail))}`);
    },
    candidates: (run) => indent(drawCandidates(shortened(run.plan), colors)),
    step: (at, { name, state, seconds }) =>
      line(
        at,
        'step',
        `${name.padEnd(17)} ${state}${seconds >= 1 ? paint.dim(` after ${Math.round(seconds)} s`) : ''}`,
      ),
    end: (at, { instance, state, error }) =>
      line(
        at,
        'run',
        `${instance}: ${state === 'succeeded' ? paint.green(state) : paint.red(state)} ${error ?? ''}`,
      ),
  };
}

function drawBars(group: Group, paint: (text: string) => string): string {
  const widest = Math.max(...group.markets.map(({ market }) => market.length));
  return group.markets
    .map(
      ({ market, count }) =>
        `  ${market.padEnd(widest)}  ${paint('█'.repeat(Math.min(count, WIDEST_BAR)))} ${count}\n`,
    )
    .join('');
}

function drawFigures(group: Group): string {
  const ratio = group.diversityRatio?.toFixed(2) ?? '-';
  const cost = `${dollars(group.hourlyCost)} an hour; on demand it would be ${dollars(group.onDemandHourlyCost)}`;
  return `  diversity ${ratio}, ${group.inServiceCount} of ${group.desired} in service, ${cost}\n`;
}

function shortened(plan: Run['plan']): Run['plan'] {
  if (plan === null) return null;
  const good = plan.candidates.filter((candidate) => candidate.rejected === null);
  const bad = plan.candidates.filter((candidate) => candidate.rejected !== null);
  const room = Math.max(1, CANDIDATES_SHOWN - Math.min(good.length, CANDIDATES_SHOWN - 2));
  return { ...plan, candidates: [...good.slice(0, CANDIDATES_SHOWN - room), ...bad.slice(0, room)] };
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '             ');
}

function dollars(amount: number | null): string {
  return amount === null ? 'unknown' : `$${amount.toFixed(2)}`;
}
