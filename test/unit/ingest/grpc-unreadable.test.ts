import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EVENT_HANDLER, loadDefinitions, serviceOf } from '../../../src/grpc/definitions.ts';
import { withUnreadable } from '../../../src/ingest/grpc-unreadable.ts';
import { Refusal } from '../../../src/ingest/reading.ts';

test('bytes that are no message are given to the handler as a refusal, and messages as they are', async () => {
  const service = serviceOf(await loadDefinitions(), EVENT_HANDLER);
  const { Handle } = withUnreadable(service);
  const read = (hex: string): unknown => Handle?.requestDeserialize(Buffer.from(hex, 'hex'));
  for (const hex of ['ff', '0aff', '7f']) assert.ok(read(hex) instanceof Refusal, hex);
  assert.deepEqual(read('120162'), service['Handle']?.requestDeserialize(Buffer.from('120162', 'hex')));
});
