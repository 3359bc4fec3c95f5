import type { Command } from 'commander';
import { type App, type AppOptions, RulesRejected, startApp } from '../app.ts';
import { systemClock } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { systemRandom } from '../base/random.ts';
import { formatProblem } from '../config/file-problem.ts';
import { LockRejected } from '../config/lock.ts';
import { lockFilesOf } from '../config/lock-settings.ts';
import type { Settings } from '../config/settings.ts';
import type { Io } from './io.ts';
import { quietCommand, reporting } from './remote-command.ts';
import { addSettingOptions, readSettings } from './setting-options.ts';

/** `coppice serve`: the daemon, until it is told to stop. 2 when it cannot start; it says why. */
export function serveCommand(io: Io, about: { readonly version: string }): Command {
  const command = quietCommand('serve', io).description('runs the daemon');
  return addSettingOptions(command).action((options: Readonly<Record<string, unknown>>) =>
    reporting(io, async () => {
      const resolved = await readSettings(io, options);
      if (resolved.kind === 'bad') {
        for (const { where, message } of resolved.problems) io.err(`coppice: ${where}: ${message}\n`);
        return io.exit(2);
      }
      await serve(io, optionsOf(resolved.settings, about.version, io));
    }),
  );
}

async function serve(io: Io, options: AppOptions): Promise<void> {
  const app = await start(io, options);
  if (app === null) return;
  const { http, grpc } = app;
  const { httpLock, grpcLock } = options;
  const scheme = (httpLock?.tls ?? null) === null ? 'http' : 'https';
  const doors = `${scheme}://${http.host}:${http.port}, gRPC on ${grpc.host}:${grpc.port}`;
  io.err(`coppice ${options.version}: ${doors} (HTTP ${described(httpLock)}; gRPC ${described(grpcLock)})\n`);
  const stopReloading = io.onHangup(() => void app.reload());
  await untilAborted(io.interrupted);
  stopReloading();
  await app.stop();
}

function described(files: AppOptions['httpLock']): string {
  const { auth = null, tls = null } = files ?? {};
  return `${auth === null ? 'without a lock' : 'locked'}, ${tls === null ? 'without TLS' : 'TLS'}`;
}

async function start(io: Io, options: AppOptions): Promise<App | null> {
  try {
    return await startApp(options, { clock: systemClock, random: systemRandom });
  } catch (thrown) {
    if (!(thrown instanceof RulesRejected || thrown instanceof LockRejected)) throw thrown;
    for (const problem of thrown.problems) io.err(`${formatProblem(problem)}\n`);
    io.err(`coppice: ${asFailure(thrown).message}; nothing was started\n`);
    io.exit(2);
    return null;
  }
}

function optionsOf(settings: Settings, version: string, io: Io): AppOptions {
  return {
    version,
    http: settings['http.listen'],
    grpc: settings['grpc.listen'],
    grpcAnswer: settings['grpc.answer'],
    httpLock: lockFilesOf(settings, 'http'),
    grpcLock: lockFilesOf(settings, 'grpc'),
    limits: {
      requestsPerSecond: settings['limits.requestsPerSecond'],
      connections: settings['limits.connections'],
    },
    rules: settings.rules,
    pollIntervalMs: settings['reload.pollInterval'],
    debounceMs: settings['reload.debounce'],
    shadow: settings.shadow,
    cloud: cloudOf(settings, io),
    launchVia: settings['aws.launchVia'],
    ownInstance: ownInstanceOf(settings, io),
    recommenderUrl: settings['recommender.url'],
    plugins: settings.plugins,
    statePath: settings['state.url'].replace(/^sqlite:/, ''),
    retentionMs: settings['state.retention'],
    dedupWindowMs: settings['inbox.dedupWindow'],
    inboxLimit: settings['inbox.limit'],
    concurrency: settings['worker.concurrency'],
    log: { level: settings['log.level'], format: settings['log.format'] },
  };
}

/** Without a setting the region is the one that every AWS tool takes: AWS_REGION, else AWS_DEFAULT_REGION. */
function cloudOf(settings: Settings, { env }: Io): AppOptions['cloud'] {
  if (settings.cloud === 'simulated') return { kind: 'simulated' };
  const fallback = env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'];
  const regions =
    settings['aws.regions'].length > 0 ? settings['aws.regions'] : fallback === undefined ? [] : [fallback];
  if (regions.length === 0) {
    const message =
      'no AWS region: set aws.regions (--aws.regions eu-west-1) or AWS_REGION, or try --cloud simulated';
    throw new Failure('invalid_request', 'reject', message);
  }
  const { 'aws.endpoint': endpoint, 'aws.spotAdvisor': spotAdvisor } = settings;
  return { kind: 'aws', regions, endpoint, spotAdvisor };
}

/**
 * The metadata service is asked only where the real AWS is acted on: an emulator has no instance that this could run on,
 * and outside of EC2 asking takes two seconds.
 *
 * @internal exported for tests
 */
export function ownInstanceOf(
  settings: Pick<Settings, 'cloud' | 'aws.endpoint' | 'aws.ownInstance'>,
  { env }: Pick<Io, 'env'>,
): NonNullable<AppOptions['ownInstance']> {
  const setting = settings['aws.ownInstance'];
  if (setting === 'none') return { kind: 'unknown', because: 'aws.ownInstance says none' };
  if (setting !== 'auto') return { kind: 'known', id: setting };
  if (settings.cloud === 'simulated') return { kind: 'unknown', because: 'the cloud is simulated' };
  if ((settings['aws.endpoint'] ?? env['AWS_ENDPOINT_URL'] ?? '') !== '') {
    return { kind: 'unknown', because: 'another address is set for every AWS service' };
  }
  const service = {
    disabled: env['AWS_EC2_METADATA_DISABLED'],
    endpoint: env['AWS_EC2_METADATA_SERVICE_ENDPOINT'],
    mode: env['AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE'],
  };
  return { kind: 'ask', service };
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
