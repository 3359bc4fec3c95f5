import { join } from 'node:path';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { load, type PackageDefinition } from '@grpc/proto-loader';
import { protoPath as HEALTH_PROTO } from 'grpc-health-check';
import { withValidDescriptors } from './descriptors.ts';

/** Full names of the services that are served and called. */
export const ACTION = 'action.Action';
export const EVENT_HANDLER = 'proto.EventHandler';
export const HEALTH = 'grpc.health.v1.Health';

const PROTO = join(import.meta.dirname, '../../proto/hollowtrees');

/** Both interfaces of Hollowtrees and gRPC's own health service, as their `.proto` files define them. */
export async function loadDefinitions(): Promise<PackageDefinition> {
  const definitions = await load(['v1/action.proto', 'v2/event.proto', HEALTH_PROTO], {
    includeDirs: [PROTO],
    defaults: true,
    enums: String,
  });
  return withValidDescriptors(definitions);
}

/** The files are our own, so what they define is known. */
export function serviceOf(definitions: PackageDefinition, name: string): ServiceDefinition {
  return definitions[name] as ServiceDefinition;
}
