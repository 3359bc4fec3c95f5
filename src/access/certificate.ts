import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { CertificateCredential } from './credentials.ts';
import type { PeerCertificate } from './gate.ts';

const known = new WeakMap<TLSSocket, PeerCertificate | null>();

/** The names in the client's certificate; null unless the TLS layer has verified it. Read once a connection. */
export function peerCertificateOf(socket: TLSSocket): PeerCertificate | null {
  const before = known.get(socket);
  if (before !== undefined) return before;
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  const peer = certificate === undefined ? null : namesOf(certificate);
  known.set(socket, peer);
  return peer;
}

/** Whether a verified certificate is the one meant. Names are compared as they are: no wildcards, no patterns, capitals count. */
export function matches(
  match: CertificateCredential['match'],
  { subject, commonName, dns, uris }: PeerCertificate,
): boolean {
  switch (match.kind) {
    case 'subject':
      return subject === match.subject;
    case 'commonName':
      return commonName === match.value;
    case 'dns':
      return dns.includes(match.value);
    case 'uri':
      return uris.includes(match.value);
  }
}

function namesOf(certificate: X509Certificate): PeerCertificate {
  const names = alternativeNames(certificate.subjectAltName ?? '');
  return {
    // One line for each part, in which commas and line ends are escaped (RFC 2253): no value can pretend to be several parts.
    subject: certificate.subject.replaceAll('\n', ','),
    commonName: commonNameOf(certificate),
    dns: names.filter(({ kind }) => kind === 'DNS').map(({ value }) => value),
    uris: names.filter(({ kind }) => kind === 'URI').map(({ value }) => value),
    notAfter: certificate.validToDate.getTime(),
  };
}

/** Null where there are several: which one counts would be anybody's guess. */
function commonNameOf(certificate: X509Certificate): string | null {
  const subject: Partial<Record<string, string | string[]>> = { ...certificate.toLegacyObject().subject };
  const name = subject['CN'];
  return typeof name === 'string' ? name : null;
}

/** One `KIND:value`; a value with a comma, a quote or another sign that could mislead is written as a JSON text (CVE-2021-44532). */
const NAME = /([^:,"]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/** The names in the text that Node makes of the extension. None at all if a part of it cannot be read. @internal */
export function alternativeNames(text: string): readonly { kind: string; value: string }[] {
  const names: { kind: string; value: string }[] = [];
  for (NAME.lastIndex = 0; NAME.lastIndex < text.length; ) {
    const [, kind, value] = NAME.exec(text) ?? [];
    const plain = value === undefined ? null : unquoted(value);
    if (kind === undefined || plain === null) return [];
    names.push({ kind, value: plain });
  }
  return names;
}

function unquoted(value: string): string | null {
  if (!value.startsWith('"')) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    return null;
  }
}
