import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { type ResolvedSettings, resolveSettings } from '../config/resolve-settings.ts';
import { environmentName, SETTING_NAMES, SETTINGS } from '../config/settings.ts';
import type { Io } from './io.ts';

/** Settings are read from it when no other file is named. */
export const DEFAULT_FILE = 'coppice.yaml';

/** Adds `--config` and one flag a setting: `--http.listen`, `--shadow`. A list is given by repeating its flag. */
export function addSettingOptions(command: Command): Command {
  command.option('--config <file>', `settings file (default: ${DEFAULT_FILE}, when it is there)`);
  for (const name of SETTING_NAMES) {
    const { default: fallback, doc } = SETTINGS[name];
    const option = new Option(flagOf(name, fallback), `${doc} (${environmentName(name)})`);
    if (Array.isArray(fallback))
      option.argParser((value, before: readonly string[] = []) => [...before, value]);
    if (typeof fallback === 'boolean') option.preset(true);
    command.addOption(option);
  }
  return command.addOption(
    new Option('--insecure-no-auth [boolean]', 'the same as --insecure.noAuth').preset(true),
  );
}

function flagOf(name: string, fallback: unknown): string {
  return typeof fallback === 'boolean' ? `--${name} [boolean]` : `--${name} <value>`;
}

/** The settings from flags, environment and file. `options` are those of a command with `addSettingOptions`. */
export async function readSettings(
  io: Pick<Io, 'env'>,
  options: Readonly<Record<string, unknown>>,
): Promise<ResolvedSettings> {
  const { insecureNoAuth, ...others } = options;
  const flags = insecureNoAuth === undefined ? others : { ...others, 'insecure.noAuth': insecureNoAuth };
  const named = typeof options['config'] === 'string' ? options['config'] : null;
  const path = named ?? DEFAULT_FILE;
  try {
    const text = await readFile(path, 'utf8');
    return resolveSettings({ flags, env: io.env, file: { path, text } });
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown);
    // Only the file that nobody asked for may be absent: else a wrong path would mean a daemon with defaults.
    if (named === null && code === 'ENOENT') return resolveSettings({ flags, env: io.env, file: null });
    return { kind: 'bad', problems: [{ where: path, message: `the settings file cannot be read: ${code}` }] };
  }
}
