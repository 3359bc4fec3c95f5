import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { Refusal } from './reading.ts';

const UNREADABLE = new Refusal('malformed', 'the bytes are no message of this call');

/**
 * The service with a Refusal in the place of a message whose bytes cannot be read, for its handlers to answer. The library
 * itself answers INTERNAL, which is kept for defects of ours, and nobody would count it.
 */
export function withUnreadable(service: ServiceDefinition): ServiceDefinition {
  const methods = Object.entries(service).map(([name, method]) => [name, tolerant(method)] as const);
  return Object.fromEntries(methods);
}

function tolerant(method: MethodDefinition<unknown, unknown>): MethodDefinition<unknown, unknown> {
  return {
    ...method,
    requestDeserialize(bytes) {
      try {
        return method.requestDeserialize(bytes);
      } catch {
        return UNREADABLE;
      }
    },
  };
}
