import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import test from 'node:test';
import { formatProblem } from '../../../src/config/file-problem.ts';
import { mergeRules } from '../../../src/config/merge.ts';
import { type CompiledCondition, compileCondition, type Truth } from '../../../src/engine/condition.ts';
import { decide } from '../../../src/engine/decide.ts';
import type { Facts } from '../../../src/engine/fact.ts';
import type { ConditionSpec } from '../../../src/engine/rule.ts';
import { event, fleet, group, instance, memory, NOW, rule, ruleset } from './build.ts';

/**
 * What json-rules-engine 7.3 does that nobody expects, by the numbers of the table in which it was measured; each row shows that
 * a rule of Coppice is free of it. What is refused is refused by the loader, as `coppice check` and the daemon do.
 */
const GOTCHAS: Readonly<Record<number, readonly [gotcha: string, free: () => Promise<void> | void]>> = {
  1: [
    'overlapping runs of one engine skip rules in silence',
    async () => {
      const condition = compiled({
        all: [equal('event.labels.n', 'even'), { not: equal('event.labels.m', 'x') }],
      });
      const runs = Array.from({ length: 500 }, (_, n) =>
        truth(condition, { 'event.labels.n': n % 2 === 0 ? 'even' : 'odd', 'event.labels.m': 'y' }),
      );
      const wrong = (await Promise.all(runs)).filter(
        (found, n) => found !== (n % 2 === 0 ? 'true' : 'false'),
      );
      assert.deepEqual(wrong, []);
    },
  ],
  2: [
    'a fact that is not there rejects the whole run',
    async () => {
      const condition = compiled({
        any: [equal('event.labels.gone', 'x'), equal('event.labels.env', 'prod')],
      });
      assert.equal(await truth(condition, { 'event.labels.env': 'prod' }), 'true');
    },
  ],
  3: [
    'after a rejection rules go on to be run and to emit',
    async () => {
      const condition = compiled(equal('event.labels.env', 'prod'));
      const broken = Object.defineProperty({}, 'event.labels.env', {
        enumerable: true,
        get: () => {
          throw new Error('broken fact');
        },
      });
      const [first, second] = await Promise.allSettled([
        truth(condition, broken),
        truth(condition, { 'event.labels.env': 'prod' }),
      ]);
      assert.equal(first.status, 'rejected');
      assert.deepEqual(second, { status: 'fulfilled', value: 'true' });
    },
  ],
  4: [
    'unknown operators, conditions and bad paths are found at run time only',
    () => {
      refused('{ fact: event.type, operator: equals, value: x }', "did you mean 'equal'? [unknown-operator]");
      refused('{ condition: healthy }', '[unknown-condition]');
      refused('{ fact: event.type, operator: equal, value: x, path: "$.[" }', "has no key 'path'");
    },
  ],
  5: [
    'errors do not say which rule they are about',
    () =>
      refused('{ all: 5 }', 'rules.yaml:4:18: error: rules[0].when.all must be a list, not 5 [wrong-type]'),
  ],
  6: [
    'an empty all, and an empty any, are true',
    () => {
      refused('{ all: [] }', '[empty-condition]');
      refused('{ any: [] }', '[empty-condition]');
    },
  ],
  7: [
    'of all and any in one node all is ignored',
    () =>
      refused(
        '{ all: [{ condition: a }], any: [{ condition: b }] }',
        'only one of the keys all and any [mixed-keys]',
      ),
  ],
  8: [
    'unknown keys are ignored, and change the meaning',
    () => refused('{ fact: event.type, operator: equal, value: x, paht: $.a }', "has no key 'paht'"),
  ],
  9: [
    'labels are texts, so that a number never equals one, and texts are ordered by letters',
    () => {
      refused(
        '{ fact: event.labels.port, operator: equal, value: 9100 }',
        'write "9100" in quotes [bad-value]',
      );
      refused('{ fact: event.labels.port, operator: in, value: [9100] }', '[bad-value]');
      refused('{ fact: event.labels.size, operator: greaterThan, value: "9" }', '[bad-operator]');
      refused('{ fact: event.annotations.size, operator: equal, value: true }', '[bad-value]');
    },
  ],
  10: [
    'in with a text looks for a part of it, with a number it throws',
    () => {
      refused(
        '{ fact: event.labels.env, operator: in, value: production }',
        'takes a list of values [bad-value]',
      );
      refused('{ fact: group.desired, operator: notIn, value: 3 }', 'takes a list of values [bad-value]');
      refused('{ fact: group.desired, operator: "someValue:equal", value: [3] }', '[unknown-operator]');
    },
  ],
  11: [
    'a negation of a missing fact is true',
    async () => {
      const negations: ConditionSpec[] = [
        { fact: 'event.labels.env', operator: 'notEqual', value: 'prod' },
        { fact: 'event.labels.env', operator: 'notIn', value: ['prod'] },
        { not: equal('event.labels.env', 'prod') },
        { not: { not: equal('event.labels.env', 'prod') } },
        { not: { fact: 'group.desired', operator: 'lessThan', value: 3 } },
      ];
      for (const when of negations)
        assert.equal(await truth(compiled(when), {}), 'unknown', JSON.stringify(when));
    },
  ],
  12: [
    'a path into a fact that has no parts gives the fact',
    () => refused('{ fact: group.desired, operator: equal, value: 3, path: $.x }', "has no key 'path'"),
  ],
  13: [
    'a wildcard in a path gives a list, a value or nothing, as it happens',
    async () => {
      const condition = compiled(equal('event.labels.*', 'x'));
      assert.equal(await truth(condition, { 'event.labels.a': 'x' }), 'unknown');
      assert.equal(await truth(condition, { 'event.labels.*': 'x' }), 'true');
    },
  ],
  14: [
    'a label with ^ in its name cannot be read',
    async () => {
      for (const label of ['a^b', '^', 'a.b', 'a/b', 'a-b', "a['b']", '$', '@', '~', '`x'])
        assert.equal(
          await truth(compiled(equal(`event.labels.${label}`, 'x')), { [`event.labels.${label}`]: 'x' }),
          'true',
          label,
        );
    },
  ],
  15: [
    'a map as a value is compared by identity, and one with a key fact is a reference',
    async () => {
      refused('{ fact: event.type, operator: equal, value: { a: 1 } }', '[wrong-type]');
      refused(
        '{ fact: event.type, operator: equal, value: { fact: event.source, path: $.a } }',
        "has no key 'path'",
      );
      const two = compiled({ fact: 'group.desired', operator: 'equal', value: { fact: 'group.max' } });
      assert.equal(await truth(two, { 'group.desired': 3, 'group.max': 3 }), 'true');
      assert.equal(await truth(two, { 'group.desired': 3 }), 'unknown');
    },
  ],
  16: [
    'a rule whose event is called error rejects the run, and one called success fires twice',
    async () => {
      const names = ['error', 'success', 'failure', 'newlistener', 'removelistener'];
      const rules = names.map((name) => rule(name, { when: equal('event.labels.env', 'prod') }));
      const verdicts = await decided(rules, { env: 'prod' });
      assert.deepEqual(
        verdicts.map(({ decision: { rule: name, because } }) => [name, because.map(({ result }) => result)]),
        names.map((name) => [name, ['true']]),
      );
    },
  ],
  17: [
    'two rules may have one name',
    () => {
      const twice = fileWith('{ fact: event.type, operator: exists }').replace('rules:\n', '');
      const problems = problemsOf(fileWith('{ fact: event.type, operator: exists }') + twice);
      assert.match(
        problems.join('\n'),
        /the rule 'r' is at rules\.yaml:2:11 already; rename one \[duplicate-name\]/,
      );
    },
  ],
  18: [
    'a priority may be anything, and conditions are written into',
    async () => {
      refused('{ fact: event.type, operator: exists, priority: high }', "has no key 'priority'");
      assert.match(
        problemsOf(`${fileWith('{ fact: event.type, operator: exists }')}    priority: 1\n`).join('\n'),
        /has no key 'priority'/,
      );
      const frozen = deepFrozen({
        all: [equal('event.labels.env', 'prod'), { any: [{ not: equal('event.labels.x', 'y') }] }],
      });
      assert.equal(
        await truth(compiled(frozen), { 'event.labels.env': 'prod', 'event.labels.x': 'z' }),
        'true',
      );
    },
  ],
  19: [
    'a handler that fails rejects the run',
    () => assert.doesNotMatch(SOURCE, /onSuccess|onFailure|\.on\(|\.once\(/),
  ],
  20: [
    'an operator that is registered again is not taken where it was decorated',
    async () => {
      for (const operator of ['not:glob', 'someFact:equal', 'everyValue:equal', 'swap:equal'])
        refused(`{ fact: event.labels.env, operator: "${operator}", value: x }`, '[unknown-operator]');
      // Each condition has operators of its own, since they carry its patterns.
      const [one, other] = ['a*', 'b*'].map((value) =>
        compiled({ fact: 'event.labels.env', operator: 'glob', value }),
      );
      assert.ok(one !== undefined && other !== undefined);
      const facts = { 'event.labels.env': 'bb' };
      assert.deepEqual(await Promise.all([truth(one, facts), truth(other, facts)]), ['false', 'true']);
    },
  ],
  21: [
    'facts in the parameters of an event are put in at the top only, also when the rule failed',
    () => {
      assert.match(
        problemsOf(
          `${fileWith('{ fact: event.type, operator: exists }')}    event: { type: x, params: { fact: event.type } }\n`,
        ).join('\n'),
        /has no key 'event'/,
      );
      assert.doesNotMatch(SOURCE, /replaceFactsInEventParams/);
    },
  ],
  22: [
    'a fact that is a function is called, and one without a name throws',
    async () => {
      let calls = 0;
      const facts = { 'event.labels.env': () => String(calls++) } as unknown as Facts;
      await truth(compiled(equal('event.labels.env', 'prod')), facts);
      assert.equal(calls, 0);
      refused('{ fact: "", operator: exists }', '[empty]');
    },
  ],
  23: [
    'named conditions that contain each other never end, and take all memory',
    () => {
      const conditions =
        'conditions:\n  a: { all: [{ condition: b }, { condition: b }] }\n  b: { any: [{ condition: a }, { condition: a }] }\n';
      const problems = problemsOf(fileWith('{ condition: a }') + conditions);
      assert.deepEqual(problems.filter((line) => line.endsWith('[cyclic-condition]')).length, 2);
      const cyclic = {
        a: { all: [{ condition: 'b' }, { condition: 'b' }] },
        b: { any: [{ condition: 'a' }, { condition: 'a' }] },
      };
      const compiledAnyway = compileCondition({ condition: 'a' }, cyclic);
      assert.equal(compiledAnyway.ok, false);
    },
  ],
  24: [
    'each path is kept for ever by jsonpath-plus',
    async () => {
      const { JSONPath } = createRequire(createRequire(import.meta.url).resolve('json-rules-engine'))(
        'jsonpath-plus',
      ) as {
        JSONPath: { cache: object };
      };
      const before = Object.keys(JSONPath.cache).length;
      for (let n = 0; n < 1000; n++)
        await truth(compiled(equal(`event.labels.l${n}`, 'x')), { [`event.labels.l${n}`]: 'x' });
      assert.equal(Object.keys(JSONPath.cache).length, before);
    },
  ],
  25: [
    'whether texts are ordered depends on how they begin',
    () => {
      refused('{ fact: event.type, operator: lessThan, value: z }', '[bad-operator]');
      refused('{ fact: event.labels.at, operator: greaterThan, value: "2026-01-01" }', '[bad-operator]');
      refused('{ fact: group.desired, operator: lessThan, value: abc }', '[bad-value]');
      refused('{ fact: group.desired, operator: lessThan, value: .nan }', 'not NaN [wrong-type]');
    },
  ],
  26: [
    'a result holds copies of the conditions and the values of all facts',
    async () => {
      const { evaluate } = compiled(equal('event.labels.env', 'prod'));
      const result = await evaluate({ 'event.labels.env': 'prod', 'event.labels.secret': 'do not keep' });
      assert.deepEqual(Object.keys(result).sort(), ['decisive', 'evidence', 'truth']);
      assert.doesNotMatch(JSON.stringify(result), /do not keep/);
    },
  ],
  27: [
    'everything runs in one go, so that nothing else gets a turn',
    async () => {
      let turns = 0;
      const rules = Array.from({ length: 1000 }, (_, n) =>
        rule(`r-${n}`, { when: equal('event.labels.env', 'prod') }),
      );
      await decided(rules, { env: 'prod' }, async () => void turns++);
      assert.ok(turns >= 10, `${turns} turns in 1000 rules`);
    },
  ],
};

/** The one file that knows json-rules-engine, without its comments. */
const SOURCE = readFileSync(join(import.meta.dirname, '../../../src/engine/condition.ts'), 'utf8').replaceAll(
  /\/\*[\s\S]*?\*\/|\/\/.*/g,
  '',
);

function equal(fact: string, value: string): ConditionSpec {
  return { fact, operator: 'equal', value };
}

function compiled(when: ConditionSpec): CompiledCondition {
  const condition = compileCondition(when, {});
  if (!condition.ok) throw new Error(condition.message);
  return condition.value;
}

async function truth(condition: CompiledCondition, facts: Facts): Promise<Truth> {
  return (await condition.evaluate(facts)).truth;
}

function deepFrozen<T extends object>(value: T): T {
  for (const part of Object.values(value))
    if (typeof part === 'object' && part !== null) deepFrozen(part as object);
  return Object.freeze(value);
}

function fileWith(when: string): string {
  return `rules:\n  - name: r\n    on: { alert: X }\n    when: ${when}\n    cooldown: { for: 1h }\n    then: [{ swap: {} }]\n`;
}

function problemsOf(text: string): readonly string[] {
  return mergeRules([{ file: 'rules.yaml', text }]).problems.map(formatProblem);
}

/** The loader tells a problem of the condition, with its place. */
function refused(when: string, message: string): void {
  const problems = problemsOf(fileWith(when));
  assert.ok(
    problems.some((line) => line.startsWith('rules.yaml:4:') && line.includes(message)),
    problems.join('\n'),
  );
}

async function decided(
  rules: readonly ReturnType<typeof rule>[],
  labels: Record<string, string>,
  breathe?: () => Promise<void>,
): ReturnType<typeof decide> {
  let ids = 0;
  return decide({
    event: event({ ...labels, asg_name: 'web' }),
    ruleset: ruleset(rules),
    fleet: fleet(group([instance('i-0123456789abcdef0')])),
    memory: memory(),
    now: NOW,
    shadow: false,
    newId: () => `id_${ids++}`,
    ...(breathe !== undefined && { breathe }),
  });
}

test('every one of the 27 has its row', () => {
  assert.deepEqual(
    Object.keys(GOTCHAS),
    Array.from({ length: 27 }, (_, index) => String(index + 1)),
  );
});

for (const [number, [gotcha, free]] of Object.entries(GOTCHAS))
  test(`Coppice is free of json-rules-engine's number ${number}: ${gotcha}`, free);
