import { inspect } from 'node:util';
import { type handleUnaryCall, type ServerUnaryCall, type StatusObject, status } from '@grpc/grpc-js';
import type { PluginEvent } from './event.ts';
import { Refused, Unavailable } from './plugin-error.ts';
import type { PluginLog } from './plugin-log.ts';
import { createRepeats } from './repeats.ts';

/** What a handler knows of a call beside its event. */
export interface PluginContext {
  /** Aborts when the caller has gone, when its deadline has passed, and when the plugin stops and the grace time is over. */
  readonly signal: AbortSignal;
  /** When the caller gives up; null when it does not say. */
  readonly deadline: Date | null;
  /** Whether an event with this id has come before, since the start and among the last 10 000; how that ended is not told. */
  readonly repeat: boolean;
}

/** What a plugin does with an event. To return, or resolve, is to have done it. */
export type PluginHandler = (event: PluginEvent, context: PluginContext) => void | Promise<void>;

/** All calls of one plugin. */
export interface Calls {
  /** What an rpc does whose messages are read in that way. */
  handlerOf<Message>(
    read: (message: Message) => PluginEvent,
  ): handleUnaryCall<Message, { readonly status: string }>;
  /** Resolves when no handler runs any more; those whose caller has gone may still run. */
  idle(): Promise<void>;
  /** Aborts the signals of all handlers that run, and answers their callers UNAVAILABLE. */
  cut(): void;
}

export interface CallsDeps {
  readonly handler: PluginHandler;
  readonly log: PluginLog;
  /** Handlers that may run at a time; what comes then is answered UNAVAILABLE. */
  readonly most: number;
}

/** The header that carries it holds less than 8 KiB, of which a character may take 9 bytes. */
const LONGEST_MESSAGE = 500;
const STOPPING = 'the plugin stops';

type Answer = Partial<StatusObject> | null;

export function createCalls({ handler, log, most }: CallsDeps): Calls {
  const repeats = createRepeats();
  const running = new Map<AbortController, Promise<void>>();

  const begin = (event: PluginEvent, deadline: Date | null, end: AbortController): Promise<void> => {
    const context = { signal: end.signal, deadline, repeat: repeats.isRepeat(event.id) };
    // A handler that throws at once is no different from one that rejects.
    const run = Promise.resolve(event).then((one) => handler(one, context));
    // Told also when nobody waits for the answer any more.
    const told = run.catch((thrown: unknown) => {
      if (isExpected(thrown, end.signal)) return;
      const { id, type } = event;
      log.error({ eventId: id, eventType: type, error: describe(thrown) }, 'the handler failed');
    });
    running.set(
      end,
      told.finally(() => running.delete(end)),
    );
    return run;
  };
  const answerTo = async (event: PluginEvent, call: Call, end: AbortController): Promise<Answer> => {
    if (event.type === '') return { code: status.INVALID_ARGUMENT, details: 'type is missing' };
    if (running.size >= most) return statusOf(new Unavailable(`${most} events are being handled already`));
    try {
      await Promise.race([begin(event, deadlineOf(call), end), aborted(end.signal)]);
      return null;
    } catch (thrown) {
      return statusOf(thrown);
    }
  };
  return {
    handlerOf: (read) => (call, callback) => {
      const end = new AbortController();
      // Also when its deadline has passed, which the library answers by itself.
      call.once('cancelled', () => end.abort(new Error('the caller has gone, or its deadline has passed')));
      void answerTo(read(call.request), call, end).then((answer) => {
        if (call.cancelled) return;
        if (answer === null) callback(null, { status: 'ok' });
        else callback(answer);
      });
    },
    async idle() {
      await Promise.all(running.values());
    },
    cut() {
      for (const end of running.keys()) end.abort(new Unavailable(STOPPING));
    },
  };
}

type Call = Pick<ServerUnaryCall<unknown, unknown>, 'getDeadline'>;

function deadlineOf(call: Call): Date | null {
  const deadline = call.getDeadline();
  if (deadline instanceof Date) return deadline;
  return Number.isFinite(deadline) ? new Date(deadline) : null;
}

/** Rejects with the signal's reason. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

/** What a handler throws on purpose, or because it was told to end. */
function isExpected(thrown: unknown, signal: AbortSignal): boolean {
  if (thrown instanceof Refused || thrown instanceof Unavailable) return true;
  return signal.aborted && (thrown === signal.reason || (thrown as Error | null)?.name === 'AbortError');
}

/** An error that nobody foresaw may say anything, so whoever calls is told nothing of it. */
function statusOf(thrown: unknown): Partial<StatusObject> {
  if (thrown instanceof Refused)
    return { code: status.FAILED_PRECONDITION, details: sendable(thrown.message) };
  if (thrown instanceof Unavailable) return { code: status.UNAVAILABLE, details: sendable(thrown.message) };
  return { code: status.INTERNAL, details: 'the plugin failed; its log says more' };
}

/** The library throws at half a character, such as a cut leaves, where nobody catches it. */
function sendable(message: string): string {
  const cut = message.length > LONGEST_MESSAGE ? `${message.slice(0, LONGEST_MESSAGE)}…` : message;
  return cut.toWellFormed();
}

/** Whatever was thrown: not every value can be made a text of by `String`. */
function describe(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : inspect(thrown);
}
