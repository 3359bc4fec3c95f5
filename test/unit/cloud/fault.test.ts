import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Disposition, FailureCode } from '../../../src/base/failure.ts';
import { classify } from '../../../src/cloud/fault.ts';

type Row = readonly [
  FailureCode,
  Disposition,
  operation: string,
  status: number | null,
  codes: readonly string[],
];

/** AWS' error codes by what the caller does next. */
const CODES: readonly Row[] = [
  ['market_unavailable', 'next', 'RunInstances', 500, ['InsufficientInstanceCapacity']],
  [
    'market_unavailable',
    'next',
    'RunInstances',
    400,
    [
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
      'InstanceCreditSpecification.NotSupported',
    ],
  ],
  [
    'quota_exceeded',
    'next',
    'RunInstances',
    400,
    [
      'MaxSpotInstanceCountExceeded',
      'VcpuLimitExceeded',
      'InstanceLimitExceeded',
      'ResourceCountExceeded',
      'RequestResourceCountExceeded',
      'VolumeLimitExceeded',
      'MaxIOPSLimitExceeded',
      'NetworkInterfaceLimitExceeded',
    ],
  ],
  ['throttled', 'retry', 'RunInstances', 503, ['RequestLimitExceeded']],
  [
    'throttled',
    'retry',
    'AttachInstances',
    400,
    ['Throttling', 'ThrottlingException', 'EC2ThrottledException'],
  ],
  ['unavailable', 'retry', 'RunInstances', 400, ['RequestExpired', 'ConcurrentTagAccess']],
  ['unavailable', 'retry', 'AttachInstances', 500, ['ResourceContention']],
  ['unavailable', 'retry', 'TerminateInstanceInAutoScalingGroup', 400, ['ScalingActivityInProgress']],
  [
    'unavailable',
    'retry',
    'AttachInstances',
    500,
    ['InternalError', 'InternalFailure', 'ServerInternal', 'ServiceUnavailable', 'Unavailable'],
  ],
  [
    'ambiguous',
    'retry',
    'RunInstances',
    500,
    ['InternalError', 'InternalFailure', 'ServerInternal', 'ServiceUnavailable', 'Unavailable'],
  ],
  ['ambiguous', 'retry', 'RunInstances', 400, ['IdempotentCallInProgress']],
  ['not_found', 'retry', 'DescribeInstances', 400, ['InvalidInstanceID.NotFound', 'InvalidGroup.NotFound']],
  ['not_found', 'done', 'TerminateInstances', 400, ['InvalidInstanceID.NotFound']],
  [
    'not_found',
    'reject',
    'DescribeLaunchTemplateVersions',
    400,
    [
      'InvalidLaunchTemplateId.NotFound',
      'InvalidLaunchTemplateId.VersionNotFound',
      'InvalidLaunchTemplateName.NotFoundException',
    ],
  ],
  [
    'denied',
    'reject',
    'RunInstances',
    403,
    [
      'UnauthorizedOperation',
      'AuthFailure',
      'AuthFailure.ServiceLinkedRoleCreationNotPermitted',
      'OptInRequired',
      'PendingVerification',
      'MaxFleetCountExceeded',
      'Blocked',
    ],
  ],
  ['denied', 'reject', 'AttachInstances', 500, ['ServiceLinkedRoleFailure']],
  ['denied', 'reject', 'RunInstances', null, ['CredentialsProviderError']],
  [
    'invalid_request',
    'reject',
    'RunInstances',
    400,
    [
      'InvalidAMIID.NotFound',
      'InvalidAMIID.Unavailable',
      'InvalidAMIID.Malformed',
      'InvalidKeyPair.NotFound',
      'InvalidSubnetID.NotFound',
      'InvalidSecurityGroupID.NotFound',
      'InvalidSnapshot.NotFound',
      'InvalidBlockDeviceMapping',
      'InvalidFleetConfig',
      'EncryptedVolumesNotSupported',
      'TagPolicyViolation',
      'InvalidParameterCombination',
      'InvalidParameterValue',
      'InvalidTagKey.Malformed',
    ],
  ],
  ['internal', 'reject', 'RunInstances', 400, ['IdempotentParameterMismatch']],
  ['state_refused', 'reject', 'TerminateInstances', 400, ['OperationNotPermitted']],
  ['state_refused', 'reject', 'UpdateAutoScalingGroup', 400, ['ResourceInUse', 'InstanceRefreshInProgress']],
  ['instance_lost', 'next', 'RunInstances', 400, ['IdempotentInstanceTerminated']],
  ['cancelled', 'done', 'RunInstances', 412, ['DryRunOperation']],
];

describe('codes that say everything', () => {
  for (const [code, disposition, operation, status, awsCodes] of CODES) {
    for (const awsCode of awsCodes) {
      test(`${awsCode} of ${operation} is ${code}, so ${disposition}`, () => {
        const failure = classify({ operation, code: awsCode, message: 'some text', status });
        assert.deepEqual([failure.code, failure.disposition], [code, disposition]);
      });
    }
  }
});

const SIZES = 'has min-size=1, max-size=4, and desired-size=4. To';

const TEXTS: readonly (readonly [
  rule: string,
  FailureCode,
  Disposition,
  operation: string,
  code: string,
  message: string,
])[] = [
  [
    'attaching a member is done already',
    'already_member',
    'done',
    'AttachInstances',
    'ValidationError',
    'The instance i-1 is already part of AutoScalingGroup: web',
  ],
  [
    'detaching a stranger is done already',
    'no_longer_member',
    'done',
    'DetachInstances',
    'ValidationError',
    'The instance i-1 is not part of Auto Scaling group web.',
  ],
  [
    'terminating a stranger in the group is done already',
    'no_longer_member',
    'done',
    'TerminateInstanceInAutoScalingGroup',
    'ValidationError',
    'Instance Id not found - No managed instance found for instance ID i-1',
  ],
  [
    'an attach over the maximum is a matter of sizes',
    'size_refused',
    'reject',
    'AttachInstances',
    'ValidationError',
    `AutoScalingGroup web ${SIZES} attach 1 instance, please update the AutoScalingGroup sizes appropriately.`,
  ],
  [
    'a detach under the minimum is a matter of sizes',
    'size_refused',
    'reject',
    'DetachInstances',
    'ValidationError',
    `AutoScalingGroup web ${SIZES} detach 1 instance, please update the AutoScalingGroup sizes appropriately.`,
  ],
  [
    'a termination at the minimum is a matter of sizes',
    'size_refused',
    'reject',
    'TerminateInstanceInAutoScalingGroup',
    'ValidationError',
    "Currently, desiredSize equals minSize (1). Terminating instance without replacement will violate group's min size constraint.",
  ],
  [
    'too long a list is a defect of ours',
    'internal',
    'reject',
    'DetachInstances',
    'ValidationError',
    'List exceeds the maximum number of instances to detach',
  ],
  [
    'detaching what is on its way out is refused by state',
    'state_refused',
    'reject',
    'DetachInstances',
    'ValidationError',
    'The instance i-1 is not in InService or Standby.',
  ],
  [
    'putting aside what is not in service is refused by state',
    'state_refused',
    'reject',
    'EnterStandby',
    'ValidationError',
    'The instance i-1 is not in InService.',
  ],
  [
    'a group that is being deleted refuses by state',
    'state_refused',
    'reject',
    'SuspendProcesses',
    'ValidationError',
    'Processes may not be suspended while the AutoScaling group is pending delete',
  ],
  [
    'attaching what does not run is refused by state',
    'state_refused',
    'reject',
    'AttachInstances',
    'ValidationError',
    'The instance i-1 is not in the running state.',
  ],
  [
    'attaching from a foreign zone is refused by state',
    'state_refused',
    'reject',
    'AttachInstances',
    'ValidationError',
    'i-1 is not in an Availability Zone of the group',
  ],
  [
    'attaching while Launch is suspended is refused by state',
    'state_refused',
    'reject',
    'AttachInstances',
    'ValidationError',
    'the Launch process is suspended',
  ],
  [
    'a group that does not exist is not found',
    'not_found',
    'reject',
    'UpdateAutoScalingGroup',
    'ValidationError',
    'AutoScalingGroup name not found - null',
  ],
  [
    'a tag for a group that does not exist is not found',
    'not_found',
    'reject',
    'CreateOrUpdateTags',
    'ValidationError',
    'AutoScalingGroup not found - AutoScaling Group web not found',
  ],
  [
    'a validation error with another text is a request that will never be accepted',
    'invalid_request',
    'reject',
    'UpdateAutoScalingGroup',
    'ValidationError',
    'Max bound, 3, must be greater than or equal to min bound, 4',
  ],
  [
    "Auto Scaling's throttle without a code of its own is a throttle",
    'throttled',
    'retry',
    'AttachInstances',
    'ValidationError',
    'Rate exceeded',
  ],
  [
    'a type that does not fit the image is a matter of the market',
    'market_unavailable',
    'next',
    'RunInstances',
    'InvalidParameterValue',
    "The architecture 'arm64' of the specified instance type does not match the architecture 'x86_64' of the specified AMI.",
  ],
  [
    'a type that needs a boot mode that the image lacks is a matter of the market',
    'market_unavailable',
    'next',
    'RunInstances',
    'InvalidParameterValue',
    'The specified boot mode is not supported',
  ],
  [
    'a type that needs ENA is a matter of the market',
    'market_unavailable',
    'next',
    'RunInstances',
    'InvalidParameterCombination',
    "Enhanced networking with the Elastic Network Adapter (ENA) is required for the 'm5.large' instance type.",
  ],
  [
    'an option of the source that the type does not have is a matter of the market',
    'market_unavailable',
    'next',
    'RunInstances',
    'InvalidParameterCombination',
    'The specified CPU options are not supported for the m5.large instance type.',
  ],
  [
    'a type that a fleet cannot have in the zone is a matter of the market',
    'market_unavailable',
    'next',
    'CreateFleet',
    'InvalidFleetConfiguration',
    'Your requested instance type (m5.large) is not supported in your requested Availability Zone (eu-west-1a).',
  ],
  [
    'a fleet that is at fault otherwise is a mistake',
    'invalid_request',
    'reject',
    'CreateFleet',
    'InvalidFleetConfiguration',
    'The fleet configuration is not valid.',
  ],
];

describe('codes that say too little are judged by their text', () => {
  for (const [rule, code, disposition, operation, awsCode, message] of TEXTS) {
    test(rule, () => {
      const failure = classify({ operation, code: awsCode, message, status: 400 });
      assert.deepEqual([failure.code, failure.disposition], [code, disposition]);
    });
  }
});

describe('unknown codes follow the status', () => {
  const rows: readonly (readonly [rule: string, FailureCode, Disposition, string, number | null])[] = [
    ['a failure of the server may pass', 'unavailable', 'retry', 'AttachInstances', 502],
    ['a failure of the server leaves a launch open', 'ambiguous', 'retry', 'RunInstances', 500],
    ['a failure of the server leaves a fleet launch open', 'ambiguous', 'retry', 'CreateFleet', 503],
    ['a failure of the client will not pass', 'invalid_request', 'reject', 'AttachInstances', 400],
    ['no answer leaves a write open', 'ambiguous', 'retry', 'DetachInstances', null],
    ['no answer to a read is no answer', 'unavailable', 'retry', 'DescribeInstances', null],
    ['no answer to a question is no answer', 'unavailable', 'retry', 'GetSpotPlacementScores', null],
  ];
  for (const [rule, code, disposition, operation, status] of rows) {
    test(rule, () => {
      const failure = classify({ operation, code: 'Surprise', message: '', status });
      assert.deepEqual([failure.code, failure.disposition], [code, disposition]);
    });
  }

  test('a connection that was never made leaves nothing open', () => {
    const fault = { operation: 'RunInstances', code: 'ECONNREFUSED', message: '', status: null };
    assert.equal(classify(fault).code, 'unavailable');
  });
});

test('the message says what was asked and how AWS answered, and the cause is kept', () => {
  const cause = new Error('from the SDK');
  const failure = classify(
    { operation: 'RunInstances', code: 'Unsupported', message: 'not here', status: 400 },
    cause,
  );
  assert.equal(failure.message, 'RunInstances: Unsupported: not here');
  assert.equal(failure.cause, cause);
});
