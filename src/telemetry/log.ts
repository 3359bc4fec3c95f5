import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

/** A logger: static messages, values as fields. `child` adds fields to every line. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'> & { child(fields: object): Log };

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Fields whose values never reach a log (law 9), at any depth that occurs. */
const SECRETS = ['authorization', 'password', 'token', 'secret', 'secretAccessKey', 'sessionToken'];

/** Of no use to people, or too long for them: the evidence of a decision takes eight lines a condition, and `detail` says it. */
const LEFT_OUT = 'pid,hostname,evidence';

/** A logger to standard error: `json` for machines, one line an entry; `text` for people. */
export function createLog(level: LogLevel, format: 'json' | 'text'): Log {
  const redact = { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: '<secret>' };
  const options = { level, redact, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  return format === 'text'
    ? pino(options, pretty({ destination: 2, sync: true, colorize: false, ignore: LEFT_OUT }))
    : pino(options, pino.destination({ fd: 2, sync: true }));
}

/** A logger that says nothing; for tests and for commands that print their own output. */
export const silentLog: Log = pino({ level: 'silent' });
