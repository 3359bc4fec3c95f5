import { group, instances, type SimulatedWorld, template, world } from './world.ts';

/** The demo's cloud: one group of eight spot instances, all in one market, behind a launch template. */
export function demoWorld(): SimulatedWorld {
  return world([
    group('web', {
      min: 4,
      max: 12,
      instances: [instances('m5.large', 'eu-west-1a', 8, { purchaseOption: 'spot' })],
      launch: template('m5.large', { spot: true }),
      tags: [
        { key: 'service', value: 'web', propagates: true },
        // What the starter policies select by, so that `serve --cloud simulated --rules rules` has something to do.
        { key: 'coppice-enabled', value: 'true', propagates: true },
      ],
    }),
  ]);
}
