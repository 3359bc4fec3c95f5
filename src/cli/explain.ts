import { type Command, Option } from 'commander';
import { Failure } from '../base/failure.ts';
import { formatProblem } from '../config/file-problem.ts';
import type { Sample } from '../engine/explain.ts';
import { DEFAULT_SERVER } from './client.ts';
import { addCredentialOptions, type CredentialOptions } from './credentials.ts';
import { answerFromFiles, type FilePorts } from './explain-files.ts';
import { drawExplanation, EXPLANATION } from './explain-view.ts';
import { readData, readInput } from './input.ts';
import type { Io } from './io.ts';
import { print, quietCommand, type RemotePorts, reporting, serverIn, withClient } from './remote-command.ts';
import { plain } from './table.ts';

const DEFAULT_RULES = './rules';

interface ExplainOptions extends CredentialOptions {
  readonly alert?: string;
  readonly event?: string;
  readonly rule?: string;
  readonly all?: true;
  readonly rules: readonly string[];
  readonly cloud?: string;
  /** True where the option has no value. */
  readonly server?: string | true;
  readonly output: 'text' | 'json';
}

/** What tests put in place of the network, the time and standard input. */
export type ExplainPorts = RemotePorts & FilePorts;

/**
 * `coppice explain --alert F | --event F`: what every rule concludes of a sample, and why. With --server as a running daemon
 * would decide now, else on rule files alone. Nothing is sent on, recorded or started. 1 when part of the sample was rejected.
 */
export function explainCommand(io: Io, ports: ExplainPorts = {}): Command {
  const command = quietCommand('explain', io)
    .description('tells what every rule concludes of an alert or event, and why')
    .addOption(new Option('--alert <file>', 'alerts, JSON or YAML; - for standard input').conflicts('event'))
    .option('--event <file>', 'CloudEvents, JSON or YAML; - for standard input')
    .option('--rule <name>', 'only this rule')
    .option('--all', 'a block also for each rule that does not listen to the event')
    .addOption(
      new Option('--rules <path...>', 'rule files, directories or globs').default(
        [DEFAULT_RULES],
        DEFAULT_RULES,
      ),
    )
    .option('--cloud <file>', 'the groups that there are, as under the key cloud of a rule test')
    .addOption(
      new Option(
        '--server [url]',
        `ask a running daemon instead (without url COPPICE_SERVER, or ${DEFAULT_SERVER})`,
      ).conflicts(['rules', 'cloud']),
    )
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'));
  return addCredentialOptions(command).action((options: ExplainOptions) =>
    options.server === undefined ? byFiles(io, ports, options) : byDaemon(io, ports, options),
  );
}

function byDaemon(io: Io, ports: ExplainPorts, options: ExplainOptions): Promise<void> {
  const { server, rule } = options;
  return withClient(
    io,
    ports,
    { ...options, server: typeof server === 'string' ? server : serverIn(io) },
    async (client) => {
      const body = { ...(await sampleOf(options, ports)), ...(rule !== undefined && { rule }) };
      tell(io, options, await client.post('/api/v1/explain', body));
    },
  );
}

function byFiles(io: Io, ports: ExplainPorts, options: ExplainOptions): Promise<void> {
  const { rules, cloud = null, rule = null } = options;
  return reporting(io, async () => {
    const sample = await sampleOf(options, ports);
    const answer = await answerFromFiles({ sample, rules, cloud, rule }, ports);
    if ('problems' in answer) {
      for (const problem of answer.problems) io.err(`${plain(formatProblem(problem))}\n`);
      io.exit(2);
      return;
    }
    if (cloud === null) io.err(NO_GROUPS);
    tell(io, options, answer);
  });
}

const NO_GROUPS =
  'coppice: no groups are known here, so a rule that listens gets no further than subject_unresolved; describe groups with --cloud FILE, or ask a daemon with --server\n';

async function sampleOf(
  { alert, event }: ExplainOptions,
  { readInput: read = readInput }: ExplainPorts,
): Promise<Sample> {
  if (alert !== undefined) return { alert: await readData(alert, read) };
  if (event !== undefined) return { event: await readData(event, read) };
  throw new Failure('invalid_request', 'reject', 'say what to explain: --alert FILE or --event FILE');
}

/** What was rejected has no block of its own, so stderr has it. */
function tell(io: Io, options: ExplainOptions, answer: unknown): void {
  const { output, all, rule } = options;
  // Whoever names a rule wants to see it, whether it listens or not.
  const whole = all === true || rule !== undefined;
  print(io, { output: output === 'json' ? 'json' : 'table' }, answer, {
    schema: EXPLANATION,
    draw: (explanation) => drawExplanation(explanation, { whole, colors: io.colors }),
  });
  const { data } = EXPLANATION.pick({ rejected: true }).safeParse(answer);
  const rejected = data?.rejected ?? [];
  for (const { index, error } of rejected) io.err(`coppice: number ${index + 1}: ${plain(error)}\n`);
  if (rejected.length > 0) io.exit(1);
}
