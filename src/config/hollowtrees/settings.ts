import { address, isLoopback } from '../setting-types.ts';
import type { SettingName } from '../settings.ts';
import type { Version } from './plugin.ts';
import { readCount } from './quantity.ts';
import type { Reading, Section, Value } from './reading.ts';

/** What a settings file says, by dotted names, in the form in which it is written there. */
export type SettingData = Partial<Readonly<Record<SettingName, string>>>;

/** Sections of a configuration that are about the daemon and not about flows, by their names in lower case. */
const SECTIONS: Readonly<Record<Version, Readonly<Record<string, readonly string[]>>>> = {
  v1: {
    global: ['bindAddr', 'bufferSize', 'defaultActionFlowConcurrency'],
    log: ['format', 'level'],
  },
  v2: {
    log: ['format', 'level', 'noColor'],
    healthcheck: ['listenAddress', 'endpoint'],
    promalert: ['listenAddress', 'useJWTAuth', 'jwtSigningKey'],
  },
};

/** Where each version listens when nothing is written. */
const USUAL_PORT: Readonly<Record<Version, number>> = { v1: 9091, v2: 8081 };

const LEVELS: ReadonlyMap<string, string> = new Map([
  ...['trace', 'debug'].map((level) => [level, 'debug'] as const),
  ...['warn', 'warning'].map((level) => [level, 'warn'] as const),
  ...['error', 'fatal', 'panic'].map((level) => [level, 'error'] as const),
  ['info', 'info'],
]);
const FORMATS: ReadonlyMap<string, string> = new Map([
  ['json', 'json'],
  ['text', 'text'],
  ['logfmt', 'text'],
]);

/** What is said about the daemon, and not about one flow. */
export interface DaemonPart {
  readonly settings: SettingData;
  /** v1's slots of a flow that does not say how many it has; null where nobody chose. */
  readonly defaultSlots: number | null;
}

/** What of the configuration is a setting of Coppice, with a remark for each key of its sections. */
export function daemonPartOf(reading: Reading, top: Section, version: Version): DaemonPart {
  const sections = new Map(
    Object.entries(SECTIONS[version]).map(([name, known]) => [
      name,
      sectionOf(reading, top.get(name), known),
    ]),
  );
  const find = (section: string, key: string): Value | undefined => sections.get(section)?.get(key);
  sayRest(reading, find, top);
  const listen = version === 'v1' ? find('global', 'bindaddr') : find('promalert', 'listenaddress');
  return {
    settings: {
      'http.listen': listenAt(reading, listen, version),
      ...translated(reading, find('log', 'level'), { name: 'log.level', words: LEVELS }),
      ...translated(reading, find('log', 'format'), { name: 'log.format', words: FORMATS }),
    },
    defaultSlots: defaultSlots(reading, find('global', 'defaultactionflowconcurrency')),
  };
}

function defaultSlots(reading: Reading, value: Value | undefined): number | null {
  const count = readCount(reading, value);
  if (value === undefined || count === null) return null;
  const message =
    'it is limits.concurrent of flows without concurrent_flows, which refuses what v1 let wait; swaps that are urgent have none';
  reading.say(value, 'changed', message);
  return count === 0 ? null : count;
}

function sectionOf(reading: Reading, value: Value | undefined, known: readonly string[]): Section {
  const section = value === undefined ? null : reading.section(value, known);
  return section ?? new Map();
}

/** The port stays; the address becomes loopback, since a door without an access file opens on no other. */
function listenAt(reading: Reading, value: Value | undefined, version: Version): string {
  const text = value === undefined ? null : reading.text(value);
  const read = address.parse(text)?.value;
  const listen = `127.0.0.1:${read?.port ?? USUAL_PORT[version]}`;
  if (read === undefined)
    reading.say(
      value,
      'changed',
      `it is no address that can be read; http.listen is ${listen}, as usual for ${version}`,
    );
  else if (isLoopback(read)) reading.say(value, 'carried', `http.listen is ${listen}`);
  else reading.say(value, 'changed', `http.listen is ${listen}, ${NOT_REACHED}`);
  return listen;
}

const NOT_REACHED =
  'which other machines cannot reach: name an access file in http.auth.file before you put the address back, or set insecure.noAuth';

function translated(
  reading: Reading,
  value: Value | undefined,
  { name, words }: { readonly name: SettingName; readonly words: ReadonlyMap<string, string> },
): SettingData {
  const text = value === undefined ? null : reading.text(value);
  if (value === undefined || text === null) return {};
  const word = words.get(text.toLowerCase());
  if (word === undefined) {
    reading.say(
      value,
      'not carried',
      `there is no such word; ${name} takes ${[...new Set(words.values())].join(', ')}`,
    );
    return {};
  }
  reading.say(value, word === text ? 'carried' : 'changed', `it is ${name}: ${word}`);
  return { [name]: word };
}

type Find = (section: string, key: string) => Value | undefined;

const NOT_NEEDED: readonly (readonly [section: string, key: string, why: string])[] = [
  ['global', 'buffersize', 'events wait on disk, as many as inbox.limit says'],
  ['log', 'nocolor', 'logs have no colours; NO_COLOR is for the commands'],
  ['healthcheck', 'listenaddress', 'health is asked on http.listen'],
];

function sayRest(reading: Reading, find: Find, top: Section): void {
  for (const [section, key, why] of NOT_NEEDED) reading.say(find(section, key), 'not needed', why);
  reading.say(top.get('debug'), 'not needed', 'log.level: debug says more');
  reading.say(top.get('environment'), 'not needed', 'no setting depends on it');
  const endpoint = find('healthcheck', 'endpoint');
  if (endpoint?.data === '/healthz') reading.say(endpoint, 'not needed', '/healthz it is');
  else reading.say(endpoint, 'changed', 'it is /healthz, always; change the probes');
  sayAuthentication(reading, find);
}

/** The key is a secret: it is not repeated, neither here nor in what is written. */
function sayAuthentication(reading: Reading, find: Find): void {
  const use = find('promalert', 'usejwtauth');
  const key = find('promalert', 'jwtsigningkey');
  if (use?.data === false) reading.say(use, 'not needed', 'nobody had to authenticate');
  else reading.say(use, 'not carried', TOKENS);
  reading.say(key, 'not carried', KEY);
}

const TOKENS =
  'the same tokens are good with an access file: an entry jwt with hollowtrees: { secretFile: … }, and its path in http.auth.file';
const KEY =
  'it is a secret and not copied: put it, at least 32 bytes, into the file that secretFile of the access file names';
