import type { LogLevel } from '../telemetry/log.ts';
import { plugins } from './plugin-settings.ts';
import {
  address,
  choice,
  endpoint,
  feed,
  filePath,
  flag,
  type ListenAddress,
  list,
  ownInstance,
  type SettingType,
  type ShownValue,
  service,
  stateUrl,
  time,
  whole,
} from './setting-types.ts';

/** One row of the table of settings. */
export interface Setting<T> {
  readonly type: SettingType<T>;
  readonly default: T;
  /** One sentence. */
  readonly doc: string;
}

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;

function setting<T>(type: SettingType<T>, fallback: NoInfer<T>, doc: string): Setting<T> {
  return { type, default: fallback, doc };
}

function loopback(port: number): ListenAddress {
  return { host: '127.0.0.1', port };
}

/**
 * Every setting. The one place that names them: flags, environment variables, coppice.yaml, the help and the documents
 * are made from it. Durations are kept in ms.
 */
export const SETTINGS = {
  'http.listen': setting(address, loopback(8080), 'Where the HTTP server listens.'),
  'grpc.listen': setting(address, loopback(8888), 'Where the gRPC server listens.'),
  'grpc.answer': setting(
    choice('accepted', 'completed'),
    'accepted',
    'A call of Hollowtrees is answered when its event is kept, or when all that it starts has ended.',
  ),
  'http.auth.file': setting(filePath, null, 'Who may use the HTTP server: an access file.'),
  'http.tls.cert': setting(
    filePath,
    null,
    'Certificate of the HTTP server, before those of who issued it; PEM.',
  ),
  'http.tls.key': setting(filePath, null, 'Private key of that certificate; PEM.'),
  'http.tls.clientCa': setting(
    filePath,
    null,
    'Authorities whose client certificates the HTTP server believes; PEM.',
  ),
  'http.tls.clientCertificates': setting(
    choice('optional', 'required'),
    'optional',
    'Whether a connection to the HTTP server without such a certificate is cut off.',
  ),
  'grpc.auth.file': setting(filePath, null, 'Who may use the gRPC server: an access file.'),
  'grpc.tls.cert': setting(
    filePath,
    null,
    'Certificate of the gRPC server, before those of who issued it; PEM.',
  ),
  'grpc.tls.key': setting(filePath, null, 'Private key of that certificate; PEM.'),
  'grpc.tls.clientCa': setting(
    filePath,
    null,
    'Authorities whose client certificates the gRPC server believes; PEM.',
  ),
  'grpc.tls.clientCertificates': setting(
    choice('optional', 'required'),
    'optional',
    'Whether a connection to the gRPC server without such a certificate is cut off.',
  ),
  'insecure.noAuth': setting(
    flag,
    false,
    'Allows addresses that other machines can reach although nobody has to authenticate.',
  ),
  'limits.requestsPerSecond': setting(
    whole(0, 1_000_000),
    1000,
    'Requests a second that one client address may make at each server before it gets 503; 0 for no limit.',
  ),
  'limits.connections': setting(
    whole(1, 1_000_000),
    10_000,
    'Connections that each server holds at most; a new one takes the place of an idle one, or is refused.',
  ),
  rules: setting(
    list(/./, 'a list of paths: files, directories or globs'),
    ['./rules'],
    'Rule files: files, directories, globs.',
  ),
  shadow: setting(flag, false, 'Decides and records, but changes nothing, whatever the rules say.'),
  cloud: setting(
    choice('aws', 'simulated'),
    'aws',
    'Which cloud to act on; simulated is in memory, for trying out.',
  ),
  'aws.regions': setting(
    list(/^[a-z]{2}(?:-[a-z]+)+-\d$/, 'a list of regions such as eu-west-1'),
    [],
    'Regions whose groups are looked after; empty means AWS_REGION, else AWS_DEFAULT_REGION.',
  ),
  'aws.endpoint': setting(endpoint, null, 'Another address for every AWS service, e.g. of a test double.'),
  'aws.launchVia': setting(
    choice('auto', 'fleet', 'run-instances'),
    'auto',
    'Spot markets are offered to AWS together (CreateFleet) where there are several, also a single one, or never.',
  ),
  'aws.ownInstance': setting(
    ownInstance,
    'auto',
    'The instance that Coppice runs on, which it never swaps or ends; auto asks the metadata service.',
  ),
  'aws.spotAdvisor': setting(
    feed,
    null,
    'Where to read how often AWS says that spot instances are interrupted: its Spot Advisor feed, or a copy.',
  ),
  'recommender.url': setting(
    service,
    null,
    "Another recommender, of the shape of Hollowtrees', whose scores rank spot markets while it answers.",
  ),
  plugins: setting(
    plugins,
    [],
    'External plugins that rules may send events to, over a gRPC interface of Hollowtrees.',
  ),
  'state.url': setting(
    stateUrl,
    'sqlite:./coppice.db',
    'Where events, decisions, runs and the last good rules are kept.',
  ),
  'state.retention': setting(time(HOUR, 3650 * DAY), 30 * DAY, 'How long what is over is kept.'),
  'worker.concurrency': setting(whole(1, 256), 64, 'How many runs are carried out at the same time.'),
  'inbox.limit': setting(
    whole(1, 10_000_000),
    100_000,
    'Undecided events that are kept before new ones get 503.',
  ),
  'inbox.dedupWindow': setting(
    time(0, DAY),
    600 * SECOND,
    'A notification that says the same within this time is a duplicate.',
  ),
  'reload.pollInterval': setting(
    time(SECOND, DAY),
    30 * SECOND,
    'How often rule, access and certificate files are looked at when no event tells of a change.',
  ),
  'reload.debounce': setting(
    time(0, 60 * SECOND),
    200,
    'How long such files must be quiet before they are read; ten times as long at most.',
  ),
  'log.level': setting(
    choice<LogLevel>('debug', 'info', 'warn', 'error', 'silent'),
    'info',
    'The least important messages that are logged.',
  ),
  'log.format': setting(choice('json', 'text'), 'json', 'json for machines, text for people.'),
} as const;

export type SettingName = keyof typeof SETTINGS;

/** All settings by their dotted names, the same in code, files and flags: `settings['http.listen']`. */
export type Settings = { readonly [K in SettingName]: (typeof SETTINGS)[K]['default'] };

/** In the order of the table. */
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

/** `COPPICE_RELOAD_POLL_INTERVAL` for `reload.pollInterval`. */
export function environmentName(name: SettingName): string {
  const words = name.replaceAll('.', '_').replaceAll(/[A-Z]/g, (letter) => `_${letter}`);
  return `COPPICE_${words.toUpperCase()}`;
}

const TABLE: { readonly [K in SettingName]: Setting<Settings[K]> } = SETTINGS;

/** The value as it may be printed: without secrets. */
export function showSetting<K extends SettingName>(settings: Settings, name: K): ShownValue {
  return TABLE[name].type.show(settings[name]);
}
