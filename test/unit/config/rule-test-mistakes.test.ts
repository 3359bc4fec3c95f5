import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readChecked } from '../../../src/config/checked-file.ts';
import { formatProblem } from '../../../src/config/file-problem.ts';
import { ruleTestFileSchema } from '../../../src/config/rule-test-schema.ts';

const CLOUD = 'cloud: { groups: [{ name: web, instances: [{ type: m5.large, zone: eu-west-1a }] }] }';
const EXPECT = 'expect: [{ at: 0s, group: web, facts: { desired: 1 } }]';

/** The problems of a file with one test of these keys, each on a line of its own from line 3 on. */
function problemsOf(...lines: readonly string[]): readonly string[] {
  const text = ['tests:', '  - name: a', ...lines.map((line) => `    ${line}`), ''].join('\n');
  return readChecked('x.test.yaml', text, ruleTestFileSchema).problems.map((problem) =>
    formatProblem(problem).slice('x.test.yaml:'.length),
  );
}

const ofEvents = (event: string): readonly string[] => problemsOf(CLOUD, EXPECT, `events: [${event}]`);
const ofExpectations = (expectation: string): readonly string[] =>
  problemsOf(CLOUD, `expect: [${expectation}]`);

test('a test needs no more than a name, a cloud and an expectation', () => {
  assert.deepEqual(problemsOf(CLOUD, EXPECT), []);
});

interface Row {
  readonly rule: string;
  readonly found: () => readonly string[];
  readonly want: readonly string[];
}

const TESTS: readonly Row[] = [
  {
    rule: 'it expects something',
    found: () => problemsOf(CLOUD, 'expect: []'),
    want: ['4:13: error: tests[0].expect must not be empty; fill it in, or delete the key [empty]'],
  },
  {
    rule: 'it has a cloud',
    found: () => problemsOf(EXPECT),
    want: ["2:5: error: tests[0] needs the key 'cloud' [missing-key]"],
  },
  {
    rule: 'an unknown key is a mistake, and the known one is suggested',
    found: () => problemsOf(CLOUD, EXPECT, 'polices: own'),
    want: ["5:5: error: tests[0] has no key 'polices'; did you mean 'policies'? [unknown-key]"],
  },
  {
    rule: 'it begins at a time',
    found: () => problemsOf(CLOUD, EXPECT, 'start: monday'),
    want: [
      '5:12: error: tests[0].start must be a time such as 2026-01-05T09:00:00Z, not "monday" [wrong-value]',
    ],
  },
  {
    rule: 'policies are a word or a list',
    found: () => problemsOf(CLOUD, EXPECT, 'policies: none'),
    want: [
      '5:15: error: tests[0].policies must be inherit, own, or a list of policies, not "none" [wrong-value]',
    ],
  },
  {
    rule: 'a policy of its own is held to the same as in a rule file',
    found: () => problemsOf(CLOUD, EXPECT, 'policies: [{ name: all, groups: {} }]'),
    want: [
      '5:37: error: tests[0].policies[0].groups would select every group; to mean that, write names: ["*"] [selects-all]',
    ],
  },
  {
    rule: 'exact names outcomes',
    found: () => problemsOf(CLOUD, EXPECT, 'exact: [dispatch]'),
    want: [
      `5:13: error: tests[0].exact[0] must be one of dispatched, shadowed, suppressed, not_matched, failed, not "dispatch"; did you mean 'dispatched'? [wrong-value]`,
    ],
  },
];

const EVENTS: readonly Row[] = [
  {
    rule: 'something happens',
    found: () => ofEvents('{ at: 0s }'),
    want: [
      '5:14: error: tests[0].events[0] needs one of the keys alert, event, interrupt, terminate, stop, break, mend, resize, tag, suspend, resume, capacity, price [missing-key]',
    ],
  },
  {
    rule: 'only one thing happens',
    found: () => ofEvents('{ at: 0s, stop: i-00000000000000001, mend: i-00000000000000001 }'),
    want: [
      '5:14: error: tests[0].events[0] must have only one of the keys alert, event, interrupt, terminate, stop, break, mend, resize, tag, suspend, resume, capacity, price [mixed-keys]',
    ],
  },
  {
    rule: 'it happens within a day',
    found: () => ofEvents('{ at: 25h, stop: i-00000000000000001 }'),
    want: [
      '5:20: error: tests[0].events[0].at must be at most 1d: a test lasts no longer, not "25h"; begin it later with start [out-of-range]',
    ],
  },
  {
    rule: 'an alert has a name, with nothing but labels',
    found: () => ofEvents('{ at: 0s, alert: { name: Bad } }'),
    want: ["5:31: error: tests[0].events[0].alert needs the label 'alertname' [missing-key]"],
  },
  {
    rule: 'an alert has a name, with all that it can have',
    found: () => ofEvents('{ at: 0s, alert: { labels: { name: Bad } } }'),
    want: ["5:41: error: tests[0].events[0].alert.labels needs the label 'alertname' [missing-key]"],
  },
  {
    rule: 'labels are text',
    found: () => ofEvents('{ at: 0s, alert: { alertname: Bad, count: 5 } }'),
    want: [
      '5:56: error: tests[0].events[0].alert.count must be text, not 5; put it in quotes: "5" [wrong-type]',
    ],
  },
  {
    rule: 'an alert fires or has resolved',
    found: () => ofEvents('{ at: 0s, alert: { labels: { alertname: Bad }, status: fired } }'),
    want: [
      `5:69: error: tests[0].events[0].alert.status must be one of firing, resolved, not "fired" [wrong-value]`,
    ],
  },
  {
    rule: 'beside the labels of an alert there are only its annotations and its status',
    found: () => ofEvents('{ at: 0s, alert: { labels: { alertname: Bad }, annotation: {} } }'),
    want: [
      "5:61: error: tests[0].events[0].alert has no key 'annotation'; did you mean 'annotations'? [unknown-key]",
    ],
  },
  {
    rule: 'an alert is a map',
    found: () => ofEvents('{ at: 0s, alert: Bad }'),
    want: [
      '5:31: error: tests[0].events[0].alert must be a map of labels, or {labels, annotations, status}, not "Bad" [wrong-type]',
    ],
  },
  {
    rule: 'an event has a type',
    found: () => ofEvents('{ at: 0s, event: { labels: {} } }'),
    want: ["5:31: error: tests[0].events[0].event needs the key 'type' [missing-key]"],
  },
  {
    rule: 'what happens to a group happens to one of the cloud',
    found: () => ofEvents('{ at: 0s, resize: { group: wep, desired: 2 } }'),
    want: [
      `5:41: error: tests[0].events[0].resize.group must be a group of the cloud, not "wep"; did you mean 'web'? [wrong-value]`,
    ],
  },
  {
    rule: 'what happens to an instance happens to one of the cloud',
    found: () => ofEvents('{ at: 0s, interrupt: i-00000000000000002 }'),
    want: [
      '5:35: error: tests[0].events[0].interrupt must be the id of an instance of the cloud, not "i-00000000000000002" [wrong-value]',
    ],
  },
];

const EXPECTATIONS: readonly Row[] = [
  {
    rule: 'it is one of a decision, a run or facts',
    found: () => ofExpectations('{ at: 0s, rule: a-rule }'),
    want: ['4:14: error: tests[0].expect[0] must have one of the keys outcome, run, facts [missing-key]'],
  },
  {
    rule: 'it is only one of them',
    found: () => ofExpectations('{ at: 0s, group: web, run: failed, facts: {} }'),
    want: ['4:14: error: tests[0].expect[0] must have only one of the keys run and facts [mixed-keys]'],
  },
  {
    rule: 'a fact is one of a group, without the prefix',
    found: () => ofExpectations('{ at: 0s, group: web, facts: { marketCont: 2 } }'),
    want: [
      "4:45: error: tests[0].expect[0].facts.marketCont is no fact of a group; did you mean 'marketCount'? [unknown-fact]",
    ],
  },
  {
    rule: 'a value is of the type of its fact',
    found: () => ofExpectations('{ at: 0s, group: web, facts: { desired: "2" } }'),
    want: [
      '4:54: error: tests[0].expect[0].facts.desired must be a number, as the fact is, not "2" [bad-value]',
    ],
  },
  {
    rule: 'a text has no bounds',
    found: () => ofExpectations('{ at: 0s, group: web, facts: { name: { lessThan: 2 } } }'),
    want: ['4:51: error: tests[0].expect[0].facts.name must be a string, as the fact is [bad-value]'],
  },
  {
    rule: 'a bound is one of the operators for numbers',
    found: () => ofExpectations('{ at: 0s, group: web, facts: { desired: { atMost: 2 } } }'),
    want: [
      "4:56: error: tests[0].expect[0].facts.desired has no key 'atMost'; known are lessThan, lessThanInclusive, greaterThan, greaterThanInclusive [unknown-key]",
    ],
  },
  {
    rule: 'a reason is one of the closed set, of which those that are meant are suggested',
    found: () => ofExpectations('{ at: 0s, rule: a-rule, outcome: suppressed, reason: cooldown }'),
    want: [
      `4:67: error: tests[0].expect[0].reason must be a reason of a decision, see docs/reasons.md, not "cooldown"; did you mean 'policy_cooldown' or 'rule_cooldown'? [wrong-value]`,
    ],
  },
  {
    rule: 'the error of a run is one of the closed sets',
    found: () => ofExpectations('{ at: 0s, run: failed, error: timedout }'),
    want: [
      `4:44: error: tests[0].expect[0].error must be a reason of a failed run, see docs/reasons.md, not "timedout"; did you mean 'timeout'? [wrong-value]`,
    ],
  },
  {
    rule: 'an action is one that there is',
    found: () => ofExpectations('{ at: 0s, rule: a-rule, outcome: dispatched, actions: [swop] }'),
    want: [
      `4:69: error: tests[0].expect[0].actions[0] must be one of swap, detach, terminate, http, plugin, not "swop"; did you mean 'swap'? [wrong-value]`,
    ],
  },
  {
    rule: 'evidence is of a fact',
    found: () =>
      ofExpectations('{ at: 0s, rule: a-rule, outcome: dispatched, because: [{ fact: group.desird }] }'),
    want: [
      `4:77: error: tests[0].expect[0].because[0].fact must be the name of a fact, not "group.desird"; did you mean 'group.desired'? [unknown-fact]`,
    ],
  },
  {
    rule: 'a group is one of the cloud',
    found: () => ofExpectations('{ at: 0s, run: failed, group: api }'),
    want: [
      '4:44: error: tests[0].expect[0].group must be a group of the cloud, not "api"; there are web [wrong-value]',
    ],
  },
];

for (const [about, rows] of Object.entries({
  'a test': TESTS,
  'an event': EVENTS,
  'an expectation': EXPECTATIONS,
}))
  describe(`of ${about}`, () => {
    for (const { rule, found, want } of rows) test(rule, () => assert.deepEqual(found(), want));
  });

test('two tests of a file have different names', () => {
  const one = `{ name: a, ${CLOUD}, ${EXPECT} }`;
  const { problems } = readChecked('x.test.yaml', `tests:\n  - ${one}\n  - ${one}\n`, ruleTestFileSchema);
  assert.deepEqual(problems.map(formatProblem), [
    'x.test.yaml:3:5: error: tests[1] has the name of another test of the file [duplicate-name]',
  ]);
});

test('a name that several groups have must be the whole one', () => {
  const groups = 'cloud: { groups: [{ name: web }, { name: web, region: us-east-1 }] }';
  assert.deepEqual(problemsOf(groups, EXPECT), [
    '4:31: error: tests[0].expect[0].group names several groups of the cloud, not "web"; write account/region/name [wrong-value]',
  ]);
  assert.deepEqual(problemsOf(groups, EXPECT.replace('web', '123456789012/us-east-1/web')), []);
});
