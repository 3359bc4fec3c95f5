import { ManualClock } from '../../src/base/manual-clock.ts';
import { openSqliteStore } from '../../src/state/sqlite-store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { storeContract } from './store-contract.ts';

storeContract('SQLite', (settings) =>
  openSqliteStore({ path: ':memory:', clock: new ManualClock(), log: silentLog, ...settings }),
);
