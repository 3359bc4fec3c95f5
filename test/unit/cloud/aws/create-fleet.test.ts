import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { CreateFleetError, ResponseLaunchTemplateData } from '@aws-sdk/client-ec2';
import { Failure } from '../../../../src/base/failure.ts';
import type { Market } from '../../../../src/base/market.ts';
import { createFleetInput, fleetAnswer } from '../../../../src/cloud/aws/create-fleet.ts';
import type { FleetRequest } from '../../../../src/cloud/cloud.ts';

const ZONE = 'eu-west-1a';
const M6I = spot('m6i.large');
const M5A = spot('m5a.large');
const C6I = spot('c6i.large');
const MARKETS = [M6I, M5A, C6I];

function spot(type: string): Market {
  return { type, zone: ZONE, purchaseOption: 'spot' };
}

function request(changes: Partial<FleetRequest> = {}): FleetRequest {
  return {
    group: { account: '123456789012', region: 'eu-west-1', name: 'web' },
    token: 'token-1',
    source: {
      kind: 'template',
      templateId: 'lt-1',
      version: '7',
      defaults: { instanceType: 'm5.large', imageId: 'ami-1', image: null },
      asksForSpot: false,
      networkInterfaces: [],
    },
    markets: MARKETS,
    subnet: 'subnet-1',
    placementGroup: null,
    tags: { team: 'web' },
    ...changes,
  };
}

function withInterface(described: Readonly<Record<string, unknown>>): Partial<FleetRequest> {
  return { source: { ...request().source, networkInterfaces: [described] } };
}

describe('the request of a fleet', () => {
  test('asks for one spot instance, at once, in the market that AWS finds best, and names the template at its number', () => {
    const Tags = [{ Key: 'team', Value: 'web' }];
    assert.deepEqual(createFleetInput(request(), {}), {
      Type: 'instant',
      ClientToken: 'token-1',
      TargetCapacitySpecification: { TotalTargetCapacity: 1, DefaultTargetCapacityType: 'spot' },
      SpotOptions: { AllocationStrategy: 'price-capacity-optimized' },
      LaunchTemplateConfigs: [
        {
          LaunchTemplateSpecification: { LaunchTemplateId: 'lt-1', Version: '7' },
          Overrides: [
            { InstanceType: 'm6i.large', SubnetId: 'subnet-1' },
            { InstanceType: 'm5a.large', SubnetId: 'subnet-1' },
            { InstanceType: 'c6i.large', SubnetId: 'subnet-1' },
          ],
        },
      ],
      TagSpecifications: ['fleet', 'instance', 'volume', 'network-interface'].map((ResourceType) => ({
        ResourceType,
        Tags,
      })),
    });
  });

  test('is the same for the same input, whatever came between', () => {
    const first = JSON.stringify(createFleetInput(request(), {}));
    createFleetInput(request({ token: 'token-2' }), {});
    assert.equal(JSON.stringify(createFleetInput(request(), {})), first);
  });

  test('says the zone where there is no subnet to say it', () => {
    const { LaunchTemplateConfigs } = createFleetInput(request({ subnet: null, markets: [M6I] }), {});
    assert.deepEqual(LaunchTemplateConfigs?.[0]?.Overrides, [
      { InstanceType: 'm6i.large', AvailabilityZone: ZONE },
    ]);
  });

  test("keeps the template's tags; the request's win, and those of AWS are left out", () => {
    const template: ResponseLaunchTemplateData = {
      TagSpecifications: [
        {
          ResourceType: 'volume',
          Tags: [
            { Key: 'backup', Value: 'daily' },
            { Key: 'team', Value: 'nobody' },
            { Key: 'aws:autoscaling:groupName', Value: 'web' },
          ],
        },
      ],
    };
    const tags = { team: 'web', 'aws:ec2:fleet-id': 'x' };
    const { TagSpecifications } = createFleetInput(request({ tags }), template);
    const team = { Key: 'team', Value: 'web' };
    assert.deepEqual(
      TagSpecifications?.map(({ ResourceType, Tags }) => [ResourceType, Tags]),
      [
        ['fleet', [team]],
        ['instance', [team]],
        ['volume', [{ Key: 'backup', Value: 'daily' }, team]],
        ['network-interface', [team]],
      ],
    );
  });

  test('leaves interfaces to the template, which takes the subnet of the override', () => {
    const input = createFleetInput(request(withInterface({ DeviceIndex: 0, Groups: ['sg-1'] })), {});
    assert.equal(input.LaunchTemplateConfigs?.[0]?.Overrides?.[0]?.SubnetId, 'subnet-1');
  });

  const placements: readonly (readonly [
    rule: string,
    group: string | null,
    ResponseLaunchTemplateData['Placement'],
    override: object | undefined,
  ])[] = [
    ["names the group's placement group", 'spread', {}, { GroupName: 'spread' }],
    [
      "names the group's placement group in place of the template's",
      'spread',
      { GroupId: 'pg-1' },
      { GroupName: 'spread' },
    ],
    [
      'names no placement group where the template has the same',
      'spread',
      { GroupName: 'spread', Tenancy: 'dedicated' },
      undefined,
    ],
    [
      'leaves the placement to the template where the group has no placement group',
      null,
      { GroupName: 'own', Tenancy: 'dedicated' },
      undefined,
    ],
    [
      'leaves a zone to the template where it is that of the markets',
      null,
      { AvailabilityZone: ZONE },
      undefined,
    ],
  ];
  for (const [rule, placementGroup, Placement, override] of placements) {
    test(rule, () => {
      const input = createFleetInput(request({ placementGroup }), { Placement });
      for (const one of input.LaunchTemplateConfigs?.[0]?.Overrides ?? []) {
        assert.deepEqual(one.Placement, override);
      }
    });
  }
});

describe('no fleet is asked for', () => {
  const rows: readonly (readonly [
    rule: string,
    Partial<FleetRequest>,
    ResponseLaunchTemplateData['Placement'],
    why: RegExp,
  ])[] = [
    [
      "where the template's interface is bound to a subnet",
      withInterface({ SubnetId: 'subnet-9' }),
      {},
      /interfaces/,
    ],
    [
      "where the template's interface exists already",
      withInterface({ NetworkInterfaceId: 'eni-1' }),
      {},
      /interfaces/,
    ],
    ['where the template names another zone', {}, { AvailabilityZone: 'eu-west-1b' }, /zone/],
    [
      'where the template names a zone by an id, which cannot be compared',
      {},
      { AvailabilityZoneId: 'euw1-az1' },
      /zone/,
    ],
    [
      "where the group's placement group would cost the template's tenancy",
      { placementGroup: 'spread' },
      { Tenancy: 'dedicated' },
      /placement/,
    ],
  ];
  for (const [rule, changes, Placement, why] of rows) {
    test(rule, () => {
      assert.throws(
        () => createFleetInput(request(changes), { Placement }),
        (thrown) =>
          thrown instanceof Failure &&
          thrown.code === 'invalid_request' &&
          thrown.disposition === 'reject' &&
          why.test(thrown.message),
      );
    });
  }
});

describe('the answer of a fleet', () => {
  test('tells the market by the type that was launched', () => {
    const { launched, failures } = fleetAnswer(request(), {
      Instances: [{ InstanceIds: ['i-1'], InstanceType: 'm5a.large', Lifecycle: 'spot' }],
    });
    assert.deepEqual(launched, { instanceId: 'i-1', market: M5A });
    assert.deepEqual(failures, []);
  });

  test('tells the market by the override where the instance has no type', () => {
    const { launched } = fleetAnswer(request(), {
      Instances: [
        { InstanceIds: ['i-1'], LaunchTemplateAndOverrides: { Overrides: { InstanceType: 'c6i.large' } } },
      ],
    });
    assert.deepEqual(launched, { instanceId: 'i-1', market: C6I });
  });

  test('never loses an instance, also where neither tells its type', () => {
    const { launched } = fleetAnswer(request(), {
      Instances: [{ InstanceIds: [] }, { InstanceIds: ['i-1'] }],
    });
    assert.equal(launched?.instanceId, 'i-1');
  });

  const codes: readonly (readonly [code: string, FailureCode: string, disposition: string])[] = [
    ['InsufficientInstanceCapacity', 'market_unavailable', 'next'],
    ['UnfulfillableCapacity', 'market_unavailable', 'next'],
    ['InsufficientFreeAddressesInSubnet', 'market_unavailable', 'next'],
    ['MaxSpotInstanceCountExceeded', 'quota_exceeded', 'next'],
    ['RequestLimitExceeded', 'throttled', 'retry'],
    ['UnauthorizedOperation', 'denied', 'reject'],
    ['InvalidAMIID.NotFound', 'invalid_request', 'reject'],
    ['SomethingNew', 'invalid_request', 'reject'],
  ];
  for (const [code, failureCode, disposition] of codes) {
    test(`classifies ${code} of a market as a launch there would`, () => {
      const { launched, failures } = fleetAnswer(request(), { Errors: [error('m6i.large', code)] });
      assert.equal(launched, null);
      const [only] = failures;
      assert.ok(only !== undefined && failures.length === 1);
      assert.deepEqual(only.market, M6I);
      assert.deepEqual([only.failure.code, only.failure.disposition], [failureCode, disposition]);
      assert.match(only.failure.message, new RegExp(`^CreateFleet: ${code}: told so$`));
    });
  }

  test('may hold errors beside the instance', () => {
    const { launched, failures } = fleetAnswer(request(), {
      Instances: [{ InstanceIds: ['i-1'], InstanceType: 'm5a.large' }],
      Errors: [error('m6i.large', 'InsufficientInstanceCapacity')],
    });
    assert.equal(launched?.instanceId, 'i-1');
    assert.deepEqual(
      failures.map(({ market }) => market),
      [M6I],
    );
  });

  test('counts a market once, with the first that was said of it', () => {
    const { failures } = fleetAnswer(request(), {
      Errors: [
        error('m6i.large', 'InsufficientInstanceCapacity'),
        error('m6i.large', 'UnfulfillableCapacity'),
      ],
    });
    assert.equal(failures.length, 1);
    assert.match(failures[0]?.failure.message ?? '', /InsufficientInstanceCapacity/);
  });

  test('takes an error that names no market for every market', () => {
    const { failures } = fleetAnswer(request(), {
      Errors: [{ ErrorCode: 'UnfulfillableCapacity', ErrorMessage: 'told so' }],
    });
    assert.deepEqual(
      failures.map(({ market }) => market),
      MARKETS,
    );
  });

  test('without an instance and without an error means that nothing was launched', () => {
    assert.deepEqual(fleetAnswer(request(), {}), { launched: null, failures: [] });
  });
});

function error(type: 'm6i.large' | 'm5a.large', ErrorCode: string): CreateFleetError {
  const LaunchTemplateAndOverrides = { Overrides: { InstanceType: type, SubnetId: 'subnet-1' } };
  return { LaunchTemplateAndOverrides, Lifecycle: 'spot', ErrorCode, ErrorMessage: 'told so' };
}
