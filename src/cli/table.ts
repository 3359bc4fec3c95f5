import Table from 'cli-table3';
import { createColors } from 'picocolors';

/** What can stand in a cell; null is shown as `-`. */
export type Cell = string | number | boolean | null;

/** Control characters, line separators, and what turns the direction of writing round: a name could look like another. */
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu;

const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};

/** Columns under their titles, without lines, so that `awk` reads them too; ends in a newline. */
export function renderTable(
  titles: readonly string[],
  rows: readonly (readonly Cell[])[],
  colors: boolean,
): string {
  const { bold } = createColors(colors);
  return render([
    titles.map((title) => bold(title)),
    ...rows.map((row) => row.map((cell) => paint(cell, colors))),
  ]);
}

/** Columns without titles; ends in a newline. */
export function renderRows(rows: readonly (readonly Cell[])[], colors: boolean): string {
  return render(rows.map((row) => row.map((cell) => paint(cell, colors))));
}

/** One line a field: its name, and its value; ends in a newline. */
export function renderFields(fields: readonly (readonly [string, Cell])[], colors: boolean): string {
  const { bold } = createColors(colors);
  return render(fields.map(([name, value]) => [bold(name), paint(value, colors)]));
}

/** A title with the block that belongs to it; nothing where the block is empty. */
export function renderSection(title: string, block: string, colors: boolean): string {
  return block === '' ? '' : `\n${createColors(colors).bold(title)}\n${block}`;
}

/** The text on one line and without control characters: text from alerts and tags must not steer the terminal. */
export function plain(text: string): string {
  return text.replace(CONTROL, ' ');
}

function render(rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const table = new Table({
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': 2, head: [], border: [], compact: true },
  });
  table.push(...rows.map((row) => [...row]));
  const lines = table.toString().split('\n');
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

/** Words of the closed sets, and marks, that are good, bad or in between. */
const GOOD = new Set(['succeeded', 'dispatched', 'done', '✓']);
const BAD = new Set(['failed', 'rolled_back', 'undo_failed', '✗']);
const BETWEEN = new Set(['suppressed', 'shadowed', 'cancelled', 'undoing', 'undone', '?', 'recovering']);

function paint(cell: Cell, colors: boolean): string {
  const text = cell === null ? '-' : plain(String(cell));
  const { green, red, yellow } = createColors(colors);
  if (GOOD.has(text)) return green(text);
  if (BAD.has(text)) return red(text);
  return BETWEEN.has(text) ? yellow(text) : text;
}
