import XMLBuilder from 'fast-xml-builder';
import { formatProblem } from '../../config/file-problem.ts';
import { plain } from '../table.ts';
import type { Finding } from './judge.ts';
import { countsOf, type FileReport, type TestReport } from './report.ts';

const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  format: true,
  suppressEmptyNode: true,
});

/**
 * JUnit's XML, as CI systems read it: a suite a file. It tells no durations: virtual ones would mislead, and with real ones no
 * two runs would give the same text. What keeps tests from being run is an error of a suite of its own.
 */
export function asJunit(report: TestReport): string {
  const { passed, failed } = countsOf(report);
  const errors = report.problems.length;
  const suites = [
    ...report.files.filter(({ tests }) => tests.length > 0).map(suiteOf),
    ...unreadSuite(report),
  ];
  const testsuites = {
    ...{
      '@name': 'coppice test',
      '@tests': passed + failed + errors,
      '@failures': failed,
      '@errors': errors,
    },
    testsuite: suites,
  };
  return `<?xml version="1.0" encoding="UTF-8"?>\n${builder.build({ testsuites }).trimEnd()}\n`;
}

/** XML has no control characters, no half surrogate pairs, and not these two. */
function xmlText(text: string): string {
  return plain(text)
    .toWellFormed()
    .replace(/[\uFFFE\uFFFF]/g, ' ');
}

function suiteOf({ file, tests }: FileReport): object {
  const failed = tests.filter(({ findings }) => findings.length > 0).length;
  return {
    ...{ '@name': xmlText(file), '@tests': tests.length, '@failures': failed, '@errors': 0 },
    testcase: tests.map(({ name, findings }) => ({
      ...{ '@name': xmlText(name), '@classname': xmlText(file) },
      ...(findings.length > 0 && { failure: failureOf(file, findings) }),
    })),
  };
}

function failureOf(file: string, findings: readonly Finding[]): object {
  const texts = findings.map(({ line, column, expected, found }) =>
    [`${file}:${line}:${column}: expected ${expected}`, ...found].map(xmlText).join('\n'),
  );
  return { '@message': xmlText(`expected ${findings[0]?.expected ?? ''}`), '#text': texts.join('\n') };
}

function unreadSuite({ problems }: TestReport): readonly object[] {
  if (problems.length === 0) return [];
  const testcase = problems.map((problem) => ({
    ...{ '@name': xmlText(formatProblem(problem)), '@classname': xmlText(problem.file) },
    error: { '@message': xmlText(problem.message), '@type': problem.code },
  }));
  const count = problems.length;
  return [{ '@name': 'files', '@tests': count, '@failures': 0, '@errors': count, testcase }];
}
