import { type Command, Option } from 'commander';
import { type FileProblem, isError, UNREADABLE_CODES } from '../config/file-problem.ts';
import { type LoadResult, loadSnapshot } from '../config/loader.ts';
import { type Snapshot, takeSnapshot } from '../config/snapshot.ts';
import { limitsOf } from '../engine/policies.ts';
import { annotation } from './annotation.ts';
import { count } from './count.ts';
import type { Io } from './io.ts';
import { describeLimits } from './limits.ts';
import { drawProblems } from './problem-view.ts';
import { quietCommand } from './remote-command.ts';
import { DEFAULT_FILE, readSettings } from './setting-options.ts';
import { plain, renderFields } from './table.ts';

const DEFAULT_PATH = './rules';

type Output = 'text' | 'json' | 'github';

/**
 * `coppice check [PATH...]`: every problem of rule files, and the limits in force. Exit code 1 when there are errors, 2
 * when a path cannot be read; warnings alone do not count.
 */
export function checkCommand(io: Io): Command {
  return quietCommand('check', io)
    .description('validates rule files and prints the limits in force')
    .argument('[path...]', `files, directories or globs (default: ${DEFAULT_PATH})`)
    .addOption(
      new Option('-o, --output <format>', 'how to print').choices(['text', 'json', 'github']).default('text'),
    )
    .option('--config <file>', CONFIG)
    .action(async (paths: readonly string[], options: CheckOptions) => {
      const plugins = await knownPlugins(io, options);
      if (plugins === null) return io.exit(2);
      const { output } = options;
      const { files, ...read } = await takeSnapshot(paths.length === 0 ? [DEFAULT_PATH] : paths);
      const result = loadSnapshot({ files, ...read }, plugins.names);
      io.out(PRINTERS[output]({ result, files, colors: io.colors }));
      io.exit(exitCode(problemsOf(result)));
    });
}

const CONFIG = `settings file, whose plugins are those that rules may name (default: ${DEFAULT_FILE}, when it is there)`;

interface CheckOptions {
  readonly output: Output;
  readonly config?: string;
}

/** The names of the settings' plugins, undefined where there is no settings file; null when it cannot be used, which was told. */
async function knownPlugins(
  io: Io,
  { config }: CheckOptions,
): Promise<{ readonly names?: readonly string[] } | null> {
  const resolved = await readSettings(io, { config });
  if (resolved.kind === 'bad') {
    for (const { where, message } of resolved.problems) io.err(`coppice: ${plain(`${where}: ${message}`)}\n`);
    return null;
  }
  const hasFile = Object.values(resolved.origins).some(({ kind }) => kind === 'file');
  if (config === undefined && !hasFile) return {};
  return { names: resolved.settings.plugins.map(({ name }) => name) };
}

interface Checked extends Pick<Snapshot, 'files'> {
  readonly result: LoadResult;
  readonly colors: boolean;
}

const PRINTERS: Readonly<Record<Output, (checked: Checked) => string>> = {
  text: ({ result, files, colors }) =>
    `${drawProblems(problemsOf(result), files, colors)}${limits(result, colors)}${summary(result)}\n`,
  json: ({ result }) => `${JSON.stringify(asJson(result), null, 2)}\n`,
  github: ({ result }) => `${lines(problemsOf(result).map(annotated))}${summary(result)}\n`,
};

function problemsOf(result: LoadResult): readonly FileProblem[] {
  return result.kind === 'loaded' ? result.warnings : result.problems;
}

function exitCode(problems: readonly FileProblem[]): 0 | 1 | 2 {
  if (problems.some(({ code }) => UNREADABLE_CODES.has(code))) return 2;
  return problems.some(isError) ? 1 : 0;
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}

/** What each policy keeps to where it alone selects a group: also where it says nothing itself. */
function limits(result: LoadResult, colors: boolean): string {
  if (result.kind === 'rejected') return '';
  return result.policies
    .map((policy) => `policy ${policy.name}\n${renderFields(describeLimits(limitsOf(policy)), colors)}\n`)
    .join('');
}

function summary(result: LoadResult): string {
  const problems = problemsOf(result);
  const errors = count(problems.filter(isError).length, 'error');
  const warnings = count(problems.filter((one) => !isError(one)).length, 'warning');
  if (result.kind === 'rejected') return `${errors}, ${warnings}`;
  const { files, rules, policies } = result;
  const what = [
    count(files.length, 'file'),
    count(rules.length, 'rule'),
    count(policies.length, 'policy', 'policies'),
  ];
  return `${what.join(', ')}: ${errors}, ${warnings}`;
}

function asJson(result: LoadResult): object {
  const problems = problemsOf(result);
  const errors = problems.filter(isError).length;
  const found = { problems, errors, warnings: problems.length - errors };
  if (result.kind === 'rejected') return { ok: false, hash: result.hash, ...found };
  const { hash, files, rules, policies } = result;
  return {
    ok: true,
    hash,
    ...found,
    files,
    rules: rules.map(({ name }) => name),
    policies: policies.map((policy) => ({ name: policy.name, limits: limitsOf(policy) })),
  };
}

/** The problem as an annotation of GitHub. */
function annotated(problem: FileProblem): string {
  return annotation({ ...problem, title: problem.code });
}
