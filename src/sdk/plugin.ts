import process from 'node:process';
import { systemClock } from '../base/clock.ts';
import type { PluginContext, PluginHandler } from './calls.ts';
import type { PluginEvent } from './event.ts';
import { Refused, Unavailable } from './plugin-error.ts';
import type { PluginLog } from './plugin-log.ts';
import { type PluginOptions, type RunningPlugin, startPlugin } from './plugin-server.ts';

export type { PluginContext, PluginEvent, PluginHandler, PluginLog, RunningPlugin };
export { Refused, Unavailable };

/** Everything can be left out. */
export interface ServeOptions extends PluginOptions {
  /** Whether SIGTERM and SIGINT stop the plugin; true. A second signal ends the process at once. */
  readonly handleSignals?: boolean | undefined;
}

/**
 * Serves the handler as an action plugin of Coppice, and of Hollowtrees v1 and v2, with health and reflection. Resolves when it
 * listens. Rejects with an Error that has a `code`: `invalid_request` when an option, a file or the exposure is wrong,
 * `unavailable` when the address cannot be listened on.
 */
export async function serve(handler: PluginHandler, options: ServeOptions = {}): Promise<RunningPlugin> {
  const plugin = await startPlugin(handler, options, systemClock);
  if (options.handleSignals ?? true) stopOnSignals(plugin);
  return plugin;
}

function stopOnSignals(plugin: RunningPlugin): void {
  const stop = (): void => {
    forget();
    void plugin.stop();
  };
  const forget = (): void => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.off(signal, stop);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop);
  void plugin.stopped.then(forget);
}
