// Run by crash.test.ts: appends events one after another and prints the number of each one that was acknowledged.
import { writeSync } from 'node:fs';
import process from 'node:process';
import { cloudEvent } from '../../contract/store-samples.ts';
import { openStore } from './support.ts';

const store = openStore(process.argv[2] ?? '');
for (let number = 0; ; number++) {
  await store.append([cloudEvent(number)]);
  writeSync(1, `${number}\n`);
}
