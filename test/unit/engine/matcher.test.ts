import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compileGlob, compileRegex, isGlob, type Parsed, parseMatcher } from '../../../src/engine/matcher.ts';

function value<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.value;
}

const HOLDS: readonly [rule: string, matcher: string, labels: Record<string, string>, holds: boolean][] = [
  ['= wants the very value', 'env="prod"', { env: 'prod' }, true],
  ['= refuses another one', 'env="prod"', { env: 'production' }, false],
  ['an absent label is the empty string for =', 'env=""', {}, true],
  ['an absent label is not some value', 'env="prod"', {}, false],
  ['an absent label is different from a value', 'env!="prod"', {}, true],
  ['!= "" asks for presence', 'env!=""', {}, false],
  ['=~ is anchored at both ends', 'env=~"prod"', { env: 'my-prod-1' }, false],
  ['=~ anchors every branch of an alternative', 'env=~"a|b"', { env: 'ab' }, false],
  ['=~ matches a whole value', 'env=~"prod-.*"', { env: 'prod-1' }, true],
  ['=~ that takes the empty string takes an absent label', 'env=~".*"', {}, true],
  ['!~ is the opposite of =~', 'env!~"prod-.*"', { env: 'prod-1' }, false],
  ['!~ takes an absent label', 'env!~"prod-.+"', {}, true],
  ['quotes may be left out', 'env=prod', { env: 'prod' }, true],
  ['space around the parts does not count', '  env =~ "p.*"  ', { env: 'prod' }, true],
  ['space inside quotes counts', 'env=" prod "', { env: 'prod' }, false],
  ['escaped quotes belong to the value', String.raw`env="a\"b"`, { env: 'a"b' }, true],
  ['escaped backslashes belong to the value', String.raw`env="a\\b"`, { env: String.raw`a\b` }, true],
  [String.raw`\n is a line break`, String.raw`env="a\nb"`, { env: 'a\nb' }, true],
  [
    'any other backslash is itself, as regular expressions need it',
    String.raw`env=~"\d+"`,
    { env: '42' },
    true,
  ],
  ['a quoted label may have any characters', '"my.label/x"="1"', { 'my.label/x': '1' }, true],
  ['a comma belongs to an unquoted value', 'env=a,b', { env: 'a,b' }, true],
  ['a prototype property is not a label', 'toString=""', {}, true],
  ['constructor is an ordinary label name', 'constructor="x"', { constructor: 'x' }, true],
];

const MESSAGES: readonly [text: string, message: string][] = [
  ['env=="x"', 'the matcher for label "env" cannot be used: it has an = too many'],
  ['env="x', 'the matcher for label "env" cannot be used: "x has an unescaped or a missing double quote'],
];

describe('parseMatcher', () => {
  for (const [rule, text, labels, expected] of HOLDS) {
    it(rule, () => assert.equal(value(parseMatcher(text)).holds(labels), expected));
  }

  for (const text of [
    '',
    'env',
    '="x"',
    'env=="x"junk"',
    'env="x',
    'env=x"',
    'a="b",c="d"',
    '{a="b"}',
    '1a="b"',
    '""="x"',
    'env=~"("',
    'env=~"a(?=b)"',
    String.raw`env=~"(a)\1"`,
  ]) {
    it(`should refuse ${text === '' ? 'an empty text' : text} with a message`, () => {
      const parsed = parseMatcher(text);
      assert.ok(!parsed.ok && parsed.message.length > 0);
    });
  }

  for (const [text, message] of MESSAGES) {
    it(`should say what is wrong with ${text}`, () => {
      assert.deepEqual(parseMatcher(text), { ok: false, message });
    });
  }

  it('should decide = and != against each other for any value', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (written, actual) => {
        const quoted = `"${written.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`;
        const labels = { l: actual };
        assert.equal(value(parseMatcher(`l=${quoted}`)).holds(labels), written === actual);
        assert.equal(value(parseMatcher(`l!=${quoted}`)).holds(labels), written !== actual);
      }),
    );
  });
});

const GLOBS: readonly [glob: string, text: string, fits: boolean][] = [
  ['prod-*', 'prod-web', true],
  ['prod-*', 'prod-', true],
  ['prod-*', 'my-prod-web', false],
  ['*', '', true],
  ['*', 'a\nb', true],
  ['m?.large', 'm5.large', true],
  ['m?.large', 'm55large', false],
  ['m?.large', 'm.large', false],
  ['*.metal', 'c5Xmetal', false],
  ['a+b(c)[d]{e}^$|\\', 'a+b(c)[d]{e}^$|\\', true],
  ['a[bc]', 'ab', false],
  ['🌳?', '🌳🌳', true],
];

describe('compileGlob', () => {
  for (const [glob, text, fits] of GLOBS) {
    it(`${glob} ${fits ? 'fits' : 'does not fit'} ${JSON.stringify(text)}`, () =>
      assert.equal(value(compileGlob(glob))(text), fits));
  }

  it('should take any text as itself when it has no wildcard', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (text, other) => {
        fc.pre(!isGlob(text));
        assert.equal(value(compileGlob(text))(text), true);
        assert.equal(value(compileGlob(text))(other), text === other);
      }),
    );
  });
});

describe('compileRegex', () => {
  it('should take time linear in the text for a pattern that explodes elsewhere', () => {
    assert.equal(value(compileRegex('(a+)+$'))(`${'a'.repeat(50_000)}b`), false);
  });

  it('should refuse a pattern that would compile to more than the memory holds', () => {
    assert.equal(compileRegex('((a{100}){100}){100}').ok, false);
  });
});

const PATTERNS: readonly [rule: string, pattern: string, ok: boolean][] = [
  [
    'a list of a hundred names is no large pattern',
    Array.from({ length: 100 }, (_, n) => `host-${n * 7919}`).join('|'),
    true,
  ],
  ['nor is a UUID', '[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}', true],
  ['nor a name of at most 255 characters', '[a-z][a-z0-9-]{0,254}', true],
  ['a count of 1000 is just small enough', '[a-z]{1000}', true],
  ['two are not, where each character costs a step for each', '(?:a?){1000}', false],
  ['counts within counts multiply', '(?:(?:[a-z]{10}){10}){30}', false],
  ['counts after each other add up', 'a{1000}'.repeat(100), false],
  ['and so do letters', 'ab?'.repeat(10_000), false],
];

describe('the size of a pattern', () => {
  for (const [rule, pattern, ok] of PATTERNS) {
    it(rule, () => assert.equal(compileRegex(pattern).ok, ok));
  }

  it('should not repeat a long pattern in its message', () => {
    const compiled = compileRegex('('.repeat(10_000));
    assert.ok(!compiled.ok && compiled.message.length < 300);
  });
});
