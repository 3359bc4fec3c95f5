import assert from 'node:assert/strict';
import test from 'node:test';
import { formatProblem } from '../../../src/config/file-problem.ts';
import { mergeRules } from '../../../src/config/merge.ts';
import { ruleFile } from './temp-directory.ts';

function problemsOf(files: Readonly<Record<string, string>>): readonly string[] {
  const named = Object.entries(files).map(([file, text]) => ({ file, text }));
  return mergeRules(named).problems.map(formatProblem);
}

const COMPLETE = `
rules:
  - name: full
    description: Everything that a rule can say.
    on:
      - { alert: Spot, matchers: ['env="prod"'], status: any, repeats: false }
      - { type: com.example.* }
      - { cron: "0 3 * * mon-fri", timezone: Europe/Budapest }
    subject: { instance: [node_id], group: [pool] }
    when:
      all:
        - { fact: instance.ageSeconds, operator: greaterThan, value: 15m }
        - { fact: group.diversityRatio, operator: lessThan, value: 20% }
        - { not: { condition: calm } }
        - { fact: event.labels.window, operator: in, value: [15m, 20%] }
        - { fact: group.desired, operator: greaterThan, value: { fact: group.min } }
    target: { pick: oldest, limit: 2 }
    delay: 5m
    cooldown: { for: 15m, per: [group, labels.cluster], after: success }
    limits: { concurrent: 2, max: 5, per: 1h }
    then:
      - http: { url: "http://pager.internal/" }
        onFailure: continue
        timeout: 90s
        retries: 2
      - swap:
          to: spot
          terminate: false
          urgent: false
          order: launch-first
          headroom: refuse
          fallbackToOnDemand: true
          lifecycleHooks: ignore
          waits: { running: 1m, inService: 2m, healthyTarget: 3m, beforeRelease: 4m, release: 5m }
          minSaving: 20%
          beforeRelease:
            - http: { url: "https://drainer.internal/drain", headers: { X-Team: web }, bearerTokenFile: /run/token }
            - http: { url: "http://pager.internal:8080/" }
    mode: shadow
    enabled: false
  - name: short
    on: { every: 5m }
    target: { pick: oldest }
    cooldown: { for: 1h }
    then: [{ swap: {} }]
  - name: take-out
    on: { alert: Odd }
    then: [{ detach: { replace: false, urgent: true } }]
  - name: end
    on: { alert: Bad }
    cooldown: { for: 1h }
    then: [{ terminate: {} }]
conditions:
  calm: { fact: history.lastSwapAgeSeconds, operator: greaterThan, value: 1h }
policies:
  - name: complete
    description: Everything that a policy can say.
    groups: { names: ["prod-*"], tags: { env: prod }, regions: [eu-west-1], accounts: ["012345678901"] }
    paused: true
    onDemand: { base: 2, percentAboveBase: 20 }
    diversity: { maxMarketShare: 20%, minMarkets: 3 }
    instanceTypes:
      allow: ["m*"]
      deny: ["*.metal"]
      architectures: [arm64]
      generations: [current]
      vcpus: 1x..2x
      memory: 1x..1.5x
      burstable: true
      maxPriceRatio: 0.8
    cooldown: 0
    budgets:
      - { swaps: 10%, per: 1h }
      - { swaps: 3, per: 24h }
      - { swaps: 0, schedule: "0 9 * * mon-fri", duration: 8h, timezone: Europe/Budapest }
      - { swaps: 1, per: 30m, schedule: "0 0 * * sat", duration: 1d }
    minHealthy: 90%
    minInstanceAge: 10m
    swap:
      order: detach-first
      headroom: detach-first
      fallbackToOnDemand: false
      lifecycleHooks: ignore
      waits: { running: 5m, inService: 1m, healthyTarget: 90s, beforeRelease: 1h, release: 10m }
  - name: bare
    groups: { names: ["*"] }
    budgets: unlimited
`;

/** The linter takes a literal `then` in an object for a promise. */
const THEN = 'then';

const LOADED = mergeRules([{ file: 'a.yaml', text: COMPLETE }]);

test('a file that says everything has no problems', () => assert.deepEqual(LOADED.problems, []));

test('everything that a rule can say reaches its spec, with plain units', () => {
  assert.deepEqual(LOADED.rules[0], {
    name: 'full',
    description: 'Everything that a rule can say.',
    on: [
      {
        kind: 'type',
        type: 'prometheus.server.alert.Spot',
        matchers: ['env="prod"'],
        status: 'any',
        repeats: false,
      },
      { kind: 'type', type: 'com.example.*', matchers: [], status: 'firing', repeats: true },
      { kind: 'cron', cron: '0 3 * * mon-fri', timezone: 'Europe/Budapest' },
    ],
    subject: { instance: ['node_id'], group: ['pool'] },
    when: {
      all: [
        { fact: 'instance.ageSeconds', operator: 'greaterThan', value: 900 },
        { fact: 'group.diversityRatio', operator: 'lessThan', value: 0.2 },
        { not: { condition: 'calm' } },
        // A label is text: nothing says that a time or a ratio is meant.
        { fact: 'event.labels.window', operator: 'in', value: ['15m', '20%'] },
        { fact: 'group.desired', operator: 'greaterThan', value: { fact: 'group.min' } },
      ],
    },
    target: { pick: 'oldest', limit: 2 },
    delayMs: 300_000,
    cooldown: { forMs: 900_000, per: ['group', 'labels.cluster'], after: 'success' },
    limits: { concurrent: 2, starts: { max: 5, perMs: 3_600_000 } },
    [THEN]: [
      {
        kind: 'http',
        http: { url: 'http://pager.internal/', headers: {}, bearerTokenFile: null },
        onFailure: 'continue',
        timeoutMs: 90_000,
        retries: 2,
      },
      {
        kind: 'swap',
        swap: {
          to: 'spot',
          terminate: false,
          urgent: false,
          order: 'launch-first',
          headroom: 'refuse',
          fallbackToOnDemand: true,
          lifecycleHooks: 'ignore',
          waits: {
            runningMs: 60_000,
            inServiceMs: 120_000,
            healthyTargetMs: 180_000,
            beforeReleaseMs: 240_000,
            releaseMs: 300_000,
          },
          minSaving: 0.2,
          beforeRelease: [
            {
              kind: 'http',
              http: {
                url: 'https://drainer.internal/drain',
                headers: { 'X-Team': 'web' },
                bearerTokenFile: '/run/token',
              },
            },
            {
              kind: 'http',
              http: { url: 'http://pager.internal:8080/', headers: {}, bearerTokenFile: null },
            },
          ],
        },
      },
    ],
    mode: 'shadow',
    enabled: false,
  });
});

test('a removal has two switches, with their defaults', () => {
  assert.deepEqual(LOADED.rules[2]?.[THEN], [{ kind: 'detach', detach: { replace: false, urgent: true } }]);
  assert.deepEqual(LOADED.rules[3]?.[THEN], [
    { kind: 'terminate', terminate: { replace: true, urgent: false } },
  ]);
});

test('what a rule does not say has its default', () => {
  assert.deepEqual(LOADED.rules[1], {
    name: 'short',
    description: null,
    on: [{ kind: 'every', everyMs: 300_000 }],
    subject: null,
    when: null,
    target: { pick: 'oldest', limit: 1 },
    delayMs: 0,
    cooldown: { forMs: 3_600_000, per: ['group'], after: 'dispatch' },
    limits: null,
    [THEN]: [
      {
        kind: 'swap',
        swap: {
          to: 'auto',
          terminate: true,
          urgent: false,
          order: null,
          headroom: null,
          fallbackToOnDemand: null,
          lifecycleHooks: null,
          waits: {},
          beforeRelease: [],
        },
      },
    ],
    mode: 'enforce',
    enabled: true,
  });
});

test('everything that a policy can say reaches its spec', () => {
  assert.deepEqual(LOADED.policies[0], {
    name: 'complete',
    description: 'Everything that a policy can say.',
    groups: { names: ['prod-*'], tags: { env: 'prod' }, regions: ['eu-west-1'], accounts: ['012345678901'] },
    paused: true,
    onDemand: { base: 2, shareAboveBase: 0.2 },
    diversity: { maxMarketShare: 0.2, minMarkets: 3 },
    instanceTypes: {
      allow: ['m*'],
      deny: ['*.metal'],
      architectures: ['arm64'],
      generations: ['current'],
      vcpus: { from: 1, to: 2 },
      memory: { from: 1, to: 1.5 },
      burstable: true,
      maxPriceRatio: 0.8,
    },
    cooldownMs: 0,
    budgets: [
      { swaps: { kind: 'share', value: 0.1 }, perMs: 3_600_000 },
      { swaps: { kind: 'count', value: 3 }, perMs: 86_400_000 },
      {
        swaps: { kind: 'count', value: 0 },
        window: { schedule: '0 9 * * mon-fri', timezone: 'Europe/Budapest', durationMs: 28_800_000 },
      },
      {
        swaps: { kind: 'count', value: 1 },
        perMs: 1_800_000,
        window: { schedule: '0 0 * * sat', timezone: 'UTC', durationMs: 86_400_000 },
      },
    ],
    minHealthy: 0.9,
    minInstanceAgeMs: 600_000,
    swap: {
      order: 'detach-first',
      headroom: 'detach-first',
      fallbackToOnDemand: false,
      lifecycleHooks: 'ignore',
      waits: {
        runningMs: 300_000,
        inServiceMs: 60_000,
        healthyTargetMs: 90_000,
        beforeReleaseMs: 3_600_000,
        releaseMs: 600_000,
      },
    },
  });
});

test('what a policy does not say stays unsaid, so that its safeties hold', () => {
  assert.deepEqual(LOADED.policies[1], {
    name: 'bare',
    description: null,
    groups: { names: ['*'] },
    budgets: 'unlimited',
  });
});

const PRICED: readonly (readonly [
  rule: string,
  swap: string,
  pick: string,
  minSaving: number | undefined,
])[] = [
  ['a rule that picks for the price must save 15%', '{}', 'costliest-spot', 0.15],
  ['unless it says how much', '{ minSaving: 30% }', 'costliest-spot', 0.3],
  ['but not to on-demand, where nothing is sought', '{ to: on-demand }', 'costliest-spot', undefined],
  ['nor where the instance goes away anyway', '{ urgent: true }', 'costliest-spot', undefined],
  ['a rule that picks for something else need not save anything', '{}', 'oldest', undefined],
  ['unless it says so', '{ minSaving: 0.1 }', 'oldest', 0.1],
];
for (const [rule, swap, pick, minSaving] of PRICED) {
  test(`of prices, ${rule}`, () => {
    const text = `rules: [{ name: r, on: { every: 5m }, target: { pick: ${pick} }, cooldown: { for: 1h }, then: [{ swap: ${swap} }] }]`;
    const { rules, problems } = mergeRules([{ file: 'a.yaml', text }]);
    const action = rules[0]?.then[0];
    assert.deepEqual(problems, []);
    assert.equal(action?.kind === 'swap' ? action.swap.minSaving : null, minSaving);
  });
}

test('weights of a policy may be given one by one', () => {
  const text = 'policies: [{ name: p, groups: { names: ["*"] }, weights: { cost: 0, diversity: 2.5 } }]';
  const { policies } = mergeRules([{ file: 'a.yaml', text }]);
  assert.deepEqual(policies[0]?.weights, { cost: 0, diversity: 2.5 });
});

test('named conditions are found by name, and nothing else is', () => {
  assert.deepEqual(Object.keys(LOADED.conditions), ['calm']);
  assert.equal(LOADED.conditions['constructor'], undefined);
});

test('all problems of all files are told at once, by file and place', () => {
  const files = {
    'b.yaml': ruleFile('replace').replace('swap: {}', 'swap: { to: spt }'),
    'a.yaml': `${ruleFile('Replace')}polices: []\n`,
    'c.yaml': 'rules: [\n',
  };
  assert.deepEqual(problemsOf(files), [
    'a.yaml:2:11: error: rules[0].name must be in kebab-case, e.g. replace-terminating-spot, not "Replace" [bad-name]',
    "a.yaml:6:1: error: the file has no key 'polices'; did you mean 'policies'? [unknown-key]",
    'b.yaml:5:26: error: rules[0].then[0].swap.to must be one of auto, spot, on-demand, same, not "spt"; did you mean \'spot\'? [wrong-value]',
    'c.yaml:2:1: error: this is not YAML: flow sequence in block collection must be sufficiently indented and end with a ] [yaml-syntax]',
  ]);
});

test('a mistake in the structure of one rule does not hide what another one means', () => {
  const broken = ruleFile('broken').replace('cooldown', 'colldown');
  const unknown = ruleFile('unknown').replace(
    'then:',
    'when: { fact: group.x, operator: equal, value: 1 }\n    then:',
  );
  assert.deepEqual(
    problemsOf({ 'a.yaml': broken, 'b.yaml': unknown }).map((line) => line.replace(/: error:.*\[/, ' [')),
    ['a.yaml:4:5 [unknown-key]', 'b.yaml:5:19 [unknown-fact]'],
  );
});

test('the place of a finding is right behind a rule that could not be read', () => {
  const second = ruleFile('second')
    .replace('rules:\n', '')
    .replace('alert: SpotTerminationNotice', 'alert: X, matchers: ["("]');
  const file = ruleFile('first').replace('cooldown', 'colldown') + second;
  assert.match(problemsOf({ 'a.yaml': file })[1] ?? '', /^a\.yaml:7:32: error: .* \[bad-matcher\]$/);
});

test('a name is told with both its places when it is given twice in two files', () => {
  assert.deepEqual(problemsOf({ 'a.yaml': ruleFile('same'), 'b.yaml': ruleFile('same') }), [
    "b.yaml:2:11: error: the rule 'same' is at a.yaml:2:11 already; rename one [duplicate-name]",
  ]);
});

test('a condition given twice is placed at its name', () => {
  const file = 'conditions:\n  calm: { fact: group.unhealthyCount, operator: equal, value: 0 }\n';
  assert.deepEqual(problemsOf({ 'a.yaml': file, 'b.yaml': file }), [
    "b.yaml:2:3: error: the condition 'calm' is at a.yaml:2:3 already; rename one [duplicate-name]",
  ]);
});

test('a rule and a policy may have the same name: nothing refers to both', () => {
  const policy = 'policies:\n  - { name: spot, groups: { names: ["*"] } }\n';
  assert.deepEqual(problemsOf({ 'a.yaml': ruleFile('spot'), 'b.yaml': policy }), []);
});

test('a condition that may stand in an unreadable file is not called missing', () => {
  const rule = ruleFile('replace').replace('then:', 'when: { condition: calm }\n    then:');
  assert.deepEqual(
    problemsOf({ 'a.yaml': rule, 'b.yaml': 'conditions: {' }).map((line) => line.slice(0, 6)),
    ['b.yaml'],
  );
  assert.match(problemsOf({ 'a.yaml': rule })[0] ?? '', /unknown-condition/);
});

test('the one trigger of a rule is found without a list around it, also under its own key', () => {
  const file = ruleFile('replace').replace('alert: SpotTerminationNotice', 'type: coppice.x');
  const [problem] = problemsOf({ 'a.yaml': file });
  assert.match(problem ?? '', /^a\.yaml:3:17: error/);
});

test('a large file is read to its end when its beginning is sound', () => {
  const many = Array.from({ length: 1000 }, (_, n) => ruleFile(`r-${n}`).replace('rules:\n', '')).join('');
  const { rules, problems } = mergeRules([{ file: 'a.yaml', text: `rules:\n${many}` }]);
  assert.deepEqual([rules.length, problems.length], [1000, 0]);
  const last = `${many}${ruleFile('Last').replace('rules:\n', '')}`;
  assert.deepEqual(
    problemsOf({ 'a.yaml': `rules:\n${last}` }).map((line) => line.replace(/: error.*/, '')),
    ['a.yaml:4002:11'],
  );
});

test('and so is one that is a single line of JSON', () => {
  const rules = Array.from({ length: 500 }, (_, n) => ({
    name: `r-${n}`,
    on: { alert: 'X' },
    cooldown: { for: '1h' },
    [THEN]: [{ swap: {} }],
  }));
  const { rules: read, problems } = mergeRules([{ file: 'a.json.yaml', text: JSON.stringify({ rules }) }]);
  assert.deepEqual([read.length, problems.length], [500, 0]);
});

test('of a large file whose beginning is full of mistakes the rest is not looked at, and it says so', () => {
  const many = Array.from({ length: 1000 }, (_, n) => ruleFile(`R-${n}`).replace('rules:\n', '')).join('');
  const problems = problemsOf({ 'a.yaml': `rules:\n${many}` });
  assert.ok(problems.length < 120);
  assert.match(problems.at(-1) ?? '', /so much is wrong that not all of it was looked at/);
});

test('a condition that is not well-formed is not called missing, and one that is missing is told all the same', () => {
  const rule = ruleFile('replace').replace(
    'then:',
    'when: { any: [{ condition: calm }, { condition: clam }] }\n    then:',
  );
  const conditions = 'conditions:\n  calm: { fact: group.unhealthyCount, operater: equal, value: 0 }\n';
  assert.deepEqual(
    problemsOf({ 'a.yaml': rule, 'b.yaml': conditions }).map((line) => line.replace(/: error:.*\[/, ' [')),
    ['a.yaml:5:53 [unknown-condition]', 'b.yaml:2:39 [unknown-key]'],
  );
});

test('more than a thousand named conditions are refused, over all files', () => {
  const file = (from: number): string =>
    `conditions:\n${Array.from({ length: 200 }, (_, n) => `  c${from + n}: { fact: event.type, operator: exists }\n`).join('')}`;
  const files = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`${n}.yaml`, file(n * 200)]));
  assert.deepEqual(problemsOf(files), [
    '5.yaml:2:3: error: there are more than 1000 named conditions; are they made by a program? [too-many-conditions]',
  ]);
});

test('files after more problems than are told are not read', () => {
  const bad = `rules: [${'{}, '.repeat(250)}]`;
  const problems = problemsOf({ 'a.yaml': bad, 'b.yaml': bad, 'c.yaml': 'rulez: []' });
  assert.equal(problems.length, 501);
  assert.ok(problems.every((line) => !line.startsWith('c.yaml')));
});

test('a byte order mark is no part of the file', () => {
  assert.deepEqual(problemsOf({ 'a.yaml': `\ufeff${ruleFile('replace')}` }), []);
});

test('lines may end in CRLF, and places are right all the same', () => {
  assert.deepEqual(problemsOf({ 'a.yaml': ruleFile('replace').replaceAll('\n', '\r\n') }), []);
  assert.match(
    problemsOf({ 'a.yaml': ruleFile('Replace').replaceAll('\n', '\r\n') })[0] ?? '',
    /^a\.yaml:2:11: error/,
  );
});
