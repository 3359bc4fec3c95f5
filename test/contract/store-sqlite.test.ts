import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { openSqliteStore } from '../../src/state/sqlite-store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { storeContract } from './store-contract.ts';

const folder = mkdtempSync(join(tmpdir(), 'coppice-store-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

storeContract('SQLite in a file', (settings) =>
  openSqliteStore({
    path: join(folder, `${files++}.db`),
    clock: new ManualClock(),
    log: silentLog,
    ...settings,
  }),
);

storeContract('SQLite in memory', (settings) =>
  openSqliteStore({ path: ':memory:', clock: new ManualClock(), log: silentLog, ...settings }),
);
