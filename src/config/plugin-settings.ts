import { z } from 'zod';
import { formatDuration } from '../base/duration.ts';
import { duration } from './quantities.ts';
import { type Complaint, checkSecretly, type Mistake, mistake, unless } from './schema-issues.ts';
import type { SettingType } from './setting-types.ts';

/** An external plugin, of which rules know the name. */
export interface PluginSetting {
  readonly name: string;
  /** `host:port`. */
  readonly address: string;
  /** Which of the interfaces of Hollowtrees it serves. */
  readonly protocol: 'v1' | 'v2';
  /** Null is plain text; paths of PEM files, and the name that its certificate must have. What is null is the usual. */
  readonly tls: {
    readonly ca: string | null;
    readonly cert: string | null;
    readonly key: string | null;
    readonly serverName: string | null;
  } | null;
  /** Longest time for one call. */
  readonly timeoutMs: number;
  /** Its text is sent as a bearer token. */
  readonly tokenFile: string | null;
}

/** Each has a connection and labels of metrics of its own. */
const MOST_PLUGINS = 100;
/** A drain of a node takes about as long. */
const TIMEOUT_MS = 60_000;

/** One line: a text with more is the content of a file in the place of its path. */
const file = z
  .string()
  .regex(/^[^\p{Cc}]+$/u, { error: mistake('wrong-value', 'must be the path of a file') });
const line = z
  .string()
  .regex(/^[^\p{C}]{1,100}$/u, { error: mistake('bad-name', 'must be one line of at most 100 characters') });
const ADDRESS = /^(?:\[[0-9a-fA-F:.]+\]|[^\s:[\]/@]+):(\d{1,5})$/;
const address = z.string().refine((text) => isPort(ADDRESS.exec(text)?.[1]), {
  error: mistake('wrong-value', 'must be host:port, e.g. drain.infra:8080 or [::1]:8080'),
});

function isPort(text: string | undefined): boolean {
  return text !== undefined && Number(text) >= 1 && Number(text) <= 65_535;
}

const tlsFiles = z
  .strictObject({
    ca: file.optional(),
    cert: file.optional(),
    key: file.optional(),
    serverName: line.optional(),
  })
  .transform(
    unless(({ cert, key }): readonly Complaint[] => {
      if ((cert === undefined) === (key === undefined)) return [];
      return [
        { path: [], message: mistake('missing-key', 'must have both of the keys cert and key, or none') },
      ];
    }),
  );

const tls = z
  .union([z.literal(true), tlsFiles], {
    error: ({ input }) =>
      typeof input === 'object' && input !== null && !Array.isArray(input)
        ? undefined
        : mistake('wrong-type', 'must be true, or a map of ca, cert, key and serverName'),
  })
  .transform((given): PluginSetting['tls'] => {
    const { ca = null, cert = null, key = null, serverName = null } = given === true ? {} : given;
    return { ca, cert, key, serverName };
  });

const entry = z
  .strictObject({
    name: line,
    address,
    protocol: z.enum(['v1', 'v2']).default('v2'),
    tls: tls.optional(),
    timeout: duration(1000).optional(),
    tokenFile: file.optional(),
  })
  .transform(
    ({ timeout, ...given }): PluginSetting => ({
      ...{ name: given.name, address: given.address, protocol: given.protocol, tls: given.tls ?? null },
      ...{ timeoutMs: timeout ?? TIMEOUT_MS, tokenFile: given.tokenFile ?? null },
    }),
  );

/** In a map, so that what is said of an entry begins with the name of the setting. */
const schema = z.object({
  plugins: z
    .array(entry)
    .max(MOST_PLUGINS, { error: mistake('out-of-range', `must have at most ${MOST_PLUGINS} entries`) })
    .transform(unless(namedTwice)),
});

function namedTwice(given: readonly PluginSetting[]): readonly Complaint[] {
  return given.flatMap(({ name }, index) => {
    const first = given.findIndex((other) => other.name === name);
    if (first === index) return [];
    const message = mistake('duplicate-name', `is the name of plugins[${first}] already; rename one`);
    return [{ path: [index, 'name'], message }];
  });
}

/** A list of maps; as one text, and in each text of a list, JSON of such a list or of one map. */
export const plugins: SettingType<readonly PluginSetting[]> = {
  expected: 'a list of maps with name and address, such as [{"name":"drain","address":"drain.infra:8080"}]',
  parse(raw) {
    const checked = check(raw);
    return checked?.kind === 'ok' ? { value: checked.value.plugins } : null;
  },
  mistakes(raw): readonly Mistake[] {
    const checked = check(raw);
    return checked?.kind === 'wrong' ? checked.mistakes : [];
  },
  show: (value) => value.map(shown),
};

/** Null when it is no list, or a text of it no JSON. */
function check(raw: unknown): ReturnType<typeof checkSecretly<z.output<typeof schema>>> | null {
  const list = listOf(raw);
  return list === null ? null : checkSecretly(schema, { plugins: list });
}

function listOf(raw: unknown): readonly unknown[] | null {
  if (typeof raw !== 'string' && !Array.isArray(raw)) return null;
  const items: readonly unknown[] = Array.isArray(raw) ? raw : [raw];
  try {
    return items.flatMap((item): unknown => (typeof item === 'string' ? JSON.parse(item) : [item]));
  } catch {
    return null;
  }
}

function shown({ name, address: to, protocol, timeoutMs, tls: secured, tokenFile }: PluginSetting): string {
  const words = [name, to, protocol, formatDuration(timeoutMs)];
  const locks = [secured === null ? [] : ['tls'], tokenFile === null ? [] : ['token']].flat();
  return [...words, ...locks].join(' ');
}
