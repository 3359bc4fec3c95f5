import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseJson } from '../../../src/ingest/bounded-json.ts';
import { Refusal } from '../../../src/ingest/reading.ts';

function read(text: string): unknown {
  return parseJson('body', Buffer.from(text));
}

/** JSON of so many levels. */
function nested(levels: number, open = '[', close = ']'): string {
  return open.repeat(levels) + close.repeat(levels);
}

describe('parseJson', () => {
  const taken: readonly [rule: string, text: string][] = [
    ['lists in each other up to 32 levels', nested(32)],
    ['objects in each other up to 32 levels', `${'{"a":'.repeat(32)}1${'}'.repeat(32)}`],
    ['any number of lists beside each other', `[${'[],'.repeat(1000)}[]]`],
    ['brackets in a string, which are no levels', JSON.stringify('['.repeat(1000))],
    ['brackets in a key', JSON.stringify({ ['{'.repeat(1000)]: 1 })],
    ['brackets behind an escaped quote', JSON.stringify(`"${'['.repeat(1000)}`)],
    ['brackets in a string that ends in a backslash', `[${JSON.stringify('[\\')},${nested(31)}]`],
    ['text beyond ASCII', JSON.stringify({ ä: '\u{1f600}ſ［{' })],
  ];
  for (const [rule, text] of taken) it(`takes ${rule}`, () => assert.deepEqual(read(text), JSON.parse(text)));

  const refused: readonly [rule: string, text: string, error: RegExp][] = [
    ['lists of 33 levels', nested(33), /nested deeper than 32 levels/],
    ['objects of 33 levels', `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`, /nested deeper/],
    ['lists and objects by turns', `${'[{"a":'.repeat(17)}1${'}]'.repeat(17)}`, /nested deeper/],
    ['a million open brackets', '['.repeat(1_048_576), /nested deeper/],
    ['depth behind a string with an escaped quote', `["\\"",${nested(32)}]`, /nested deeper/],
    ['depth behind a string that ends in an escaped backslash', `["\\\\",${nested(32)}]`, /nested deeper/],
    ['a string without end', '"abc', /not JSON/],
    ['a string that ends in a backslash', '"abc\\', /not JSON/],
    ['more closed than opened', ']]]]', /not JSON/],
    ['nothing', '', /not JSON/],
  ];
  for (const [rule, text, error] of refused)
    it(`refuses ${rule} as malformed`, () => {
      const refusal = read(text);
      assert.ok(refusal instanceof Refusal);
      assert.equal(refusal.reason, 'malformed');
      assert.match(refusal.error, error);
    });

  it('reads what JSON.parse reads, down to its depth', () => {
    const value = fc.oneof(fc.jsonValue({ maxDepth: 40 }), fc.jsonValue());
    fc.assert(
      fc.property(value, (json) => {
        const text = JSON.stringify(json);
        const answer = read(text);
        if (depthOf(json) <= 32) assert.deepEqual(answer, JSON.parse(text));
        else assert.ok(answer instanceof Refusal);
      }),
    );
  });

  it('never fails, whatever the bytes', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void parseJson('body', Buffer.from(bytes))));
  });
});

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}
