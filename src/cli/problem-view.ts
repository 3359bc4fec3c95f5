import { createColors } from 'picocolors';
import { byPlace, type FileProblem, formatProblem, isError } from '../config/file-problem.ts';
import { count } from './count.ts';
import { excerpt } from './excerpt.ts';
import { plain } from './table.ts';

/** Problems that text shows: more than two screens help nobody. */
const MOST_SHOWN = 50;

/**
 * Problems as people read them, each with the line that it is about; of very many the first ones, errors before warnings. Ends in
 * a newline where there are any.
 */
export function drawProblems(
  problems: readonly FileProblem[],
  files: readonly { readonly file: string; readonly text: string }[],
  colors: boolean,
): string {
  const texts = new Map(files.map(({ file, text }) => [file, text]));
  const shown = mostImportant(problems);
  const drawn = shown.map((one) => `${headline(one, colors)}\n${excerpt(one, texts.get(one.file), colors)}`);
  const left = problems.length - shown.length;
  return `${drawn.join('')}${left > 0 ? `and ${count(left, 'more problem')}; -o json has all\n` : ''}`;
}

function mostImportant(problems: readonly FileProblem[]): readonly FileProblem[] {
  const [errors, others] = [problems.filter(isError), problems.filter((one) => !isError(one))];
  return [...errors, ...others].slice(0, MOST_SHOWN).toSorted(byPlace);
}

/** As `formatProblem`, which is without colours. */
function headline(problem: FileProblem, colors: boolean): string {
  if (!colors) return plain(formatProblem(problem));
  const { file, line, column, severity, message, code } = problem;
  const { bold, dim, red, yellow } = createColors(true);
  const paint = severity === 'error' ? red : yellow;
  const place = bold(plain(`${file}:${line}:${column}:`));
  return `${place} ${paint(`${severity}:`)} ${plain(message)} ${dim(`[${code}]`)}`;
}
