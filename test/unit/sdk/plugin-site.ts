import type { TestContext } from 'node:test';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import type { PluginHandler } from '../../../src/sdk/calls.ts';
import type { PluginLog } from '../../../src/sdk/plugin-log.ts';
import { type PluginOptions, type RunningPlugin, startPlugin } from '../../../src/sdk/plugin-server.ts';
import { type ForeignCaller, foreignCaller } from '../ingest/foreign-caller.ts';

/** A line that was logged. */
export interface LogLine {
  readonly level: 'info' | 'error';
  readonly message: string;
  readonly fields: object;
}

/** A log that keeps its lines, and can be waited on. */
export interface KeptLog extends PluginLog {
  readonly lines: readonly LogLine[];
  /** Resolves with the next line that has this message. */
  next(message: string): Promise<LogLine>;
}

export function keptLog(): KeptLog {
  const lines: LogLine[] = [];
  const waiting = new Set<(line: LogLine) => void>();
  const keep = (level: LogLine['level'], fields: object, message: string): void => {
    const line = { level, message, fields };
    lines.push(line);
    for (const tell of waiting) tell(line);
  };
  return {
    lines,
    info: (fields, message) => keep('info', fields, message),
    error: (fields, message) => keep('error', fields, message),
    next: (message) =>
      new Promise((resolve) => {
        const tell = (line: LogLine): void => {
          if (line.message !== message) return;
          waiting.delete(tell);
          resolve(line);
        };
        waiting.add(tell);
      }),
  };
}

export interface PluginSite {
  readonly plugin: RunningPlugin;
  readonly caller: ForeignCaller;
  readonly log: KeptLog;
}

/** A plugin on a free port of the loopback and a caller of it, for as long as the test runs. */
export async function pluginSite(
  t: TestContext,
  handler: PluginHandler,
  { clock = systemClock, ...options }: PluginOptions & { readonly clock?: Clock } = {},
): Promise<PluginSite> {
  const log = keptLog();
  const all = { address: '127.0.0.1:0', log, graceMs: 0, ...options };
  const plugin = await startPlugin(handler, all, clock);
  const caller = foreignCaller(plugin.port);
  t.after(async () => {
    caller.close();
    await plugin.stop();
  });
  return { plugin, caller, log };
}
