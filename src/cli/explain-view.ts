import { createColors } from 'picocolors';
import { z } from 'zod';
import { shorten } from '../engine/shorten.ts';
import { DECISION, type Decision, drawConditions } from './decision-view.ts';
import { plain, renderFields } from './table.ts';

/** The answer to a request for an explanation. */
export const EXPLANATION = z.object({
  events: z.array(
    z.object({
      id: z.string(),
      type: z.string(),
      source: z.string(),
      status: z.string(),
      labels: z.record(z.string(), z.string()),
      notes: z.array(z.string()).default([]),
    }),
  ),
  decisions: z.array(DECISION),
  rejected: z.array(z.object({ index: z.number(), error: z.string() })),
});
type Explanation = z.output<typeof EXPLANATION>;
type ExplainedEvent = Explanation['events'][number];

export interface ExplainView {
  /** Also rules that do not listen to the event, which otherwise share one line. */
  readonly whole: boolean;
  readonly colors: boolean;
}

/** Most names of rules in one line. */
const MOST_NAMES = 8;
/** Longest list of labels in text, in characters. */
const LONGEST_LABELS = 500;

/** What was done comes first, then what was held back; within that the order of the files. */
const ORDER = ['dispatched', 'shadowed', 'failed', 'suppressed', 'not_matched'];

/** For each event what it is, and a block for each rule; ends in a newline. */
export function drawExplanation({ events, decisions }: Explanation, view: ExplainView): string {
  const byEvent = Map.groupBy(decisions, (decision) => decision.event.id);
  return events
    .map((event) => {
      const own = byEvent.get(event.id) ?? [];
      const shown = own.filter((decision) => view.whole || !isDeaf(decision)).sort(byOutcome);
      const folded = own.filter((decision) => !view.whole && isDeaf(decision));
      return [
        drawEvent(event, view),
        ...shown.map((decision) => drawBlock(decision, view)),
        ...(folded.length > 0 ? [foldLine(folded)] : []),
      ].join('\n');
    })
    .join('\n');
}

/** Whether the rule was not asked at all, which the dispatcher never records. */
function isDeaf({ rule, reason }: Decision): boolean {
  return rule !== null && reason === 'no_rule';
}

/** An outcome that this version does not know comes last. */
function byOutcome(a: Decision, b: Decision): number {
  return rankOf(a) - rankOf(b);
}

function rankOf({ outcome }: Decision): number {
  const rank = ORDER.indexOf(outcome);
  return rank === -1 ? ORDER.length : rank;
}

function drawEvent({ type, source, status, labels, notes }: ExplainedEvent, { colors }: ExplainView): string {
  const { yellow } = createColors(colors);
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const fields = renderFields(
    [
      ['event', `${shorten(type, LONGEST_LABELS)}, ${status}`],
      ['source', shorten(source, LONGEST_LABELS)],
      ['labels', pairs.length === 0 ? null : shorten(pairs.join(' '), LONGEST_LABELS)],
    ],
    colors,
  );
  return `${fields}${notes.map((note) => `${yellow('note')}    ${plain(note)}\n`).join('')}`;
}

function drawBlock(decision: Decision, { colors }: ExplainView): string {
  const { rule, outcome, reason, detail, because } = decision;
  const { bold } = createColors(colors);
  const lines = [
    `${plain(detail)}\n`,
    subjectLine(decision),
    actionsLine(decision),
    drawConditions(because, colors),
  ];
  const heading = `${bold(plain(rule ?? 'no rule'))}: ${painted(outcome, colors)}, ${plain(reason)}\n`;
  return `${heading}${lines.join('').replaceAll(/^(?=.)/gm, '    ')}`;
}

function painted(outcome: string, colors: boolean): string {
  const { green, red, yellow, dim } = createColors(colors);
  if (outcome === 'dispatched') return green(outcome);
  if (outcome === 'failed') return red(outcome);
  return outcome === 'not_matched' ? dim(outcome) : yellow(plain(outcome));
}

function subjectLine({ subject: { group, region, account, instance } }: Decision): string {
  if (group === null) return '';
  const place = `group ${group} (${account ?? '-'}/${region ?? '-'})`;
  return plain(instance === null ? `about ${place}` : `about ${instance} of ${place}`).concat('\n');
}

function actionsLine({ outcome, actions }: Decision): string {
  if (actions.length === 0) return '';
  const would = outcome === 'dispatched' ? 'would start' : 'would start if it did not only watch';
  return plain(`${would}: ${actions.map(({ kind }) => kind).join(', then ')}`).concat('\n');
}

function foldLine(folded: readonly Decision[]): string {
  const names = folded.map(({ rule }) => plain(rule ?? '')).slice(0, MOST_NAMES);
  const more = folded.length - names.length;
  const list = [...names, ...(more > 0 ? [`${more} more`] : [])].join(', ');
  const rules = folded.length === 1 ? '1 rule does' : `${folded.length} rules do`;
  return `${rules} not listen to it: ${list} (--all says to what instead)\n`;
}
