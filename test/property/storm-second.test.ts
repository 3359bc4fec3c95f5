import { test } from 'node:test';
import { search } from './storm.ts';

test('laws 2, 3 and 4 hold through as many storms again, searched on another core', (context) =>
  search(context, 2));
