import { test } from 'node:test';
import { search } from './storm.ts';

test('laws 2, 3 and 4 hold through every storm: alerts, deaths, people, faults, lost answers and crashes', (context) =>
  search(context, 1));
