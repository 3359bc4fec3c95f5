import { Server, type ServerCredentials } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { type Clock, sleep } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { ACTION, EVENT_HANDLER, HEALTH, loadDefinitions, serviceOf } from '../grpc/definitions.ts';
import { createHealth } from '../grpc/health.ts';
import { type Address, addressText, parseAddress } from './address.ts';
import { createCalls, type PluginHandler } from './calls.ts';
import { eventOfV1, eventOfV2 } from './event.ts';
import { createLock, type LockOptions, refuseExposure } from './lock.ts';
import { type PluginLog, stderrLog } from './plugin-log.ts';

export interface PluginOptions extends LockOptions {
  /** `host:port`; 127.0.0.1:8889. Port 0 is any that is free. */
  readonly address?: string | undefined;
  /** Whether traffic is welcome, for the health service; always, when it is left out. */
  readonly ready?: (() => boolean | Promise<boolean>) | undefined;
  /** Handlers that may run at a time; 1000. What comes then is answered UNAVAILABLE. */
  readonly concurrency?: number | undefined;
  /** Stopping, handlers may end within so many milliseconds before they are cut off; 10 000. */
  readonly graceMs?: number | undefined;
  /** JSON lines on standard error, when it is left out. */
  readonly log?: PluginLog | undefined;
}

/** A plugin that listens. */
export interface RunningPlugin {
  /** `host:port`, with the port that it got where 0 was asked for. */
  readonly address: string;
  readonly port: number;
  /**
   * Says NOT_SERVING, takes no more calls, lets handlers end within the grace time, then aborts their signals and closes what is
   * open. Never rejects; every call after the first shares its end.
   */
  stop(): Promise<void>;
  /** Resolves when it has stopped, for whatever reason. */
  readonly stopped: Promise<void>;
}

const DEFAULT_ADDRESS = '127.0.0.1:8889';
const DEFAULT_CONCURRENCY = 1000;
const DEFAULT_GRACE_MS = 10_000;
/** What was cut off is answered; so long may the answers take. */
const LAST_ANSWERS_MS = 500;

const SERVER_OPTIONS = {
  // As Coppice itself; its largest message has the 64 KiB of labels three times. More is answered RESOURCE_EXHAUSTED.
  'grpc.max_receive_message_length': 1_048_576,
  // Hollowtrees v1 opens a connection a call, and leaks it when the call fails.
  'grpc.max_connection_idle_ms': 300_000,
};

interface Deps {
  readonly clock: Clock;
  readonly log: PluginLog;
}

/** As `serve`, with a clock, and blind to signals. */
export async function startPlugin(
  handler: PluginHandler,
  options: PluginOptions,
  clock: Clock,
): Promise<RunningPlugin> {
  const { log = stderrLog, ready = () => true } = options;
  refuseNonsense(handler, options);
  const wanted = parseAddress(options.address ?? DEFAULT_ADDRESS);
  refuseExposure(wanted, options);
  const deps = { clock, log };
  const lock = await createLock(options, deps);
  try {
    const server = new Server({ ...SERVER_OPTIONS, interceptors: lock.interceptors });
    const definitions = await loadDefinitions();
    const calls = createCalls({ handler, log, most: options.concurrency ?? DEFAULT_CONCURRENCY });
    server.addService(serviceOf(definitions, ACTION), { HandleAlert: calls.handlerOf(eventOfV1) });
    server.addService(serviceOf(definitions, EVENT_HANDLER), { Handle: calls.handlerOf(eventOfV2) });
    const readiness = async (): Promise<{ ready: boolean }> => ({ ready: await ready() });
    const health = createHealth(['', ACTION, EVENT_HANDLER], { clock, readiness });
    server.addService(serviceOf(definitions, HEALTH), health.handlers);
    new ReflectionService(definitions).addToServer(server);
    const port = await bind(server, wanted, lock.credentials);
    const address = addressText({ ...wanted, port });
    log.info({ address }, 'plugin listens');
    return running({ address, port }, async () => {
      health.retire();
      await drain({ server, calls }, options.graceMs ?? DEFAULT_GRACE_MS, deps);
      lock.release();
      log.info({ address }, 'plugin stopped');
    });
  } catch (thrown) {
    lock.release();
    throw thrown;
  }
}

/** Fails with `invalid_request`. NaN, which an unset variable becomes, would let everything pass, or nothing. */
function refuseNonsense(handler: unknown, { concurrency = 1, graceMs = 0 }: PluginOptions): void {
  const refuse = (message: string): never => {
    throw new Failure('invalid_request', 'reject', message);
  };
  if (typeof handler !== 'function') refuse('the handler is no function');
  if (!(concurrency >= 1)) refuse(`concurrency is ${concurrency}: it must be a number from 1 on`);
  if (!(graceMs >= 0)) refuse(`graceMs is ${graceMs}: it must be a number from 0 on`);
}

function bind(server: Server, address: Address, credentials: ServerCredentials): Promise<number> {
  const text = addressText(address);
  return new Promise((resolve, reject) => {
    server.bindAsync(text, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(new Failure('unavailable', 'reject', `listening on ${text}: ${error.message}`, error));
    });
  });
}

function running(where: { address: string; port: number }, stopOnce: () => Promise<void>): RunningPlugin {
  const { promise: stopped, resolve } = deferred();
  let asked = false;
  return {
    ...where,
    stopped,
    stop() {
      if (!asked) void stopOnce().then(resolve);
      asked = true;
      return stopped;
    },
  };
}

/** Not `Promise.withResolvers`, which Node 20 lacks. */
function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

interface Draining {
  readonly server: Server;
  readonly calls: ReturnType<typeof createCalls>;
}

async function drain({ server, calls }: Draining, graceMs: number, { clock, log }: Deps): Promise<void> {
  const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  if (await within(Promise.all([closed, calls.idle()]), graceMs, clock)) return;
  log.error({ graceMs }, 'handlers did not end within the grace time, or connections stayed open; cut off');
  calls.cut();
  await within(closed, LAST_ANSWERS_MS, clock);
  server.forceShutdown();
}

/** Whether it is over by then; waits no longer. */
async function within(work: Promise<unknown>, ms: number, clock: Clock): Promise<boolean> {
  const over = new AbortController();
  const inTime = await Promise.race([
    work.then(() => true),
    sleep(clock, ms, over.signal).then((passed) => !passed),
  ]);
  over.abort();
  return inTime;
}
