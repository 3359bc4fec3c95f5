import { createColors } from 'picocolors';
import type { FileProblem } from '../config/file-problem.ts';
import { plain } from './table.ts';

/** Of a longer line so many characters are shown, those around the place. */
const LONGEST_LINE = 110;
/** Characters that are kept before the place when the beginning of a line is cut off. */
const KEPT_BEFORE = 60;
const TAB = '  ';

/** Characters that take two columns on a terminal, and those that take none; enough for names and comments. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const ZERO_WIDTH = /\p{Mn}|\p{Me}|\u200d/u;

/**
 * The line of the problem, with a caret under its column; ends in a newline. Empty when the text has no such line, or nothing
 * in it. Tabs are widened, long lines cut, and control characters taken out.
 */
export function excerpt(
  { line, column, severity }: FileProblem,
  text: string | undefined,
  colors: boolean,
): string {
  const whole = text?.split(/\r\n|[\r\n]/, line)[line - 1] ?? '';
  if (whole.trim() === '') return '';
  const { before, after } = cut(whole, column - 1);
  const number = String(line);
  const { dim, red, yellow } = createColors(colors);
  const caret = (severity === 'error' ? red : yellow)('^');
  const margin = (left: string): string => dim(`  ${left.padStart(number.length)} |`);
  return `${margin(number)} ${before}${after}\n${margin('')} ${' '.repeat(widthOf(before))}${caret}\n`;
}

/** The line before and from the column, as it can be printed. */
function cut(line: string, column: number): { readonly before: string; readonly after: string } {
  const from = line.length > LONGEST_LINE && column > KEPT_BEFORE ? whole(line, column - KEPT_BEFORE) : 0;
  const to = line.length - from > LONGEST_LINE ? whole(line, from + LONGEST_LINE) : line.length;
  return {
    before: `${from > 0 ? '…' : ''}${printable(line.slice(from, column))}`,
    after: `${printable(line.slice(column, to))}${to < line.length ? '…' : ''}`,
  };
}

/** The position, or the one before it when it is in the middle of a character. */
function whole(line: string, position: number): number {
  return /[\udc00-\udfff]/.test(line.charAt(position)) ? position - 1 : position;
}

function printable(text: string): string {
  return plain(text.replaceAll('\t', TAB));
}

function widthOf(text: string): number {
  return Array.from(text).reduce((width, character) => {
    if (ZERO_WIDTH.test(character)) return width;
    return width + (WIDE.test(character) ? 2 : 1);
  }, 0);
}
