import { createHash, timingSafeEqual } from 'node:crypto';
import {
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
  status,
} from '@grpc/grpc-js';
import { HEALTH } from '../grpc/definitions.ts';

/** Lets in whoever shows one of some bearer tokens. */
export interface TokenLock {
  /** Stands before every call but those of the health service: probes have no credentials. */
  readonly interceptor: ServerInterceptor;
  /** From the next call on these tokens are good, and no others. */
  replace(tokens: readonly string[]): void;
}

const DENIED = { code: status.UNAUTHENTICATED, details: 'needs a bearer token that is accepted here' };
const BEARER = /^Bearer +(\S+) *$/i;

/** Hashes are compared, of the same length whatever is shown, and all of them: the time tells nothing of a token. */
export function createTokenLock(): TokenLock {
  let digests: readonly Buffer[] = [];
  const isGood = (authorization: unknown): boolean => {
    const [, token] = typeof authorization === 'string' ? (BEARER.exec(authorization) ?? []) : [];
    if (token === undefined) return false;
    const shown = digestOf(token);
    return digests.filter((digest) => timingSafeEqual(digest, shown)).length > 0;
  };
  return {
    interceptor(method, call) {
      if (method.path.startsWith(`/${HEALTH}/`)) return new ServerInterceptingCall(call);
      const listener = new ServerListenerBuilder().withOnReceiveMetadata((metadata, pass) => {
        if (isGood(metadata.get('authorization')[0])) pass(metadata);
        else call.sendStatus(DENIED);
      });
      const responder = new ResponderBuilder().withStart((start) => start(listener.build()));
      return new ServerInterceptingCall(call, responder.build());
    },
    replace(tokens) {
      digests = tokens.map(digestOf);
    },
  };
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
