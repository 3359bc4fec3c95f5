/** A file that nobody may write, and what must be said of it. */
export interface Hostile {
  readonly name: string;
  readonly content: () => string | Uint8Array;
  /** Code of the first problem that is told. */
  readonly code: string;
}

const MIB = 1_048_576;
/** Of a text that is just short enough to be read. */
const LONG = 60_000;

/** As many of the unit as a size holds. */
function fill(unit: string, size = MIB): string {
  return unit.repeat(Math.floor((size - 100) / unit.length));
}

function numbered(unit: (n: number) => string, size = MIB): string {
  const units: string[] = [];
  for (let n = 0, left = size; left > 0; n++) {
    const one = unit(n);
    left -= one.length;
    units.push(one);
  }
  return units.join('');
}

function rule(more: string, name = 'r'): string {
  return `- { name: ${name}, on: { alert: X }, cooldown: { for: 1h }, then: [{ swap: {} }], ${more} }\n`;
}

function matching(pattern: string): string {
  return `rules:\n- { name: r, on: { alert: X, matchers: ['a=~"${pattern}"'] }, cooldown: { for: 1h }, then: [{ swap: {} }] }\n`;
}

function comparing(comparison: string): string {
  return `rules:\n${rule(`when: { fact: event.labels.env, operator: equal, value: x, ${comparison} }`)}`;
}

const LEVELS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'];

function billionLaughs(): string {
  const lines = LEVELS.map((level, index) => {
    const items = index === 0 ? fill('x, ', 120) : fill(`*${LEVELS[index - 1] ?? ''}, `, 140);
    return `  ${level}: &${level} [${items}]\n`;
  });
  return `rules: []\nconditions:\n${lines.join('')}`;
}

export const HOSTILE: readonly Hostile[] = [
  { name: 'alias bomb: a billion laughs', content: billionLaughs, code: 'too-large' },
  {
    name: 'alias bomb: one long list, many times',
    content: () => `a: &a [${fill('x,', 10_000)}]\nrules: [${fill('*a,', 10_000)}]`,
    code: 'too-large',
  },
  {
    name: 'alias bomb: nothing but aliases',
    content: () => `a: &a [x]\nrules: [${fill('*a,')}]`,
    code: 'too-many-problems',
  },
  { name: 'an alias of what it stands in', content: () => 'rules: &a [*a]', code: 'bad-alias' },
  { name: '50 MB', content: () => fill('# filler\n', 50 * MIB), code: 'too-large' },
  { name: '50 MB of one text', content: () => `rules: ${fill('a', 50 * MIB)}`, code: 'too-large' },
  { name: 'a megabyte of brackets', content: () => '['.repeat(MIB), code: 'too-deep' },
  { name: 'a megabyte of braces', content: () => fill('{a: '), code: 'too-deep' },
  { name: 'a megabyte of dashes', content: () => fill('- '), code: 'too-deep' },
  { name: 'a megabyte of question marks', content: () => fill('? '), code: 'too-deep' },
  {
    name: 'blocks nested a thousand deep',
    content: () => Array.from({ length: 1000 }, (_, level) => `${' '.repeat(level)}a:\n`).join(''),
    code: 'too-deep',
  },
  {
    name: 'conditions nested as deep as YAML may be',
    content: () => `rules:\n${rule(`when: ${'{ not: '.repeat(70)}x${' }'.repeat(70)}`)}`,
    code: 'too-deep',
  },
  { name: 'a megabyte of comments', content: () => fill('#\n'), code: 'too-large' },
  { name: 'a megabyte of empty lines', content: () => fill('\n'), code: 'too-large' },
  { name: 'a megabyte of list items', content: () => `rules:\n${fill('- a\n')}`, code: 'wrong-type' },
  {
    name: 'a hundred thousand empty rules',
    content: () => `rules: [${'{}, '.repeat(100_000)}]`,
    code: 'missing-key',
  },
  {
    name: 'a hundred thousand rules with mistakes',
    content: () => `rules:\n${numbered((n) => `- {name: R${n}}\n`, 2 * MIB)}`,
    code: 'bad-name',
  },
  {
    name: 'a hundred thousand rules with unknown actions',
    content: () =>
      `rules:\n${numbered((n) => `- {name: r${n}, on: {alert: X}, then: [{swp: {}}]}\n`, 4 * MIB - 100)}`,
    code: 'unknown-key',
  },
  {
    name: 'one rule with very many triggers',
    content: () => `rules:\n- {name: r, on: [${fill('{alrt: X},')}]}`,
    code: 'too-large',
  },
  {
    name: 'one rule with many wrong triggers',
    content: () => `rules:\n- {name: r, on: [${fill('{alrt: X},', 5000)}]}`,
    code: 'unknown-key',
  },
  {
    name: 'one rule with many wrong conditions',
    content: () => `rules:\n${rule(`when: { all: [${fill('{fakt: 1},', 5000)}] }`)}`,
    code: 'missing-key',
  },
  {
    name: 'one rule with more conditions than anyone reads',
    content: () => `rules:\n${rule(`when: { all: [${fill('{fakt: 1},', 20_000)}] }`)}`,
    code: 'too-large',
  },
  {
    name: 'one rule with many unknown facts',
    content: () =>
      `rules:\n${rule(`when: { all: [${fill('{fact: groop.desired, operator: equal, value: 1},', 20_000)}] }`)}`,
    code: 'unknown-fact',
  },
  { name: 'a megabyte of keys', content: () => numbered((n) => `k${n}: 1\n`), code: 'too-large' },
  {
    name: 'a megabyte of the same key',
    content: () => `rules: []\n${fill('a: 1\n')}`,
    code: 'duplicate-key',
  },
  {
    name: 'a megabyte of anchors',
    content: () => `rules:\n${numbered((n) => `- &a${n} x\n`)}`,
    code: 'wrong-type',
  },
  { name: 'a megabyte of documents', content: () => fill('---\n'), code: 'several-documents' },
  {
    name: 'a megabyte of tags',
    content: () => `rules:\n${fill('- !!js/function x\n')}`,
    code: 'yaml-syntax',
  },
  {
    name: 'named conditions without end',
    content: () => `conditions:\n${numbered((n) => `  c${n}: { condition: c${n + 1} }\n`)}`,
    code: 'too-many-conditions',
  },
  {
    name: 'named conditions that double with each other',
    content: () =>
      `conditions:\n${numbered((n) => `  c${n}: { all: [{ condition: c${n + 1} }, { condition: c${n + 1} }] }\n`, 4000)}rules:\n${rule('when: { condition: c0 }')}`,
    code: 'unknown-condition',
  },
  { name: 'a text of a megabyte', content: () => `rules: ${fill('a')}`, code: 'too-large' },
  {
    name: 'a quoted text of a megabyte of escapes',
    content: () => `rules: "${fill('\\n')}"`,
    code: 'too-large',
  },
  { name: 'a block of text of a megabyte', content: () => `rules: |\n${fill('  a\n')}`, code: 'too-large' },
  { name: 'a number of a megabyte', content: () => `rules: [${fill('9')}]`, code: 'too-large' },
  { name: 'a key of a megabyte', content: () => `${fill('a')}: 1`, code: 'too-large' },
  { name: 'an anchor of a megabyte', content: () => `rules: *${fill('a')}`, code: 'too-large' },
  { name: 'a long text', content: () => `rules: "${fill('\\n', LONG)}"`, code: 'wrong-type' },
  { name: 'a long key', content: () => `${fill('a', LONG)}: 1`, code: 'yaml-syntax' },
  { name: 'a long anchor', content: () => `rules: *${fill('a', LONG)}`, code: 'bad-alias' },
  {
    name: 'a fact with a long name',
    content: () => `rules:\n${rule(`when: { fact: ${fill('a', LONG)}, operator: equal, value: 1 }`)}`,
    code: 'unknown-fact',
  },
  {
    name: 'a long glob',
    content: () =>
      `rules:\n- { name: r, on: { type: "${fill('*', LONG)}" }, cooldown: { for: 1h }, then: [{ swap: {} }] }`,
    code: 'out-of-range',
  },
  { name: 'a long regular expression', content: () => matching(fill('a|', LONG)), code: 'bad-matcher' },
  {
    name: 'a regular expression of parentheses',
    content: () => matching(fill('(', LONG)),
    code: 'bad-matcher',
  },
  { name: 'counts within counts', content: () => matching('((a{1000}){1000}){1000}'), code: 'bad-matcher' },
  { name: 'a count after another', content: () => matching(fill('a{1000}', LONG)), code: 'bad-matcher' },
  { name: 'stars within stars', content: () => matching(fill('(a*)*', LONG)), code: 'bad-matcher' },
  {
    name: 'a count that makes each character cost thousands of steps',
    content: () => matching('(a?){1000}'),
    code: 'bad-matcher',
  },
  { name: 'a look-ahead, which RE2 does not have', content: () => matching('(?=a)b'), code: 'bad-matcher' },
  { name: 'a back reference', content: () => matching('(a)\\\\1'), code: 'bad-matcher' },
  {
    name: 'a catastrophic expression in a condition',
    content: () =>
      `rules:\n${rule('when: { fact: event.labels.env, operator: matches, value: "((a{100}){100}){100}" }')}`,
    code: 'bad-pattern',
  },
  {
    name: 'a JSONPath with code',
    content: () => comparing('path: "$..[?(@.constructor.constructor(\'return process\')())]"'),
    code: 'unknown-key',
  },
  { name: 'a JSONPath that is harmless', content: () => comparing('path: "$.a"'), code: 'unknown-key' },
  { name: 'parameters of a fact', content: () => comparing('params: { a: 1 }'), code: 'unknown-key' },
  {
    name: 'a fact of the prototype',
    content: () => `rules:\n${rule('when: { fact: constructor, operator: exists }')}`,
    code: 'unknown-fact',
  },
  {
    name: 'an operator of the prototype',
    content: () => `rules:\n${rule('when: { fact: event.type, operator: toString, value: x }')}`,
    code: 'unknown-operator',
  },
  {
    name: 'a condition of the prototype',
    content: () => `rules:\n${rule('when: { condition: constructor }')}`,
    code: 'unknown-condition',
  },
  { name: 'a prototype as a key', content: () => 'rules: []\n__proto__: { rules: [] }\n', code: 'bad-key' },
  {
    name: 'a prototype as a key, in a map that takes any',
    content: () => 'policies:\n- { name: p, groups: { tags: { __proto__: x } } }\n',
    code: 'bad-key',
  },
  {
    name: 'a constructor as a key',
    content: () => 'rules: []\nconstructor: { prototype: { polluted: true } }\n',
    code: 'unknown-key',
  },
  { name: 'a merge key', content: () => 'a: &a { name: x }\nrules:\n- { <<: *a }\n', code: 'bad-key' },
  { name: 'a function', content: () => 'rules: !!js/function "function () {}"\n', code: 'yaml-syntax' },
  {
    name: 'an object of another language',
    content: () => 'rules: !!python/object/apply:os.system ["id"]\n',
    code: 'yaml-syntax',
  },
  { name: 'YAML 1.1', content: () => '%YAML 1.1\n---\nrules: []\n', code: 'yaml-syntax' },
  { name: 'tabs', content: () => 'rules:\n\t- name: x\n', code: 'yaml-syntax' },
  { name: 'NUL', content: () => 'rules: []\0\n', code: 'yaml-syntax' },
  { name: 'escapes of a terminal', content: () => 'rules: []\n\u001b[2J: 1\n', code: 'yaml-syntax' },
  {
    name: 'bytes that are no text',
    content: () => Uint8Array.from({ length: 1000 }, (_, n) => 255 - (n % 64)),
    code: 'unreadable',
  },
  {
    name: 'UTF-16',
    content: () => new Uint8Array(Buffer.from('\ufeffrules: []\n', 'utf16le')),
    code: 'unreadable',
  },
  {
    name: 'byte order marks without end',
    content: () => `${'\ufeff'.repeat(1000)}rules: []`,
    code: 'unknown-key',
  },
  { name: 'two keys that are the same', content: () => 'rules: []\nrules: []\n', code: 'duplicate-key' },
  { name: 'a second document', content: () => 'rules: []\n---\nrules: []\n', code: 'several-documents' },
  { name: 'a map as a key', content: () => '? { a: 1 }\n: 1\n', code: 'bad-key' },
];
