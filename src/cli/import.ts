import { Buffer } from 'node:buffer';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { Failure } from '../base/failure.ts';
import { type Import, importHollowtrees } from '../config/hollowtrees/import.ts';
import { formatRemark } from '../config/hollowtrees/remark.ts';
import { MAX_FILE_BYTES } from '../config/yaml-source.ts';
import { openInput, unreadable } from './input.ts';
import type { Io } from './io.ts';
import { quietCommand, reporting } from './remote-command.ts';
import { plain } from './table.ts';

interface Options {
  readonly out?: string;
  readonly force: boolean;
  readonly asgPlugin?: readonly string[];
  readonly output: 'text' | 'json';
}

type Imported = Extract<Import, { kind: 'imported' }>;
type Files = Imported['files'];

/**
 * `coppice import hollowtrees FILE`: rule files and settings from a configuration of Hollowtrees, and what became of each
 * of its keys. Exit code 1 when a flow could not be carried over, 2 when the file cannot be read or a file is in the way.
 */
export function importCommand(io: Io): Command {
  const hollowtrees = quietCommand('hollowtrees', io)
    .description('turns a Hollowtrees configuration (v1 or v2) into rule files and settings')
    .argument('<file>', 'its config.yaml, or JSON; - for standard input')
    .option('--out <dir>', 'write the files there; else they are printed')
    .option('--force', 'overwrite what is there', false)
    .option(
      '--asg-plugin <name>',
      'a plugin that is the AWS ASG plugin; else guessed by name and address',
      more,
    )
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'))
    .action((file: string, options: Options) => reporting(io, () => importFile(io, file, options)));
  return quietCommand('import', io).description('rules from other programs').addCommand(hollowtrees);
}

function more(value: string, before?: readonly string[]): readonly string[] {
  return [...(before ?? []), value];
}

async function importFile(io: Io, file: string, options: Options): Promise<void> {
  const name = file === '-' ? 'standard input' : file;
  const result = importHollowtrees(name, await readBounded(file), {
    asgPlugins: options.asgPlugin ?? [],
  });
  if (result.kind === 'unreadable') {
    for (const problem of result.problems) io.err(`${plain(problem)}\n`);
    return io.exit(2);
  }
  const { out, force } = options;
  const written = out === undefined ? [] : await write(result.files, { out, force });
  if (options.output === 'json')
    io.out(`${JSON.stringify({ ...result, kind: undefined, written }, null, 2)}\n`);
  else printText(io, result, written);
  return io.exit(result.flows.carried < result.flows.all ? 1 : 0);
}

/** The text of a file, but not much more of it than a configuration may have: it may be a device without an end. */
async function readBounded(file: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of openInput(file) as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_FILE_BYTES) break;
    }
  } catch (thrown) {
    throw unreadable(file, thrown);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Writes all files, or none where one of them is there already; answers their paths. */
async function write(
  files: Files,
  { out, force }: { readonly out: string; readonly force: boolean },
): Promise<readonly string[]> {
  const targets = files.map(({ path, text: content }) => ({ path: join(out, path), content }));
  const taken = force ? [] : await existing(targets.map(({ path }) => path));
  if (taken.length > 0) {
    const message = `${taken.join(', ')}: there already; choose another directory, or overwrite with --force`;
    throw new Failure('invalid_request', 'reject', message);
  }
  for (const { path, content } of targets) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content, { flag: force ? 'w' : 'wx' });
  }
  return targets.map(({ path }) => path);
}

async function existing(paths: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    paths.map((path) =>
      access(path).then(
        () => [path],
        () => [],
      ),
    ),
  );
  return found.flat();
}

/** Files that are not written anywhere go to standard output, one after the other. */
function printText(io: Io, { version, files, remarks, flows }: Imported, written: readonly string[]): void {
  if (written.length === 0)
    io.out(files.map(({ path, text: content }) => `# ${path}\n${content}`).join('---\n'));
  for (const remark of remarks) io.err(`${plain(formatRemark(remark))}\n`);
  for (const path of written) io.err(`wrote ${plain(path)}\n`);
  const left = flows.all - flows.carried;
  io.err(
    `Hollowtrees ${version}: ${flows.carried} of ${flows.all} flows carried over${left === 0 ? '' : `, ${left} left out`}\n`,
  );
}
