import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Labels } from '../../../src/engine/event.ts';
import { fingerprint } from '../../../src/engine/fingerprint.ts';

// Reference values from Python, which has integers of any size:
//   h = 14695981039346656037
//   for k in sorted(labels, key=str.encode):
//     for b in k.encode() + b'\xff' + labels[k].encode() + b'\xff': h = ((h ^ b) * 1099511628211) % 2**64
//   print('%016x' % h)
const KNOWN: readonly [rule: string, labels: Labels, expected: string][] = [
  ['no labels give the offset basis', {}, 'cbf29ce484222325'],
  ['one label', { alertname: 'SpotTerminationNotice' }, '257522b72fa6bbd8'],
  [
    'names are taken in order, whatever the order they came in',
    { region: 'eu-west-1', instance_id: 'i-0123456789abcdef0', alertname: 'SpotTerminationNotice' },
    '7f4ef27cf78e41a3',
  ],
  ['text is hashed as UTF-8', { stadt: 'Zürich', emoji: 'a🌳b', alertname: 'Überlast' }, 'e0b4da1dac637888'],
  [
    'names are ordered by their bytes, not by UTF-16 units',
    { '\u{1F333}': 'tree', '\uff5e': 'wave', a: 'b' },
    'b70f5bf300ac0a6b',
  ],
  ['a name does not run into its value', { a: 'bc', d: 'e' }, '788565e6c817a892'],
  ['nor a value into the next name', { a: 'b', cd: 'e' }, 'ae4a87f1b6442cd2'],
];

describe('fingerprint', () => {
  for (const [rule, labels, expected] of KNOWN) {
    it(rule, () => assert.equal(fingerprint(labels), expected));
  }

  it('should agree with the definition in big integers for any labels', () => {
    const labels = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), {
      noNullPrototype: true,
    });
    fc.assert(fc.property(labels, (given) => assert.equal(fingerprint(given), byDefinition(given))));
  });
});

function byDefinition(labels: Labels): string {
  let hash = 14_695_981_039_346_656_037n;
  const names = Object.keys(labels).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const name of names) {
    const end = Buffer.from([0xff]);
    for (const byte of Buffer.concat([Buffer.from(name), end, Buffer.from(labels[name] ?? ''), end]))
      hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 1_099_511_628_211n);
  }
  return hash.toString(16).padStart(16, '0');
}
