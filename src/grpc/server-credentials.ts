import { createSecureContext } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import { asFailure, Failure } from '../base/failure.ts';
import { holdsCertificate } from './pem.ts';

/** What a server shows of itself, and whose client certificates it asks for. PEM texts. */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  /** Every connection must show a certificate of these authorities; null: clients are not asked for any. */
  readonly clientCa: string | null;
}

/**
 * TLS whose certificate can be replaced while the server runs: what is connected stays so, and what comes gets the new one. The
 * library's own provider refuses every connection while certificate and key do not belong together, as happens
 * between two writes; here such a pair is never let in.
 */
export class RotatingCredentials extends ServerCredentials {
  /** Fails with `invalid_request` when a text holds nothing of use, or certificate and key do not belong together. */
  constructor(tls: ServerTls) {
    const asks = tls.clientCa !== null;
    super({ requestCert: asks, rejectUnauthorized: asks }, checked(tls));
  }

  /** Fails as the constructor does; then all stays as it was. */
  replace(tls: ServerTls): void {
    this.updateSecureContextOptions(checked(tls));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function checked({ cert, key, clientCa }: ServerTls): { cert: string; key: string; ca?: string } {
  if (clientCa !== null && !holdsCertificate(clientCa))
    throw new Failure('invalid_request', 'reject', 'the client authorities hold no certificate');
  const options = { cert, key, ...(clientCa === null ? {} : { ca: clientCa }) };
  try {
    createSecureContext(options);
    return options;
  } catch (thrown) {
    throw unusable(thrown);
  }
}

function unusable(thrown: unknown): Failure {
  const message = `certificate and key cannot be used: ${asFailure(thrown).message}`;
  return new Failure('invalid_request', 'reject', message, thrown);
}
