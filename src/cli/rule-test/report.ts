import { createColors } from 'picocolors';
import { type FileProblem, formatProblem } from '../../config/file-problem.ts';
import { annotation } from '../annotation.ts';
import { count } from '../count.ts';
import { plain } from '../table.ts';
import { type CoverageItem, gapOf, percentOf } from './coverage.ts';
import type { Finding } from './judge.ts';

/** What a run of tests came to. */
export interface TestReport {
  /** Why some tests, or all, could not be run. */
  readonly problems: readonly FileProblem[];
  readonly files: readonly FileReport[];
  /** Null where nobody asked. */
  readonly coverage: { readonly items: readonly CoverageItem[]; readonly threshold: number | null } | null;
}

export interface FileReport {
  readonly file: string;
  readonly tests: readonly {
    readonly name: string;
    readonly line: number;
    readonly column: number;
    /** Empty where the test passed. */
    readonly findings: readonly Finding[];
  }[];
}

/** Passed and failed tests of all files. */
export function countsOf({ files }: Pick<TestReport, 'files'>): { passed: number; failed: number } {
  const tests = files.flatMap((file) => file.tests);
  const failed = tests.filter(({ findings }) => findings.length > 0).length;
  return { passed: tests.length - failed, failed };
}

/** Whether less is covered than was asked for. */
export function isBelowThreshold({ coverage }: TestReport): boolean {
  if (coverage === null || coverage.threshold === null) return false;
  return percentOf(coverage.items) < coverage.threshold;
}

/** For people: every test on a line, what failed below it, then what is not covered. */
export function asText(report: TestReport, colors: boolean): string {
  return lines([
    ...report.problems.map((problem) => plain(formatProblem(problem))),
    ...report.files.flatMap((file) => fileLines(file, colors)),
    ...coverageLines(report),
    summaryOf(report),
  ]);
}

function fileLines({ file, tests }: FileReport, colors: boolean): readonly string[] {
  if (tests.length === 0) return [];
  const { green, red } = createColors(colors);
  return [
    plain(file),
    ...tests.flatMap(({ name, findings }) => {
      const sign = findings.length === 0 ? green('ok  ') : red('FAIL');
      return [`  ${sign}  ${plain(name)}`, ...findings.flatMap((finding) => findingLines(file, finding))];
    }),
  ];
}

function findingLines(file: string, { line, column, expected, found }: Finding): readonly string[] {
  const place = plain(`${file}:${line}:${column}`);
  return [
    `        ${place}: expected ${plain(expected)}`,
    ...found.map((one) => `            ${oneLine(one)}`),
  ];
}

/** As `plain`, but for the indentation in front. */
function oneLine(text: string): string {
  return plain(text).trimEnd();
}

function coverageLines({ coverage }: TestReport): readonly string[] {
  if (coverage === null) return [];
  const gaps = coverage.items.flatMap((item) => {
    const gap = gapOf(item);
    return gap === null ? [] : [plain(`${item.file}:${item.line}:${item.column}: ${gap}`)];
  });
  return [...gaps, coverageText(coverage)];
}

function coverageText({ items, threshold }: NonNullable<TestReport['coverage']>): string {
  const covered = items.filter((item) => item.covered).length;
  const percent = percentOf(items);
  const below = threshold !== null && percent < threshold ? `, below the threshold of ${threshold}%` : '';
  return `coverage: ${covered} of ${items.length} rules and policies, ${shown(percent)}%${below}`;
}

/** To one digit, and never up: 99.99 must not look like all. */
function shown(percent: number): number {
  return Math.floor(percent * 10) / 10;
}

function summaryOf(report: TestReport): string {
  const { passed, failed } = countsOf(report);
  const { problems } = report;
  const rest =
    problems.length === 0 ? '' : `; ${count(problems.length, 'problem')} kept tests from being run`;
  return `${count(passed + failed, 'test')}: ${passed} passed, ${failed} failed${rest}`;
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}

/** For programs. */
export function asJson(report: TestReport): string {
  const { coverage, problems, files } = report;
  const answer = {
    ...countsOf(report),
    problems,
    files,
    coverage: coverage && { percent: shown(percentOf(coverage.items)), ...coverage },
  };
  return `${JSON.stringify(answer, null, 2)}\n`;
}

/** For GitHub: an annotation for each failure and each gap, then the numbers. */
export function asAnnotations(report: TestReport): string {
  const gaps = (report.coverage?.items ?? []).flatMap((item) => {
    const gap = gapOf(item);
    return gap === null
      ? []
      : [annotation({ ...item, severity: 'warning', title: 'coverage', message: gap })];
  });
  return lines([
    ...report.problems.map((problem) => annotation({ ...problem, title: problem.code })),
    ...report.files.flatMap(({ file, tests }) =>
      tests.flatMap(({ name, findings }) =>
        findings.map(({ line, column, expected, found }) => {
          const message = [`expected ${expected}`, ...found].join('\n');
          return annotation({ file, line, column, severity: 'error', title: name, message });
        }),
      ),
    ),
    ...gaps,
    ...(report.coverage === null ? [] : [coverageText(report.coverage)]),
    summaryOf(report),
  ]);
}
