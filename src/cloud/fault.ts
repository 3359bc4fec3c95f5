import { type Disposition, Failure, type FailureCode } from '../base/failure.ts';

/** An error as AWS, or the way to it, reported it. Both adapters speak this and nothing else to `classify`. */
export interface AwsFault {
  /** In the SDK's words, e.g. `AttachInstances`. */
  readonly operation: string;
  /** The wire code (`e.Code ?? e.name` of the SDK), e.g. `ValidationError`. */
  readonly code: string;
  readonly message: string;
  /** HTTP status; null when there was no answer (connection cut, time-out). */
  readonly status: number | null;
}

interface Verdict {
  readonly code: FailureCode;
  readonly disposition: Disposition;
}

/** What the caller does next, by class of error. The classes are those of EC2's and Auto Scaling's error pages. */
const VERDICT = {
  market: { code: 'market_unavailable', disposition: 'next' },
  quota: { code: 'quota_exceeded', disposition: 'next' },
  throttled: { code: 'throttled', disposition: 'retry' },
  /** Nothing happened, and soon it may: another activity is under way, or the request never left. */
  later: { code: 'unavailable', disposition: 'retry' },
  /** The server stumbled: for a launch, whether before or after it took effect is open. */
  stumbled: { code: 'unavailable', disposition: 'retry' },
  ambiguous: { code: 'ambiguous', disposition: 'retry' },
  /** Eventual consistency: a new id may not be known everywhere yet, so absence is no proof. */
  notYetVisible: { code: 'not_found', disposition: 'retry' },
  gone: { code: 'not_found', disposition: 'done' },
  missing: { code: 'not_found', disposition: 'reject' },
  denied: { code: 'denied', disposition: 'reject' },
  invalid: { code: 'invalid_request', disposition: 'reject' },
  defect: { code: 'internal', disposition: 'reject' },
  alreadyMember: { code: 'already_member', disposition: 'done' },
  noMember: { code: 'no_longer_member', disposition: 'done' },
  size: { code: 'size_refused', disposition: 'reject' },
  state: { code: 'state_refused', disposition: 'reject' },
  /** The token's instance lived and died: that attempt is over, and a new one needs a new token. */
  attemptOver: { code: 'instance_lost', disposition: 'next' },
  /** A dry run stops before it acts; the permission is there. */
  dryRun: { code: 'cancelled', disposition: 'done' },
} as const satisfies Record<string, Verdict>;

type VerdictName = keyof typeof VERDICT;

/** Codes that mean one thing whatever the text. Anything not listed is judged by its status. */
const CODES: ReadonlyMap<string, VerdictName> = new Map(
  Object.entries({
    market: [
      'InsufficientInstanceCapacity',
      'UnfulfillableCapacity',
      'SpotMaxPriceTooLow',
      'Unsupported',
      'UnsupportedOperation',
      'InsufficientFreeAddressesInSubnet',
      'InsufficientVolumeCapacity',
      'VolumeTypeNotAvailableInZone',
      'InsufficientHostCapacity',
      'InsufficientCapacityOnHost',
      'InsufficientReservedInstanceCapacity',
      'ReservationCapacityExceeded',
      'InvalidInterface.IpAddressLimitExceeded',
      'AttachmentLimitExceeded',
      'InvalidInstanceType',
      // The template sets CPU credits, which only burstable types have.
      'InstanceCreditSpecification.NotSupported',
    ],
    quota: [
      'MaxSpotInstanceCountExceeded',
      'VcpuLimitExceeded',
      'InstanceLimitExceeded',
      'ResourceCountExceeded',
      'RequestResourceCountExceeded',
      'VolumeLimitExceeded',
      'MaxIOPSLimitExceeded',
      'NetworkInterfaceLimitExceeded',
      'LimitExceeded',
    ],
    throttled: [
      'RequestLimitExceeded',
      'Throttling',
      'ThrottlingException',
      'ThrottledException',
      'TooManyRequestsException',
      'EC2ThrottledException',
    ],
    later: [
      'RequestExpired',
      'ResourceContention',
      'ScalingActivityInProgress',
      'ConcurrentTagAccess',
      'ECONNREFUSED',
      'ENOTFOUND',
      'EAI_AGAIN',
    ],
    stumbled: ['InternalError', 'InternalFailure', 'ServerInternal', 'ServiceUnavailable', 'Unavailable'],
    ambiguous: ['IdempotentCallInProgress'],
    notYetVisible: ['InvalidInstanceID.NotFound', 'InvalidGroup.NotFound'],
    missing: [
      'InvalidLaunchTemplateId.NotFound',
      'InvalidLaunchTemplateId.VersionNotFound',
      'InvalidLaunchTemplateName.NotFoundException',
      // A classic load balancer with which the instance was never registered.
      'InvalidInstance',
    ],
    denied: [
      'UnauthorizedOperation',
      'AccessDenied',
      'AccessDeniedException',
      'AuthFailure',
      'AuthFailure.ServiceLinkedRoleCreationNotPermitted',
      'ServiceLinkedRoleFailure',
      'InvalidClientTokenId',
      'ExpiredToken',
      'ExpiredTokenException',
      'SignatureDoesNotMatch',
      'CredentialsProviderError',
      'OptInRequired',
      'PendingVerification',
      'Blocked',
      // So many fleets and no more: no quota of instances, which RunInstances may still launch.
      'MaxFleetCountExceeded',
    ],
    invalid: [
      'InvalidAMIID.NotFound',
      'InvalidAMIID.Unavailable',
      'InvalidAMIID.Malformed',
      'InvalidKeyPair.NotFound',
      'InvalidSubnetID.NotFound',
      'InvalidSecurityGroupID.NotFound',
      'InvalidSnapshot.NotFound',
      'InvalidBlockDeviceMapping',
      'InvalidFleetConfig',
      'InvalidFleetConfiguration',
      'EncryptedVolumesNotSupported',
      'TagPolicyViolation',
      'InvalidParameterCombination',
      'InvalidParameterValue',
      'InvalidTagKey.Malformed',
    ],
    defect: ['IdempotentParameterMismatch'],
    state: ['OperationNotPermitted', 'ResourceInUse', 'InstanceRefreshInProgress'],
    attemptOver: ['IdempotentInstanceTerminated'],
    dryRun: ['DryRunOperation'],
  } satisfies Partial<Record<VerdictName, readonly string[]>>).flatMap(([verdict, codes]) =>
    codes.map((code) => [code, verdict as VerdictName] as const),
  ),
);

interface TextRow {
  readonly code: string;
  readonly text: RegExp;
  /** Where given, the row counts for this operation only. */
  readonly operation?: string;
  readonly verdict: VerdictName;
}

/** How AWS words that a type is at fault. */
const MISFIT = /instance ?type|boot mode|\bENA\b/i;

/** Where the code says too little. Looked at before `CODES`; the first row that fits decides. */
const TEXTS: readonly TextRow[] = [
  { code: 'ValidationError', text: /is already part of AutoScalingGroup/, verdict: 'alreadyMember' },
  { code: 'ValidationError', text: /is not part of Auto ?Scaling ?group/i, verdict: 'noMember' },
  { code: 'ValidationError', text: /No managed instance found/, verdict: 'noMember' },
  { code: 'ValidationError', text: /please update the AutoScalingGroup sizes/, verdict: 'size' },
  { code: 'ValidationError', text: /violate group's min size constraint/, verdict: 'size' },
  // Coppice sends one instance a call, so an overlong list is its own doing and no matter of sizes.
  { code: 'ValidationError', text: /exceeds the maximum number of instances/, verdict: 'defect' },
  { code: 'ValidationError', text: /is not in InService/, verdict: 'state' },
  { code: 'ValidationError', text: /pending delete/, verdict: 'state' },
  // AWS' words for the next three are not known; the patterns take in what they can hardly avoid to say.
  {
    code: 'ValidationError',
    text: /not in (?:the )?(?:running|correct) state|is not running/i,
    verdict: 'state',
  },
  { code: 'ValidationError', text: /Availability Zone/i, operation: 'AttachInstances', verdict: 'state' },
  { code: 'ValidationError', text: /suspended/i, operation: 'AttachInstances', verdict: 'state' },
  { code: 'ValidationError', text: /name not found|group .*not found/i, verdict: 'missing' },
  { code: 'ValidationError', text: /Invalid Instance ID/i, verdict: 'missing' },
  { code: 'ValidationError', text: /Rate exceeded/, verdict: 'throttled' },
  // Only for a termination is "unknown" as good as "gone": terminated instances stay visible for an hour. An instance
  // launched seconds ago may be unknown too; the janitor finds it by its tag once it can be seen.
  { code: 'InvalidInstanceID.NotFound', text: /./, operation: 'TerminateInstances', verdict: 'gone' },
  // The type does not fit the image, the zone or an option of the source: a fault of the candidate, not of the source.
  { code: 'InvalidParameterValue', text: MISFIT, verdict: 'market' },
  { code: 'InvalidParameterCombination', text: MISFIT, verdict: 'market' },
  // What a fleet says of a single market, beside its answer of 200.
  { code: 'InvalidFleetConfiguration', text: MISFIT, verdict: 'market' },
];

/** Operations that start instances: the only ones where repeating the same request is the way to learn what happened. */
const LAUNCHES: ReadonlySet<string> = new Set(['RunInstances', 'CreateFleet']);
const READS = /^(?:Describe|Get)/;

/**
 * An AWS error as a Failure, by one table of codes (and texts, where AWS says only `ValidationError`). Unknown codes
 * follow the status: 5xx `unavailable`/retry, 4xx `invalid_request`/reject, no answer `unavailable` for reads and
 * `ambiguous` for writes. A launch that the server failed without a definite reason is `ambiguous` as well.
 */
export function classify(fault: AwsFault, cause?: unknown): Failure {
  const { code, disposition } = VERDICT[verdictOf(fault)];
  return new Failure(code, disposition, `${fault.operation}: ${fault.code}: ${fault.message}`, cause);
}

function verdictOf(fault: AwsFault): VerdictName {
  const byText = TEXTS.find(
    (row) =>
      row.code === fault.code &&
      (row.operation === undefined || row.operation === fault.operation) &&
      row.text.test(fault.message),
  );
  const known = byText?.verdict ?? CODES.get(fault.code) ?? byStatus(fault);
  return known === 'stumbled' && LAUNCHES.has(fault.operation) ? 'ambiguous' : known;
}

function byStatus({ operation, status }: AwsFault): VerdictName {
  if (status === null) return READS.test(operation) ? 'later' : 'ambiguous';
  return status >= 500 ? 'stumbled' : 'invalid';
}
