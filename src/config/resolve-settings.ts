import { closest, suggestion } from '../engine/suggest.ts';
import { isClientVariable } from './client-variables.ts';
import { lockProblems } from './lock-settings.ts';
import type { Mistake } from './schema-issues.ts';
import type { SettingType } from './setting-types.ts';
import {
  environmentName,
  isSettingName,
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
  type Settings,
} from './settings.ts';
import { type Path, readYaml, valueAt } from './yaml-source.ts';

/** Where the value of a setting was found. */
export interface Origin {
  readonly kind: 'flag' | 'environment' | 'file' | 'default';
  /** `--http.listen`, `COPPICE_HTTP_LISTEN`, `coppice.yaml:3:11` or `default`. */
  readonly where: string;
}

/** A setting that cannot be used. */
export interface SettingProblem {
  /** Flag, variable or `file:line:column`. */
  readonly where: string;
  /** What is wrong and what to do, in one sentence. */
  readonly message: string;
}

export interface SettingSources {
  /** By dotted name, as read from the command line. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** coppice.yaml, when there is one. */
  readonly file: { readonly path: string; readonly text: string } | null;
}

export type ResolvedSettings =
  | {
      readonly kind: 'ok';
      readonly settings: Settings;
      readonly origins: Readonly<Record<SettingName, Origin>>;
    }
  | { readonly kind: 'bad'; readonly problems: readonly SettingProblem[] };

/**
 * The settings in force: a flag beats the environment, which beats the file, which beats the default. Whatever cannot be
 * used is told all at once, also where something stronger would have hidden it.
 */
export function resolveSettings({ flags, env, file }: SettingSources): ResolvedSettings {
  const found = [fromFile(file), fromEnvironment(env), fromFlags(flags)];
  const problems = found.flatMap((source) => source.problems);
  const values: Record<string, unknown> = {};
  const origins = {} as Record<SettingName, Origin>;
  for (const name of SETTING_NAMES) {
    values[name] = SETTINGS[name].default;
    origins[name] = { kind: 'default', where: 'default' };
  }
  for (const one of found.flatMap((source) => source.found)) {
    const { name, raw, origin } = one;
    const parsed = SETTINGS[name].type.parse(raw);
    if (parsed !== null) values[name] = parsed.value;
    else problems.push(...problemsWith(one));
    origins[name] = origin;
  }
  // Every name of the table was set above.
  const settings = values as Settings;
  problems.push(
    ...lockProblems(settings).map(({ name, message }) => ({ where: origins[name].where, message })),
  );
  return problems.length === 0 ? { kind: 'ok', settings, origins } : { kind: 'bad', problems };
}

interface Found {
  readonly name: SettingName;
  readonly raw: unknown;
  readonly origin: Origin;
  /** Where a part of the value stands; absent where that is all one. */
  readonly placeOf?: (part: Pick<Mistake, 'path' | 'at'>) => string;
}

function problemsWith({ name, raw, origin, placeOf }: Found): readonly SettingProblem[] {
  const type: SettingType<unknown> = SETTINGS[name].type;
  const mistakes = type.mistakes?.(raw) ?? [];
  if (mistakes.length === 0) return [{ where: origin.where, message: `${name} must be ${type.expected}` }];
  return mistakes.map(({ message, ...part }) => ({ where: placeOf?.(part) ?? origin.where, message }));
}

interface Source {
  readonly found: readonly Found[];
  readonly problems: readonly SettingProblem[];
}

function fromFlags(flags: SettingSources['flags']): Source {
  const found = SETTING_NAMES.filter((name) => flags[name] !== undefined).map(
    (name): Found => ({ name, raw: flags[name], origin: { kind: 'flag', where: `--${name}` } }),
  );
  return { found, problems: [] };
}

/** Kubernetes puts variables such as COPPICE_SERVICE_HOST and COPPICE_PORT into pods beside a Service of our name. */
const OF_KUBERNETES = /_(?:SERVICE|PORT)(?:_|$)/;
const PREFIX = 'COPPICE_';

/** An empty variable counts as absent. One that is nearly the name of a setting is a mistake; others are not ours. */
function fromEnvironment(env: SettingSources['env']): Source {
  const names = new Map(SETTING_NAMES.map((name) => [environmentName(name).slice(PREFIX.length), name]));
  const found: Found[] = [];
  const problems: SettingProblem[] = [];
  for (const [variable, raw] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || raw === undefined || raw === '') continue;
    const word = variable.slice(PREFIX.length);
    const name = names.get(word);
    const others = OF_KUBERNETES.test(variable) || isClientVariable(variable);
    const near = others ? null : closest(word, [...names.keys()]);
    if (name !== undefined) found.push({ name, raw, origin: { kind: 'environment', where: variable } });
    else if (near !== null)
      problems.push({
        where: variable,
        message: `no setting has this variable; did you mean ${PREFIX}${near}?`,
      });
  }
  return { found, problems };
}

function fromFile(file: SettingSources['file']): Source {
  if (file === null) return { found: [], problems: [] };
  const { source, problems: unread } = readYaml(file.path, file.text);
  const at = ({ line, column }: { line: number; column: number }): string => `${file.path}:${line}:${column}`;
  const problems = unread
    // A file in which all is commented out says nothing, and that is fine.
    .filter(({ code }) => code !== 'empty-file')
    .map((problem): SettingProblem => ({ where: at(problem), message: problem.message }));
  const found = new Map<SettingName, Found>();
  // The first step of a mistake's path is the name of the setting, which the file may write in several.
  const placesIn = (setting: Path): NonNullable<Found['placeOf']> => {
    return (part) =>
      at(source?.place([...setting, ...part.path.slice(1)], part.at) ?? { line: 1, column: 1 });
  };
  for (const path of source === null ? [] : leaves(source.data, [])) {
    const name = path.join('.');
    const where = at(source?.place(path, 'key') ?? { line: 1, column: 1 });
    if (!isSettingName(name)) problems.push({ where, message: noSuchSetting(name) });
    else if (found.has(name)) problems.push({ where, message: `${name} is given twice; delete one of them` });
    else {
      const raw = valueAt(source?.data, path);
      found.set(name, { name, raw, origin: { kind: 'file', where }, placeOf: placesIn(path) });
    }
  }
  return { found: [...found.values()], problems };
}

/** Paths to what a file sets, nested (`http: {listen: …}`) or dotted (`http.listen: …`). */
function leaves(data: unknown, path: Path): readonly Path[] {
  if (path.length > 0 && !isSection(path.join('.'))) return [path];
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return [path];
  return Object.entries(data).flatMap(([key, value]) => leaves(value, [...path, key]));
}

function isSection(name: string): boolean {
  return !isSettingName(name) && SETTING_NAMES.some((known) => known.startsWith(`${name}.`));
}

function noSuchSetting(name: string): string {
  if (name === '' || isSection(name)) return `${name || 'the file'} must be a map of settings`;
  return `there is no setting '${name}'; ${suggestion(name, SETTING_NAMES)}`;
}
