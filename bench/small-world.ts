import type { FleetView, GroupView, InstanceView } from '../src/engine/fleet.ts';

export const NO_FLEET: FleetView = {
  readAt: 0,
  groups: new Map(),
  instances: new Map(),
  addresses: new Map(),
};

const NAME = { account: '123456789012', region: 'eu-west-1', name: 'web' };

/** Fifty instances in one group. */
export function oneGroup(): { readonly fleet: FleetView; readonly instanceIds: readonly string[] } {
  const instances = Array.from({ length: 50 }, (_, n) => instance(`i-${String(n).padStart(17, '0')}`));
  const group: GroupView = { group: NAME, desired: 50, min: 0, max: 100, tags: {}, instances };
  const key = `${NAME.account}/${NAME.region}/${NAME.name}`;
  return {
    fleet: {
      readAt: 0,
      groups: new Map([[key, group]]),
      instances: new Map(instances.map((one) => [one.id, { group: key, instance: one }])),
      addresses: new Map(),
    },
    instanceIds: instances.map(({ id }) => id),
  };
}

function instance(id: string): InstanceView {
  return {
    ...{ id, type: 'm5.large', zone: 'eu-west-1a', purchaseOption: 'spot', lifecycleState: 'InService' },
    ...{ healthStatus: 'Healthy', protectedFromScaleIn: false, launchedAt: -86_400_000 },
    ...{ privateDnsName: null, privateAddress: null, tags: {}, hourlyPrice: 0.04, onDemandHourlyPrice: 0.1 },
  };
}
