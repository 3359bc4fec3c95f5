import { type Command, Option } from 'commander';
import type { ResolvedSettings } from '../config/resolve-settings.ts';
import { SETTING_NAMES, showSetting } from '../config/settings.ts';
import type { Io } from './io.ts';
import { quietCommand } from './remote-command.ts';
import { addSettingOptions, readSettings } from './setting-options.ts';
import { type Cell, plain, renderTable } from './table.ts';

type Resolved = Extract<ResolvedSettings, { kind: 'ok' }>;

/** `coppice config show`: the settings in force and where each came from, secrets covered. */
export function configCommand(io: Io): Command {
  const show = addSettingOptions(quietCommand('show', io))
    .description('prints the settings in force, and where each came from')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'))
    .action(async (options: { readonly output: 'text' | 'json' }) => {
      const resolved = await readSettings(io, { ...options });
      if (resolved.kind === 'bad') {
        for (const { where, message } of resolved.problems)
          io.err(`coppice: ${plain(`${where}: ${message}`)}\n`);
        return io.exit(2);
      }
      return io.out(options.output === 'json' ? asJson(resolved) : asText(resolved, io.colors));
    });
  return quietCommand('config', io).description('settings').addCommand(show);
}

function asText({ settings, origins }: Resolved, colors: boolean): string {
  const rows = SETTING_NAMES.map((name): Cell[] => {
    const value = showSetting(settings, name);
    const text = typeof value === 'object' ? (value?.join(', ') ?? '') : value;
    return [name, text === '' ? null : text, origins[name].where];
  });
  return renderTable(['SETTING', 'VALUE', 'FROM'], rows, colors);
}

function asJson({ settings, origins }: Resolved): string {
  const shown = SETTING_NAMES.map((name) => ({
    name,
    value: showSetting(settings, name),
    origin: origins[name],
  }));
  return `${JSON.stringify({ settings: shown }, null, 2)}\n`;
}
