import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load, type MessageTypeDefinition } from '@grpc/proto-loader';
import { loadDefinitions } from '../../../src/grpc/definitions.ts';

interface Message {
  readonly name: string;
  readonly field: readonly { readonly name: string; readonly typeName?: string }[];
  readonly nestedType?: readonly Message[];
}

test('descriptors name the entries of maps as protoc does, which libraries of other languages insist on', async () => {
  const { 'google.protobuf.FileDescriptorProto': file } = await load('google/protobuf/descriptor.proto');
  const { deserialize } = file as MessageTypeDefinition<object, { readonly messageType: readonly Message[] }>;
  const event = (await loadDefinitions())['proto.CloudEvent'] as MessageTypeDefinition<object, object>;
  const messages = event.fileDescriptorProtos.flatMap((bytes) => deserialize(bytes).messageType);
  const message = messages.find(({ name }) => name === 'CloudEvent');
  const extensions = message?.field.find(({ name }) => name === 'extensions');
  assert.equal(extensions?.typeName, 'ExtensionsEntry');
  assert.deepEqual(
    message?.nestedType?.map(({ name }) => name),
    ['ExtensionsEntry'],
  );
  // A field of no message names no type, not even an empty one.
  const type = message.field.find(({ name }) => name === 'type');
  assert.ok(type !== undefined && !('typeName' in type));
});
