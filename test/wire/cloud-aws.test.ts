import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { createAwsCloud } from '../../src/cloud/aws/aws-cloud.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type ContractWorld, cloudContract } from '../contract/cloud-contract.ts';
import { eventually } from './support/eventually.ts';
import { startMoto } from './support/moto.ts';
import { skipWithout } from './support/program.ts';
import { seedMoto } from './support/seed.ts';

async function makeWorld(): Promise<ContractWorld> {
  const moto = await startMoto();
  Object.assign(process.env, moto.env);
  const seed = await seedMoto(moto);
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
    close: () => moto.stop(),
  };
}

cloudContract('AWS over the wire, against moto', makeWorld, {
  skip: skipWithout('moto_server'),
  lacks: [
    'a launch token launches once',
    'membership is checked',
    'sizes are checked',
    'suspended processes do not run',
    'only what exists is tagged',
  ],
});
