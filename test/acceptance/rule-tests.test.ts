import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { testCommand } from '../../src/cli/test.ts';
import { type Recorder, recorder, run } from '../unit/cli/daemon.ts';
import { fill, temporaryDirectory } from '../unit/config/temp-directory.ts';

const RULES = `rules:
  - name: replace-it
    on: { alert: Bad }
    cooldown: { for: 10m }
    then: [{ swap: { to: spot } }]
  - name: look-only
    on: { type: look.only }
    when: { all: [{ fact: group.desired, operator: greaterThan, value: 2 }] }
    mode: shadow
    then: [{ swap: { to: spot, urgent: true } }]
policies:
  - { name: lenient, groups: { names: [web] }, cooldown: 0, budgets: unlimited, minHealthy: 0 }
  - { name: for-others, groups: { names: [api] } }
`;

const CLOUD = `    cloud:
      groups:
        - name: web
          min: 1
          instances: [{ type: m5.large, zone: eu-west-1a, purchaseOption: spot, count: 4 }]
`;

/** A test of that name, its lists on lines of their own. */
function one(
  name: string,
  lists: { events?: readonly string[]; expect: readonly string[]; rest?: string },
): string {
  const list = (key: string, entries: readonly string[]): string =>
    entries.length === 0 ? '' : `    ${key}:\n${entries.map((entry) => `      - ${entry}\n`).join('')}`;
  const { events = [], expect, rest = '' } = lists;
  return `  - name: ${name}\n${CLOUD}${list('events', events)}${list('expect', expect)}${rest}`;
}

interface Ran extends Recorder {
  readonly directory: string;
  /** What was printed, paths from the directory on. */
  readonly lines: () => readonly string[];
}

async function ran(
  context: TestContext,
  tests: readonly string[],
  ...words: readonly string[]
): Promise<Ran> {
  const files = { 'web.yaml': RULES, 'web.test.yaml': `tests:\n${tests.join('')}` };
  const directory = await fill(await temporaryDirectory(context), files);
  const io = recorder();
  await run(testCommand(io), directory, ...words);
  const lines = (): readonly string[] => io.stdout().replaceAll(`${directory}/`, '').split('\n').slice(0, -1);
  return { ...io, directory, lines };
}

const BAD = '{ at: 1m, alert: { alertname: Bad, instance_id: i-00000000000000001 } }';

/** What holds of a test of these events: each row's test passes, and with its outcome turned it fails. */
const HOLDS: readonly {
  readonly rule: string;
  readonly events: readonly string[];
  readonly expect: readonly string[];
}[] = [
  {
    rule: 'an alert is decided on at its time, and carried out',
    events: [BAD],
    expect: [
      '{ at: 1m, rule: replace-it, outcome: dispatched, reason: matched, actions: [swap], instance: i-00000000000000001, group: web }',
      '{ at: 1m, run: under_way }',
      '{ at: 10m, run: succeeded, rule: replace-it, group: web, instance: i-00000000000000001 }',
      '{ at: 10m, group: web, facts: { desired: 4, inServiceCount: 4, marketCount: 2, diversityRatio: 50% } }',
    ],
  },
  {
    rule: 'what is repeated counts again, however soon',
    events: [BAD, BAD.replace('1m', '1m10s')],
    expect: [
      '{ at: 1m, rule: replace-it, outcome: dispatched }',
      '{ at: 1m10s, rule: replace-it, outcome: suppressed, reason: rule_cooldown }',
    ],
  },
  {
    rule: 'an alert that has resolved is told as such',
    events: [
      BAD,
      '{ at: 2m, alert: { labels: { alertname: Bad, instance_id: i-00000000000000001 }, status: resolved } }',
    ],
    expect: ['{ at: 2m, rule: replace-it, outcome: not_matched, reason: status }'],
  },
  {
    rule: 'an event wakes the rules of its type, and evidence tells why',
    events: [
      '{ at: 1m, event: { type: look.only, labels: { asg_name: web, instance_id: i-00000000000000002 } } }',
    ],
    expect: [
      '{ at: 1m, rule: look-only, outcome: shadowed, because: [{ fact: group.desired, result: "true", actual: 4 }] }',
    ],
  },
  {
    rule: 'what a person does to a group is seen',
    events: [
      '{ at: 1m, resize: { group: web, desired: 2, min: 2 } }',
      '{ at: 2m, event: { type: look.only, labels: { instance_id: i-00000000000000001 } } }',
      '{ at: 2m, tag: { group: web, key: team, value: shop } }',
    ],
    expect: [
      '{ at: 1m, group: web, facts: { desired: 2, min: 2, tags.team: null } }',
      '{ at: 2m, group: web, facts: { tags.team: shop, name: web } }',
    ],
  },
  {
    rule: 'an interrupted instance is gone two minutes later',
    events: [
      '{ at: 1m, interrupt: i-00000000000000001 }',
      '{ at: 0s, suspend: { group: web, processes: [Launch] } }',
    ],
    expect: [
      '{ at: 2m59s, group: web, facts: { inServiceCount: 4 } }',
      '{ at: 4m, group: web, facts: { inServiceCount: 3 } }',
    ],
  },
  {
    rule: 'an instance that somebody terminates is replaced by its group',
    events: ['{ at: 1m, terminate: i-00000000000000001 }'],
    expect: [
      '{ at: 10m, group: web, facts: { inServiceCount: 4, spotCount: 4 } }',
      '{ at: 10m, group: web, facts: { unhealthyCount: 0, spotCount: { greaterThan: 3, lessThanInclusive: 4 } } }',
    ],
  },
  {
    rule: 'prices are those that are set',
    events: [
      '{ at: 1m, price: { type: m5.large, spot: 0.05 } }',
      '{ at: 1m, price: { type: m5.large, onDemand: 0.2 } }',
    ],
    expect: [
      '{ at: 1m, group: web, facts: { hourlyCost: 0.2, onDemandHourlyCost: 0.8, savingsRatio: 75% } }',
    ],
  },
];

describe('in a test of rules', () => {
  for (const { rule, events, expect } of HOLDS)
    test(rule, async (context) => {
      const { lines, code } = await ran(context, [one('a', { events, expect })]);
      assert.deepEqual(lines(), ['web.test.yaml', '  ok    a', '1 test: 1 passed, 0 failed']);
      assert.equal(code(), 0);
    });

  test('a spot market without capacity takes no launch, and the run tells why it failed', async (context) => {
    const text = one('a', {
      events: [BAD],
      expect: ['{ at: 10m, run: rolled_back, error: market_unavailable }'],
    });
    const { lines, code } = await ran(context, [
      text.replace('    events:', '      scarcity: 1\n    events:'),
    ]);
    assert.equal(lines().at(-1), '1 test: 1 passed, 0 failed');
    assert.equal(code(), 0);
  });
});

const GOOD =
  '{ at: 1m, rule: look-only, outcome: shadowed, reason: shadow_mode, group: web, instance: i-00000000000000002, actions: [swap], because: [{ fact: group.desired, result: "true", actual: 4 }] }';
const LOOK = '{ at: 1m, event: { type: look.only, labels: { instance_id: i-00000000000000002 } } }';
const RUN = '{ at: 10m, run: succeeded, rule: replace-it, group: web, instance: i-00000000000000001 }';

/** What fits in everything but one part. */
const MISFITS: readonly (readonly [part: string, expectation: string])[] = [
  ['time, by a second', GOOD.replace('at: 1m', 'at: 1m1s')],
  ['time, being later', GOOD.replace('at: 1m', 'at: 59s')],
  ['outcome', GOOD.replace('shadowed', 'dispatched')],
  ['reason', GOOD.replace('shadow_mode', 'matched')],
  ['group', GOOD.replace('group: web', 'group: api')],
  ['instance', GOOD.replace('0002', '0001')],
  ['actions', GOOD.replace('[swap]', '[swap, terminate]')],
  ['fact of the evidence', GOOD.replace('group.desired', 'group.min')],
  ['result of the evidence', GOOD.replace('"true"', '"false"')],
  ['value of the evidence', GOOD.replace('actual: 4', 'actual: 5')],
  ['state of the run', RUN.replace('succeeded', 'failed')],
  ['rule of the run', RUN.replace('replace-it', 'look-only')],
  ['group of the run', RUN.replace('group: web', 'group: api')],
  ['instance of the run', RUN.replace('0001', '0002')],
  ['error of the run', RUN.replace('run: succeeded', 'run: succeeded, error: no_candidate')],
];

describe('an expectation that fits but for the', () => {
  const play = (context: TestContext, expect: readonly string[]): Promise<Ran> => {
    const two = CLOUD.replace('      groups:\n', '      groups:\n        - { name: api }\n');
    return ran(context, [one('a', { events: [BAD, LOOK], expect }).replace(CLOUD, two)]);
  };

  test('nothing is met', async (context) => {
    assert.equal((await play(context, [GOOD, RUN])).code(), 0);
  });

  for (const [part, expectation] of MISFITS)
    test(`${part} is not met`, async (context) => {
      assert.equal((await play(context, [expectation])).code(), 1);
    });
});

/** The lines about one test with these lists, that of its file and the summary left aside. */
async function failure(
  context: TestContext,
  lists: Parameters<typeof one>[1],
): Promise<{ readonly lines: readonly string[]; readonly code: number }> {
  const { lines, code } = await ran(context, [one('a', lists)]);
  assert.equal(lines().at(-1), '1 test: 0 passed, 1 failed');
  return { lines: lines().slice(1, -1), code: code() };
}

describe('a test that fails shows what it expected, where, and', () => {
  test('the decisions of that time with their evidence', async (context) => {
    const { lines, code } = await failure(context, {
      events: ['{ at: 1m, event: { type: look.only, labels: { instance_id: i-00000000000000001 } } }'],
      expect: ['{ at: 1m, rule: look-only, outcome: dispatched, actions: [swap] }'],
    });
    assert.deepEqual(lines, [
      '  FAIL  a',
      '        web.test.yaml:11:9: expected at 1m: look-only is dispatched, with the actions swap',
      '            at 1m: look-only was shadowed (shadow_mode) for i-00000000000000001: group.desired 4 > 2',
      '              group.desired is 4; greaterThan 2 is true',
    ]);
    assert.equal(code, 1);
  });

  test('the nearest decision of the rule where it made none then', async (context) => {
    const { lines } = await failure(context, {
      events: [BAD],
      expect: ['{ at: 1m1s, rule: replace-it, outcome: dispatched }'],
    });
    assert.deepEqual(lines.slice(1), [
      '        web.test.yaml:11:9: expected at 1m1s: replace-it is dispatched',
      '            nothing was decided on replace-it then; the nearest time is',
      '            at 1m: replace-it was dispatched (matched) for i-00000000000000001: the rule has no conditions',
    ]);
  });

  test('that no rule listens to the event, where that is why', async (context) => {
    const { lines } = await failure(context, {
      events: ['{ at: 1m, alert: { alertname: Baad, instance_id: i-00000000000000001 } }'],
      expect: ['{ at: 1m, rule: replace-it, outcome: dispatched }'],
    });
    assert.deepEqual(lines.slice(2), [
      '            nothing was decided on replace-it in the whole test',
      '            no rule listens to events of type prometheus.server.alert.Baad',
    ]);
  });

  test('the values of the facts', async (context) => {
    const { lines } = await failure(context, {
      expect: [
        '{ at: 1m, group: web, facts: { desired: 5, spotCount: 4, onDemandRatio: { greaterThan: 10% }, tags.team: shop } }',
      ],
    });
    assert.deepEqual(lines.slice(1), [
      '        web.test.yaml:9:9: expected at 1m: web has desired 5, spotCount 4, onDemandRatio greaterThan 0.1, tags.team "shop"',
      '            desired is 4, not 5',
      '            onDemandRatio is 0, not greaterThan 0.1',
      '            tags.team is missing, not "shop"',
    ]);
  });

  test('the state of the last run', async (context) => {
    const { lines } = await failure(context, {
      events: [BAD],
      expect: ['{ at: 1m, run: succeeded, rule: replace-it }', '{ at: 30s, run: under_way }'],
    });
    assert.deepEqual(lines.slice(1), [
      '        web.test.yaml:11:9: expected at 1m: the last run of replace-it is succeeded',
      '            the run of replace-it for i-00000000000000001 is under_way',
      '        web.test.yaml:12:9: expected at 30s: the last run is under_way',
      '            no such run had been begun',
    ]);
  });

  test('why an event could not happen', async (context) => {
    const { lines } = await failure(context, {
      events: ['{ at: 1m, resize: { group: web, desired: 20 } }', '{ at: 2m, event: { type: coppice.x } }'],
      expect: ['{ at: 1m, group: web, facts: { desired: 4 } }'],
    });
    assert.equal(lines.length, 5);
    assert.equal(lines[1], '        web.test.yaml:9:9: expected at 1m: this happens');
    assert.match(lines[2] ?? '', /^ {12}.*20.*/);
    assert.equal(lines[3], '        web.test.yaml:10:9: expected at 2m: this happens');
    assert.match(lines[4] ?? '', /coppice\./);
  });

  test('decisions that nobody expects, where the test means to name all', async (context) => {
    const { lines } = await failure(context, {
      events: [BAD, BAD.replace('1m', '2m').replace('0001', '0002')],
      expect: ['{ at: 1m, rule: replace-it, outcome: dispatched }'],
      rest: '    exact: true\n',
    });
    assert.deepEqual(lines.slice(1), [
      '        web.test.yaml:13:12: expected no other decisions than those expected (exact: dispatched, shadowed, suppressed, failed)',
      "            at 2m: replace-it was suppressed (rule_cooldown) for i-00000000000000002: the rule's cooldown ends in 9m",
    ]);
  });
});
