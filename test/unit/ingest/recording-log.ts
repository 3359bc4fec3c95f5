import { type Log, silentLog } from '../../../src/telemetry/log.ts';

/** A line as it was logged: its level, its message and its fields. */
export type Line = Readonly<Record<string, unknown>>;

/** A log that keeps its lines. */
export function recordingLog(): { readonly log: Log; readonly lines: Line[] } {
  const lines: Line[] = [];
  const keep =
    (level: string) =>
    (fields: object | string, message?: string): void => {
      const line = typeof fields === 'string' ? { message: fields } : { ...fields, message };
      lines.push({ level, ...line });
    };
  const levels = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') };
  return { log: Object.assign(Object.create(silentLog) as Log, levels), lines };
}
