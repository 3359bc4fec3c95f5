import type { ImageFacts, InstanceType } from '../../cloud/cloud.ts';
import { compileGlob } from '../../engine/matcher.ts';
import type { EffectivePolicy, RelativeRange } from '../../engine/policy.ts';
import type { Candidate } from './candidate.ts';

type Rejected = Candidate['rejected'];

interface Wanted {
  readonly original: InstanceType;
  readonly image: ImageFacts | null;
  /** Network interfaces that the launch source asks for. */
  readonly interfaces: number;
  readonly policy: EffectivePolicy;
}

/**
 * A check for one recommendation: why a type cannot, or by policy may not, stand in for the group's own type; null when
 * it can. The policy's globs are compiled once for all types.
 */
export function compatibilityCheck(input: Wanted): (type: InstanceType) => Rejected {
  const { original, image, interfaces, policy } = input;
  const policyMismatch = policyCheck(policy, original);
  return (type) =>
    architectureMismatch(original, type, { policy, image }) ??
    imageMismatch(image, type) ??
    hardwareMismatch(original, type) ??
    interfacesMismatch(interfaces, type) ??
    sizeMismatch(original, type, policy) ??
    policyMismatch(type);
}

function no(code: 'incompatible' | 'size' | 'burstable' | 'policy_type', detail: string): Rejected {
  return { code, detail };
}

function architectureMismatch(
  original: InstanceType,
  type: InstanceType,
  about: { readonly policy: EffectivePolicy; readonly image: ImageFacts | null },
): Rejected {
  const wanted = about.image === null ? original.architectures : [about.image.architecture];
  const allowed = about.policy.instanceTypes.architectures;
  const fits = type.architectures.some(
    (name) => wanted.includes(name) && (allowed === null || allowed.includes(name)),
  );
  return fits
    ? null
    : no('incompatible', `architecture ${type.architectures.join(', ')}, not ${wanted.join(', ')}`);
}

/** Facts of the image that are unknown do not exclude: AWS would refuse the launch, and the next candidate is tried. */
function imageMismatch(image: ImageFacts | null, type: InstanceType): Rejected {
  if (image === null) return null;
  if (image.virtualization !== null && !type.virtualization.includes(image.virtualization)) {
    return no('incompatible', `virtualization ${image.virtualization}`);
  }
  if (image.ena === false && type.ena === 'required') return no('incompatible', 'needs an image with ENA');
  const { bootMode } = image;
  const boots =
    bootMode === null ||
    bootMode === 'uefi-preferred' ||
    type.bootModes.length === 0 ||
    type.bootModes.includes(bootMode);
  return boots ? null : no('incompatible', `boot mode ${bootMode}`);
}

function interfacesMismatch(wanted: number, { networkInterfaces }: InstanceType): Rejected {
  return networkInterfaces === null || wanted <= networkInterfaces
    ? null
    : no('incompatible', `${networkInterfaces} network interfaces, ${wanted} needed`);
}

/** What software may rely on: the same GPUs, a local disk at least as large, the same kind of host. */
function hardwareMismatch(original: InstanceType, type: InstanceType): Rejected {
  if (type.gpus !== original.gpus) return no('incompatible', `${type.gpus} GPUs, not ${original.gpus}`);
  const [models, wanted] = [type.gpuModels.join(', '), original.gpuModels.join(', ')];
  if (models !== wanted && models !== '' && wanted !== '')
    return no('incompatible', `GPU ${models}, not ${wanted}`);
  if (type.localDiskGb < original.localDiskGb) {
    return no('incompatible', `${type.localDiskGb} GB of local disk, ${original.localDiskGb} needed`);
  }
  return type.bareMetal === original.bareMetal
    ? null
    : no('incompatible', type.bareMetal ? 'bare metal' : 'not bare metal');
}

function sizeMismatch(original: InstanceType, type: InstanceType, policy: EffectivePolicy): Rejected {
  const { vcpus, memory } = policy.instanceTypes;
  return (
    outside('vCPUs', vcpus, { value: type.vcpus, base: original.vcpus }) ??
    outside('MiB', memory, { value: type.memoryMib, base: original.memoryMib })
  );
}

function outside(
  unit: string,
  range: RelativeRange,
  size: { readonly value: number; readonly base: number },
): Rejected {
  const [low, high] = [range.from * size.base, range.to * size.base];
  return size.value >= low && size.value <= high
    ? null
    : no('size', `${size.value} ${unit}, ${low} to ${high} allowed`);
}

/** A burstable type may replace one that is burstable itself. */
function policyCheck(policy: EffectivePolicy, original: InstanceType): (type: InstanceType) => Rejected {
  const { allow, deny, generations } = policy.instanceTypes;
  const burstable = policy.instanceTypes.burstable || original.burstable;
  const denied = anyOf(deny);
  const allowed = allow.map((globs) => ({ globs, matches: anyOf(globs) }));
  return (type) => {
    if (denied(type.name)) return no('policy_type', `denied by ${deny.join(', ')}`);
    const missed = allowed.find(({ matches }) => !matches(type.name));
    if (missed !== undefined) return no('policy_type', `none of ${missed.globs.join(', ')}`);
    const generation = type.currentGeneration ? 'current' : 'previous';
    if (generations !== null && !generations.includes(generation))
      return no('policy_type', `of the ${generation} generation`);
    return type.burstable && !burstable ? no('burstable', 'burstable') : null;
  };
}

/** A glob that cannot be read denies and allows nothing by itself; the rule files' check has refused it long before. */
function anyOf(globs: readonly string[]): (name: string) => boolean {
  const tests = globs.flatMap((glob) => {
    const compiled = compileGlob(glob);
    return compiled.ok ? [compiled.value] : [];
  });
  return (name) => tests.some((test) => test(name));
}
