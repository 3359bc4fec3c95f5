import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { createAwsCloud } from '../../src/cloud/aws/aws-cloud.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type ContractWorld, cloudContract } from '../contract/cloud-contract.ts';
import { startAwsProxy } from './support/aws-proxy.ts';
import { eventually } from './support/eventually.ts';
import { startMoto } from './support/moto.ts';
import { skipWithout } from './support/program.ts';
import { type Seed, seedMoto } from './support/seed.ts';

/** Longer than the read that follows a write at once, short enough to wait for. */
const LAG_MS = 150;
const LAGS = { pendingMs: LAG_MS, joiningMs: LAG_MS, detachingMs: LAG_MS, terminatingMs: LAG_MS };

async function throughProxy(): Promise<ContractWorld> {
  const moto = await startMoto();
  const seed = await seedMoto(moto);
  const proxy = await startAwsProxy({ moto, zones: seed.zones, lags: LAGS });
  return worldAt(proxy.env, seed, async () => {
    await proxy.stop();
    await moto.stop();
  });
}

async function straight(): Promise<ContractWorld> {
  const moto = await startMoto();
  return worldAt(moto.env, await seedMoto(moto), () => moto.stop());
}

function worldAt(
  env: Readonly<Record<string, string>>,
  seed: Seed,
  close: () => Promise<void>,
): ContractWorld {
  // By the SDK's own conventions, as a daemon finds it.
  Object.assign(process.env, env);
  let made = 0;
  return {
    cloud: createAwsCloud({
      regions: [seed.region],
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      metrics: createMetrics(),
    }),
    createGroup(source) {
      made += 1;
      const wish = { name: `group-${made}`, instances: 2, min: 1, max: 3 };
      return source === 'template' ? seed.createTemplateGroup(wish) : seed.createConfigurationGroup(wish);
    },
    until: (what, probe) => eventually(what, 10_000, probe),
    close,
  };
}

const skip = skipWithout('moto_server');

cloudContract('AWS over the wire, against moto behind the proxy', throughProxy, { skip });

// Nothing between the adapter and moto: what the proxy might hide shows here.
cloudContract('AWS over the wire, against moto alone', straight, {
  skip,
  lacks: [
    'a launch token launches once',
    'membership is checked',
    'sizes are checked',
    'suspended processes do not run',
    'only what exists is tagged',
  ],
});
