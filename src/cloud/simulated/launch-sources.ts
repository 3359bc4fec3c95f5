import type { LaunchDefaults, LaunchReference, LaunchSource, TemplateReference } from '../cloud.ts';
import { hash } from './prices.ts';
import { invalid, type Refusal, refusal } from './refusal.ts';
import type { LaunchTemplate, SimulatedGroup, Simulation } from './simulation.ts';
import type { LaunchFields } from './world.ts';

/** The subnet of a zone: one each, the same in every group and every simulation. */
export function subnetIn(zone: string): string {
  const half = (seed: number): string => hash(seed, zone).toString(16).padStart(8, '0');
  return `subnet-0${half(0)}${half(1)}`;
}

/** The group's subnet in the zone; null where it has none. */
export function subnetOf(group: SimulatedGroup, zone: string): string | null {
  return group.zones.includes(zone) ? subnetIn(zone) : null;
}

/** What the group would launch now; null when its template or configuration is gone. */
export function launchFields(simulation: Simulation, launch: LaunchReference): LaunchFields | null {
  if (launch.kind === 'configuration') {
    const configuration = simulation.configurations.get(launch.name);
    return configuration === undefined ? null : { ...configuration, networkInterfaces: [] };
  }
  const found = templateVersion(simulation, launch.template);
  return 'fields' in found ? found.fields : null;
}

/** A version of a template, `$Latest` and `$Default` resolved, or why there is none. */
export function templateVersion(
  simulation: Simulation,
  { id, version }: TemplateReference,
): { readonly version: number; readonly fields: LaunchFields } | Refusal {
  const template = simulation.templates.get(id);
  if (template === undefined) {
    return refusal(
      'InvalidLaunchTemplateId.NotFound',
      `The specified launch template, with template ID ${id}, does not exist.`,
    );
  }
  const number = versionNumber(template, version);
  const fields = template.versions[number - 1];
  return fields === undefined
    ? refusal(
        'InvalidLaunchTemplateId.VersionNotFound',
        `Could not find the specified version ${version} for the launch template with ID ${id}.`,
      )
    : { version: number, fields };
}

/** How to launch what the reference says, every version pinned, or why that cannot be said. */
export function sourceOf(simulation: Simulation, launch: LaunchReference): LaunchSource | Refusal {
  if (launch.kind === 'configuration') return configurationSource(simulation, launch.name);
  const found = templateVersion(simulation, launch.template);
  if (!('fields' in found)) return found;
  return {
    kind: 'template',
    templateId: launch.template.id,
    version: String(found.version),
    defaults: defaultsOf(simulation, found.fields),
    asksForSpot: found.fields.spot,
    networkInterfaces: found.fields.networkInterfaces,
  };
}

function configurationSource(simulation: Simulation, name: string): LaunchSource | Refusal {
  const fields = simulation.configurations.get(name);
  if (fields === undefined) {
    return invalid(`Launch configuration name not found - Launch configuration ${name} not found`);
  }
  return {
    kind: 'configuration',
    name,
    defaults: defaultsOf(simulation, fields),
    configuration: {
      LaunchConfigurationName: name,
      ImageId: fields.imageId,
      InstanceType: fields.instanceType,
      KeyName: '',
      SecurityGroups: ['sg-0123456789abcdef0'],
      UserData: '',
      KernelId: '',
      RamdiskId: '',
      BlockDeviceMappings: [],
      InstanceMonitoring: { Enabled: false },
      EbsOptimized: false,
      ...(fields.spot ? { SpotPrice: '1.00' } : {}),
    },
  };
}

function defaultsOf(
  { images }: Simulation,
  { instanceType, imageId }: Pick<LaunchFields, 'instanceType' | 'imageId'>,
): LaunchDefaults {
  return { instanceType, imageId, image: images.get(imageId) ?? null };
}

function versionNumber(template: LaunchTemplate, version: string): number {
  if (version === '$Latest') return template.versions.length;
  return version === '$Default' ? template.defaultVersion : Number(version);
}
