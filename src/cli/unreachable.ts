import { Failure } from '../base/failure.ts';
import type { ClientTls } from '../grpc/client.ts';

const UNKNOWN_AUTHORITY = 'its certificate is from an authority that is not known here; name that with --ca';
const NOT_ACCEPTED = 'it does not accept the client certificate';
const NO_TLS = 'it does not answer with TLS; if it speaks none there, say http://';

/** What Node's codes for TLS mean to people, and what they can do. */
const TLS_TROUBLES: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed; if that is right, name it with --ca',
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  CERT_SIGNATURE_FAILURE: 'its certificate was not signed by the authority of that name in --ca',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; is the clock right?',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for other names; reach it by one of them',
  EPROTO: NO_TLS,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    'it asks for a client certificate; show one with --cert and --key',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: NOT_ACCEPTED,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: NOT_ACCEPTED,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: NOT_ACCEPTED,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: NOT_ACCEPTED,
};

/** The failure for a daemon that gave no answer, in words that say what to do. */
export function unreachable({ origin, protocol }: URL, { cert }: ClientTls, thrown: unknown): Failure {
  const code = codeOf(thrown);
  const trouble = TLS_TROUBLES[code] ?? (code === 'ECONNRESET' ? RESET[resetKind(protocol, cert)] : NOBODY);
  return new Failure(
    'unavailable',
    'retry',
    `cannot reach Coppice at ${origin} (${code}): ${trouble}`,
    thrown,
  );
}

const NOBODY = 'is `coppice serve` running there? Name another address with --server or COPPICE_SERVER';

/** A daemon that wants a client certificate cuts off whoever has none; the one with TLS, whoever speaks without. */
const RESET = {
  plain: 'it cut the connection; if it speaks TLS there, say https://',
  anonymous: 'it cut the connection; if it asks for a client certificate, show one with --cert and --key',
  certificate: 'it cut the connection; it may not accept the client certificate',
} as const;

function resetKind(protocol: string, cert: string | null): keyof typeof RESET {
  if (protocol === 'http:') return 'plain';
  return cert === null ? 'anonymous' : 'certificate';
}

function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.message;
}
