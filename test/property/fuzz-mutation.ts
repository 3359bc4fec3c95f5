import type { Random } from '../../src/base/random.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** Draws from a source of chance. */
export class Draw {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Whether something that happens with this chance happens. */
  chance(of: number): boolean {
    return this.#random.next() < of;
  }

  /** 0 to `below` - 1. */
  number(below: number): number {
    return Math.floor(this.#random.next() * below);
  }

  one<T>(of: readonly [T, ...T[]]): T {
    return of[this.number(of.length)] ?? of[0];
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.number(256)));
  }
}

/** Stands for a piece of text that JSON.stringify would not write; see `textOf`. */
const RAW = '\u0001raw:';

/** What has broken readers of JSON before. */
const NASTY: readonly [Json, ...Json[]] = [
  ...([null, true, false, 0, -0, -1, 1.5, 2 ** 53 + 2, -1e308, '', ' ', [], {}] as const),
  ...[
    [[]],
    [{}],
    { '': {} },
    'null',
    'undefined',
    'NaN',
    '0001-01-01T00:00:00Z',
    '9999-12-31T23:59:60+14:00',
  ],
  ...['\ud800', 'a\udfff', '\0', 'a\0b', '\ufeff', '\u202e', '../../etc/passwd', '%s%n', "' OR 1=1 --"],
  ...['firing', 'resolved', '__proto__', 'constructor', 'prototype', 'toString', 'alertname', 'instance_id'],
  ...[
    `${RAW}1e400`,
    `${RAW}-1e-400`,
    `${RAW}${'9'.repeat(400)}`,
    `${RAW}00`,
    `${RAW}NaN`,
    `${RAW}'a'`,
    `${RAW},`,
  ],
];

const NAMES = [
  ...[
    '__proto__',
    'constructor',
    'prototype',
    'hasOwnProperty',
    'toJSON',
    'then',
    '',
    ' ',
    '0',
    'length',
    '\ud800',
  ],
  ...[
    'labels',
    'alerts',
    'data',
    'data_base64',
    'type',
    'id',
    'source',
    'status',
    'specversion',
    'extensions',
  ],
] as const;

/** Around bounds. The large ones are the fewer, for the time that they take. */
const TEXTS = [
  'x'.repeat(255),
  'x'.repeat(256),
  'x'.repeat(257),
  'x'.repeat(65_535),
  'x'.repeat(65_537),
] as const;
const NESTS = [`${RAW}[[[`, `${RAW}${'['.repeat(70)}`, `${RAW}${'['.repeat(5000)}`] as const;
const LISTS = [nulls(300), nulls(300), nulls(10_001)] as const;

function nulls(length: number): readonly null[] {
  return Array.from({ length }, () => null);
}

/** Changes a value here and there, to any depth; `about` is the share of places that change. */
export function mutated(draw: Draw, value: Json, about: number): Json {
  if (draw.chance(about)) return changed(draw, value);
  if (Array.isArray(value)) return mutatedList(draw, value as readonly Json[], about);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value as Record<string, Json>);
  // fromEntries, as an assignment to __proto__ would be lost.
  return Object.fromEntries(mutatedEntries(draw, entries, about));
}

function mutatedList(draw: Draw, list: readonly Json[], about: number): Json {
  const kept = list.filter(() => !draw.chance(about)).map((one) => mutated(draw, one, about));
  return draw.chance(about) ? [...kept, ...list, draw.one(NASTY)] : kept;
}

function mutatedEntries(draw: Draw, entries: readonly [string, Json][], about: number): [string, Json][] {
  const kept = entries
    .filter(() => !draw.chance(about))
    .map(([name, value]): [string, Json] => [
      draw.chance(about / 4) ? draw.one(NAMES) : name,
      mutated(draw, value, about),
    ]);
  if (draw.chance(about)) kept.push([draw.one(NAMES), draw.one(NASTY)]);
  return kept;
}

function changed(draw: Draw, value: Json): Json {
  switch (draw.number(8)) {
    case 0:
      return [value];
    case 1:
      return { [draw.one(NAMES)]: value };
    case 2:
      return String(value);
    case 3:
      return draw.one(TEXTS);
    case 4:
      return draw.one(NESTS);
    case 5:
      return draw.one(LISTS);
    default:
      return draw.one(NASTY);
  }
}

/** The value as JSON, which is broken where a piece of it is. */
export function textOf(value: Json): string {
  return JSON.stringify(value).replace(/"\\u0001raw:((?:[^"\\]|\\.)*)"/g, '$1');
}

/** Changes the text itself: cut off, doubled, a key twice, another encoding. */
export function garbled(draw: Draw, text: string): Buffer {
  switch (draw.number(8)) {
    case 0:
      return Buffer.from(text.slice(0, draw.number(text.length)));
    case 1:
      return Buffer.from(`\ufeff${text}`);
    case 2:
      return Buffer.from(text, 'utf16le');
    case 3:
      return Buffer.from(`${text}${text}`);
    case 4:
      return Buffer.from(text.replace('{', '{"labels":1,"labels":{"a":"b"},"__proto__":{"x":1},'));
    case 5:
      return Buffer.from(text.replaceAll('"', draw.one(["'", '', '""', '"\0'])));
    default:
      return bitten(draw, Buffer.from(text));
  }
}

/** Changes single bytes: another, none, one more, a piece from elsewhere. */
export function bitten(draw: Draw, bytes: Buffer): Buffer {
  let bitten = Buffer.from(bytes);
  for (let bites = 1 + draw.number(8); bites > 0; bites--) {
    const at = draw.number(bitten.length + 1);
    const piece = Buffer.concat([draw.bytes(draw.number(4)), bitten.subarray(0, draw.number(9))]);
    bitten = Buffer.concat([
      bitten.subarray(0, at),
      draw.chance(0.5) ? draw.bytes(1) : piece,
      bitten.subarray(at + draw.number(4)),
    ]);
  }
  return bitten;
}
