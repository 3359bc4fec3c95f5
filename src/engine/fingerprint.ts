import type { Labels } from './event.ts';

/** The two 32-bit halves of a 64-bit hash. */
interface Hash {
  high: number;
  low: number;
}

/** Ends a name or a value. The byte occurs in no UTF-8 text, so different label sets never feed the same bytes. */
const SEPARATOR = 0xff;
/** Low part of FNV's 64-bit prime, 2^40 + 435. */
const PRIME_LOW = 435;
/** Has only characters that UTF-8 writes as one byte. */
const ASCII = /^[\0-\x7f]*$/;

/**
 * The fingerprint that Prometheus and Alertmanager give a label set, as 16 hex digits: FNV-1a 64 over the names in
 * order of their bytes, each followed by its value (prometheus/common, model/signature.go).
 */
export function fingerprint(labels: Labels): string {
  // FNV's offset basis, 14695981039346656037.
  const hash: Hash = { high: 0xcbf29ce4, low: 0x84222325 };
  for (const name of sortedNames(labels)) {
    mixText(hash, name);
    mixText(hash, labels[name] ?? '');
  }
  return hex(hash.high) + hex(hash.low);
}

/** Go compares bytes, JavaScript UTF-16 units; they disagree only beyond ASCII. */
function sortedNames(labels: Labels): string[] {
  const names = Object.keys(labels);
  if (names.every((name) => ASCII.test(name))) return names.sort();
  return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function mixText(hash: Hash, text: string): void {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) {
      for (const byte of Buffer.from(text.slice(i))) mixByte(hash, byte);
      break;
    }
    mixByte(hash, code);
  }
  mixByte(hash, SEPARATOR);
}

/**
 * One step: xor, then times the prime, modulo 2^64. In parts of 16 bits, since every product then fits into 32 bits:
 * ten times as fast as BigInt. The prime's 2^40 adds the low half, shifted by 8, to the high one.
 */
function mixByte(hash: Hash, byte: number): void {
  const low = hash.low ^ byte;
  const first = (low & 0xffff) * PRIME_LOW;
  const second = (low >>> 16) * PRIME_LOW + (first >>> 16);
  hash.low = ((second & 0xffff) << 16) | (first & 0xffff);
  hash.high = (Math.imul(hash.high, PRIME_LOW) + (second >>> 16) + (low << 8)) | 0;
}

function hex(half: number): string {
  return (half >>> 0).toString(16).padStart(8, '0');
}
