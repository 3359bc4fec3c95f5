import { basename, dirname, join, normalize } from 'node:path';
import { suggestion } from '../engine/suggest.ts';
import { readChecked } from './checked-file.ts';
import { byPlace, type FileProblem, formatProblem, isError, wholeFile } from './file-problem.ts';
import { mergeRuleFiles, type RuleLists } from './merge.ts';
import { type RuleFile, readRuleFile } from './rule-file.ts';
import type { RuleTest } from './rule-test.ts';
import { ruleTestFileSchema } from './rule-test-schema.ts';
import { isGlob, type SnapshotFs, TEST_FILES, takeSnapshot } from './snapshot.ts';
import type { Path, YamlSource } from './yaml-source.ts';

/** A rule file with where it was found. */
export interface NamedRuleFile extends RuleFile {
  readonly file: string;
}

/** A test, and all that it is about. */
export interface PreparedTest {
  readonly test: RuleTest;
  readonly lists: RuleLists;
  /** The files whose rules, and those whose policies, are among the lists. */
  readonly ruleFiles: readonly NamedRuleFile[];
  readonly policyFiles: readonly NamedRuleFile[];
  /** Where something stands; the path leads on from the test, e.g. `['expect', 0]`. */
  place(path: Path): { readonly line: number; readonly column: number };
}

export interface PreparedFile {
  readonly file: string;
  /** Empty where the file, or a rule file that it is about, has a mistake. */
  readonly tests: readonly PreparedTest[];
}

export interface LoadedTests {
  readonly files: readonly PreparedFile[];
  /** The rule files that the paths lead to. */
  readonly ruleFiles: readonly NamedRuleFile[];
  /** Why some tests, or all, cannot be run. */
  readonly problems: readonly FileProblem[];
}

const TEST_ENDING = /\.test(\.ya?ml)$/;
const RULE_ENDING = /(?<!\.test)(\.ya?ml)$/;

/**
 * Reads the tests that the paths lead to: directories, globs, test files, and rule files, which stand for their tests. Each
 * test file is prepared by itself, so that a mistake in one does not keep the others from being run.
 */
export async function loadRuleTests(paths: readonly string[], fs?: SnapshotFs): Promise<LoadedTests> {
  const found = await takeSnapshot(paths.map(testsOf), fs, TEST_FILES);
  const shelf = new Shelf(fs);
  const files: PreparedFile[] = [];
  const problems = [...found.problems];
  for (const { file, text } of found.files) {
    const prepared = await prepareFile(file, text, shelf);
    files.push({ file, tests: prepared.problems.some(isError) ? [] : prepared.tests });
    problems.push(...prepared.problems);
  }
  const { files: ruleFiles, problems: absent } = await shelf.read(paths.map(rulesOf));
  // A path that leads nowhere is told once.
  if (found.problems.length === 0) problems.push(...absent);
  return { files, ruleFiles, problems: distinct(problems) };
}

/** A rule file that is named stands for its tests. */
function testsOf(path: string): string {
  return isGlob(path) ? path : path.replace(RULE_ENDING, '.test$1');
}

/** A test file that is named stands for its rules. */
function rulesOf(path: string): string {
  return isGlob(path) ? path : path.replace(TEST_ENDING, '$1');
}

/** Warnings are for `coppice check`. Many tests have the same rule files, and so the same problems. */
function distinct(problems: readonly FileProblem[]): readonly FileProblem[] {
  const byText = new Map(problems.filter(isError).map((problem) => [formatProblem(problem), problem]));
  return [...byText.values()].toSorted(byPlace);
}

/** Rule files by the path that leads to them, each read once. */
class Shelf {
  readonly #fs: SnapshotFs | undefined;
  readonly #known = new Map<string, RuleFile>();

  constructor(fs: SnapshotFs | undefined) {
    this.#fs = fs;
  }

  async read(
    paths: readonly string[],
  ): Promise<{ readonly files: readonly NamedRuleFile[]; readonly problems: readonly FileProblem[] }> {
    const { files, problems } = await takeSnapshot(paths, this.#fs);
    return { files: files.map(({ file, text }) => ({ ...this.#parse(file, text), file })), problems };
  }

  #parse(file: string, text: string): RuleFile {
    const known = this.#known.get(file) ?? readRuleFile(file, text);
    this.#known.set(file, known);
    return known;
  }
}

interface Prepared {
  readonly tests: readonly PreparedTest[];
  readonly problems: readonly FileProblem[];
}

async function prepareFile(file: string, text: string, shelf: Shelf): Promise<Prepared> {
  const { value, source, problems } = readChecked(file, text, ruleTestFileSchema);
  if (value === null || source === null) return { tests: [], problems };
  const directory = dirname(normalize(file));
  const around = await shelf.read([directory]);
  const own = around.files.find((one) => isRuleFileOf(file, one.file));
  if (own === undefined) return { tests: [], problems: [...around.problems, withoutRules(file)] };
  const tests: PreparedTest[] = [];
  const all = [...around.problems];
  for (const [index, test] of value.tests.entries()) {
    const path = ['tests', index];
    const further = await readFurther(test, directory, shelf);
    const scope = { own, further: further.files, around: around.files };
    const prepared = prepareTest({ test, scope, source, path });
    tests.push(...prepared.tests);
    all.push(...further.complaints.map((complaint) => placed(complaint, source, path)), ...prepared.problems);
  }
  return { tests, problems: all };
}

interface Complaint {
  readonly code: FileProblem['code'];
  readonly message: string;
  /** Leads on from the test. */
  readonly path: Path;
}

function placed({ code, message, path }: Complaint, source: YamlSource, test: Path): FileProblem {
  return { ...wholeFile(source.file, code, message), ...source.place([...test, ...path]) };
}

/** The files that a test names beside its own. */
async function readFurther(
  { rules }: RuleTest,
  directory: string,
  shelf: Shelf,
): Promise<{ readonly files: readonly NamedRuleFile[]; readonly complaints: readonly Complaint[] }> {
  const files: NamedRuleFile[] = [];
  const complaints: Complaint[] = [];
  for (const [index, path] of rules.entries()) {
    const read = await shelf.read([join(directory, path)]);
    files.push(...read.files);
    complaints.push(
      ...read.problems.map(({ code, file, message }) => ({
        ...{ code, message: `${file}: ${message}` },
        path: ['rules', index],
      })),
    );
  }
  return { files, complaints };
}

function isRuleFileOf(testFile: string, file: string): boolean {
  return normalize(file).replace(RULE_ENDING, '') === normalize(testFile).replace(TEST_ENDING, '');
}

function withoutRules(file: string): FileProblem {
  const rules = basename(file).replace(TEST_ENDING, '$1');
  return wholeFile(file, 'not-found', `the rule file ${rules}, which these tests are of, is not beside them`);
}

/** Rule files that a test has to do with. */
interface Scope {
  readonly own: NamedRuleFile;
  readonly further: readonly NamedRuleFile[];
  /** All of the directory. */
  readonly around: readonly NamedRuleFile[];
}

interface Written {
  readonly test: RuleTest;
  readonly scope: Scope;
  readonly source: YamlSource;
  /** Of the test in its file. */
  readonly path: Path;
}

function prepareTest({ test, scope, source, path }: Written): Prepared {
  const ruleFiles = unique([scope.own, ...scope.further]);
  const policyFiles = policyFilesOf(test, scope);
  const given = policiesWritten(test, source, path);
  const { problems, ...lists } = mergeRuleFiles([
    ...unique([...ruleFiles, ...scope.around]).map((one) => ({
      ...one,
      rules: ruleFiles.includes(one) ? one.rules : [],
      policies: policyFiles.includes(one) ? one.policies : [],
    })),
    given,
  ]);
  const place = (inTest: Path): { line: number; column: number } => source.place([...path, ...inTest]);
  const strange = strangeRules(test, lists).map((complaint) => placed(complaint, source, path));
  return { tests: [{ test, lists, ruleFiles, policyFiles, place }], problems: [...problems, ...strange] };
}

function policyFilesOf({ policies }: RuleTest, { own, further, around }: Scope): readonly NamedRuleFile[] {
  if (policies === 'inherit') return unique([own, ...further, ...around]);
  return policies === 'own' ? unique([own, ...further]) : [];
}

/** By their names: a file that was read twice is one. */
function unique(files: readonly NamedRuleFile[]): readonly NamedRuleFile[] {
  return files.filter((one, index) => files.findIndex(({ file }) => file === one.file) === index);
}

/** The policies of a test as if they stood in a file of their own, so that mistakes are found at their places. */
function policiesWritten({ policies }: RuleTest, source: YamlSource, path: Path): RuleFile {
  const list = typeof policies === 'string' ? [] : policies;
  return {
    ...{ rules: [], conditions: [], named: [], problems: [] },
    policies: list.map((spec, index) => ({
      ...{ name: spec.name, spec, source },
      path: [...path, 'policies', index],
    })),
  };
}

function strangeRules({ expect }: RuleTest, { rules }: RuleLists): readonly Complaint[] {
  const known = rules.map(({ name }) => name);
  return expect.flatMap((expectation, index): Complaint[] => {
    const rule = 'rule' in expectation ? expectation.rule : null;
    if (rule === null || known.includes(rule)) return [];
    const message = `the test is about no rule '${rule}'; ${suggestion(rule, known)}`;
    return [{ code: 'unknown-rule', message, path: ['expect', index, 'rule'] }];
  });
}
