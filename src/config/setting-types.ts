import { formatDuration, parseDuration } from '../base/duration.ts';
import { INSTANCE_ID } from '../base/instance-id.ts';
import type { Mistake } from './schema-issues.ts';

/** How one kind of setting is read and shown. */
export interface SettingType<T> {
  /** What it must be, with an example: completes "must be …". */
  readonly expected: string;
  /** The value of a flag, a variable or a file; null when it is none. */
  parse(raw: unknown): { readonly value: T } | null;
  /** What exactly is wrong with a value that is none, where that can be told; paths and messages as from above the setting. */
  mistakes?(raw: unknown): readonly Mistake[];
  /** The value as `config show` prints it; secrets are covered. */
  show(value: T): ShownValue;
}

/** What can be printed as text and as JSON. */
export type ShownValue = string | number | boolean | readonly string[] | null;

/** Where a server listens. */
export interface ListenAddress {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

const ADDRESS = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/;

/** `host:port`; without a host, all addresses of the machine. */
export const address: SettingType<ListenAddress> = {
  expected: 'an address such as 127.0.0.1:8080 or [::1]:8080',
  parse(raw) {
    const [, ipv6, name, port] = ADDRESS.exec(typeof raw === 'string' ? raw : '') ?? [];
    if (port === undefined || Number(port) > 65_535) return null;
    const host = ipv6 ?? (name === undefined || name === '' ? '0.0.0.0' : name);
    return { value: { host, port: Number(port) } };
  },
  show: ({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`),
};

/** Whether only programs of the same machine can reach it. */
export function isLoopback({ host }: ListenAddress): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** `true` or `false`. */
export const flag: SettingType<boolean> = {
  expected: 'true or false',
  parse(raw) {
    if (typeof raw === 'boolean') return { value: raw };
    return raw === 'true' || raw === 'false' ? { value: raw === 'true' } : null;
  },
  show: (value) => value,
};

/** A whole number within limits, both included. */
export function whole(least: number, most: number): SettingType<number> {
  return {
    expected: `a whole number from ${least} to ${most}`,
    parse(raw) {
      const value = typeof raw === 'string' && /^\d+$/.test(raw) ? Number(raw) : raw;
      return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
        ? { value }
        : null;
    },
    show: (value) => value,
  };
}

/** A duration (`30s`), kept in ms, within limits, both included. */
export function time(leastMs: number, mostMs: number): SettingType<number> {
  return {
    expected: `a duration such as 30s, from ${formatDuration(leastMs)} to ${formatDuration(mostMs)}`,
    parse(raw) {
      const ms = typeof raw === 'string' || raw === 0 ? parseDuration(String(raw)) : null;
      return ms !== null && ms >= leastMs && ms <= mostMs ? { value: ms } : null;
    },
    show: (value) => formatDuration(value),
  };
}

/** One of a few words. */
export function choice<T extends string>(...words: readonly T[]): SettingType<T> {
  return {
    expected: `one of ${words.join(', ')}`,
    parse(raw) {
      const value = words.find((word) => word === raw);
      return value === undefined ? null : { value };
    },
    show: (value) => value,
  };
}

/** A comma between braces belongs to a glob. */
const BETWEEN_ITEMS = /,(?![^{]*\})/;

/** A list of texts; as one text, its items are parted by commas. */
export function list(item: RegExp, expected: string): SettingType<readonly string[]> {
  return {
    expected,
    parse(raw) {
      const items: readonly unknown[] = Array.isArray(raw) ? raw : [raw];
      const texts = items.flatMap((one) => (typeof one === 'string' ? one.split(BETWEEN_ITEMS) : [null]));
      const value = texts.map((text) => text?.trim() ?? '');
      return value.every((text) => item.test(text)) ? { value } : null;
    },
    show: (value) => value,
  };
}

/** An http or https address, or none. */
export const endpoint: SettingType<string | null> = {
  expected: 'an address such as http://localhost:5000',
  parse(raw) {
    const url = typeof raw === 'string' ? URL.parse(raw) : null;
    return url?.protocol === 'http:' || url?.protocol === 'https:' ? { value: String(raw) } : null;
  },
  show: (value) => (value === null ? null : withoutSecrets(value)),
};

/** An http or https address to which a path can be added, or none. Credentials in addresses end up in logs. */
export const service: SettingType<string | null> = {
  expected: 'an address such as http://localhost:9090, without user and query',
  parse(raw) {
    const read = endpoint.parse(raw);
    const url = read === null ? null : URL.parse(String(read.value));
    return url !== null && url.username === '' && url.password === '' && url.search === '' ? read : null;
  },
  show: (value) => value,
};

/** Path of a file, or none. */
export const filePath: SettingType<string | null> = {
  expected: 'the path of a file',
  parse: (raw) => (typeof raw === 'string' && raw !== '' && !raw.includes('\0') ? { value: raw } : null),
  show: (value) => value,
};

/** Path of a file, or an https address, or none. */
export const feed: SettingType<string | null> = {
  expected: 'the path of a file, or an https address without a user',
  parse(raw) {
    if (typeof raw !== 'string' || raw === '') return null;
    if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(raw)) return { value: raw };
    const url = URL.parse(raw);
    return url?.protocol === 'https:' && url.username === '' && url.password === '' ? { value: raw } : null;
  },
  show: (value) => (value === null ? null : withoutSecrets(value)),
};

/** `auto`, `none`, or the id of an instance. */
export const ownInstance: SettingType<string> = {
  expected: 'auto, none, or the id of an instance such as i-0123456789abcdef0',
  parse: (raw) =>
    typeof raw === 'string' && (raw === 'auto' || raw === 'none' || INSTANCE_ID.test(raw))
      ? { value: raw }
      : null,
  show: (value) => value,
};

/** `sqlite:PATH`. */
export const stateUrl: SettingType<string> = {
  expected: 'sqlite:PATH, e.g. sqlite:/var/lib/coppice/coppice.db; there is no other store yet',
  parse: (raw) => (typeof raw === 'string' && /^sqlite:./.test(raw) ? { value: raw } : null),
  show: withoutSecrets,
};

/** A URL without user, password and query, where credentials travel. */
function withoutSecrets(text: string): string {
  const url = URL.parse(text);
  if (url === null) return text;
  const user = url.username === '' && url.password === '' ? '' : '<secret>@';
  const query = url.search === '' ? '' : '?<secret>';
  return user === '' && query === '' ? text : `${url.protocol}//${user}${url.host}${url.pathname}${query}`;
}
