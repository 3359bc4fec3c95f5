import { type Command, InvalidArgumentError, Option } from 'commander';
import { Failure } from '../base/failure.ts';
import { loadRuleTests, type PreparedFile } from '../config/rule-test-loader.ts';
import { compileRegex, type TextTest } from '../engine/matcher.ts';
import type { Io } from './io.ts';
import { quietCommand, reporting } from './remote-command.ts';
import { Coverage } from './rule-test/coverage.ts';
import { judge } from './rule-test/judge.ts';
import { asJunit } from './rule-test/junit.ts';
import { rehearse } from './rule-test/rehearse.ts';
import {
  asAnnotations,
  asJson,
  asText,
  countsOf,
  type FileReport,
  isBelowThreshold,
  type TestReport,
} from './rule-test/report.ts';

const DEFAULT_PATH = './rules';

interface TestOptions {
  readonly output: 'text' | 'json' | 'junit' | 'github';
  readonly run?: TextTest;
  readonly coverage: boolean;
  readonly threshold?: number;
}

/**
 * `coppice test [PATH...]`: runs the tests of rules. Exit code 1 when a test fails or too little is covered, 2 when a test cannot be
 * run, or there is none.
 */
export function testCommand(io: Io): Command {
  return quietCommand('test', io)
    .description('runs tests of rules: the production engine on a simulated cloud, in virtual time')
    .argument('[path...]', `files, directories or globs (default: ${DEFAULT_PATH})`)
    .addOption(
      new Option('-o, --output <format>', 'how to print')
        .choices(['text', 'json', 'junit', 'github'])
        .default('text'),
    )
    .option('--run <regex>', 'only tests in whose name this is found (RE2)', nameTest)
    .option('--coverage', 'tell which rules and policies no test exercises', false)
    .option('--threshold <percent>', 'fail when less is covered; implies --coverage', percentage)
    .action((paths: readonly string[], options: TestOptions) =>
      reporting(io, () => test(io, paths.length === 0 ? [DEFAULT_PATH] : paths, options)),
    );
}

function nameTest(text: string): TextTest {
  const alone = compileRegex(text);
  if (!alone.ok) throw new InvalidArgumentError(alone.message);
  const within = compileRegex(`(?s:.*)(?:${text})(?s:.*)`);
  if (!within.ok) throw new InvalidArgumentError(within.message);
  return within.value;
}

function percentage(text: string): number {
  const percent = Number(text);
  if (text.trim() === '' || !(percent >= 0 && percent <= 100))
    throw new InvalidArgumentError('must be a number from 0 to 100');
  return percent;
}

async function test(io: Io, paths: readonly string[], options: TestOptions): Promise<void> {
  const { files, ruleFiles, problems } = await loadRuleTests(paths);
  const chosen = files.map((file) => chosenOf(file, options));
  if (problems.length === 0 && chosen.every(({ tests }) => tests.length === 0))
    throw new Failure('invalid_request', 'reject', 'no test has a name in which --run is found');
  const coverage = new Coverage();
  const reports: FileReport[] = [];
  for (const file of chosen) reports.push(await runFile(file, coverage, io.interrupted));
  const threshold = options.threshold ?? null;
  const asked = options.coverage || threshold !== null;
  const report: TestReport = {
    ...{ problems, files: reports },
    coverage: asked ? { items: coverage.of(ruleFiles), threshold } : null,
  };
  io.out(PRINTERS[options.output](report, io.colors));
  io.exit(exitCode(report));
}

function chosenOf({ file, tests }: PreparedFile, { run }: TestOptions): PreparedFile {
  return { file, tests: tests.filter(({ test: { name } }) => run?.(name) ?? true) };
}

async function runFile(
  { file, tests }: PreparedFile,
  coverage: Coverage,
  interrupted: AbortSignal,
): Promise<FileReport> {
  const done: FileReport['tests'][number][] = [];
  for (const prepared of tests) {
    if (interrupted.aborted) throw new Failure('cancelled', 'reject', 'interrupted');
    const record = await rehearse(prepared);
    coverage.add(prepared, record);
    const { name } = prepared.test;
    done.push({ name, ...prepared.place(['name']), findings: judge(prepared, record) });
  }
  return { file, tests: done };
}

const PRINTERS: Readonly<Record<TestOptions['output'], (report: TestReport, colors: boolean) => string>> = {
  text: asText,
  json: asJson,
  junit: asJunit,
  github: asAnnotations,
};

function exitCode(report: TestReport): 0 | 1 | 2 {
  if (report.problems.length > 0) return 2;
  return countsOf(report).failed > 0 || isBelowThreshold(report) ? 1 : 0;
}
