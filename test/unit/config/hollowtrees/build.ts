import assert from 'node:assert/strict';
import { formatProblem } from '../../../../src/config/file-problem.ts';
import { type Import, importHollowtrees } from '../../../../src/config/hollowtrees/import.ts';
import type { Remark } from '../../../../src/config/hollowtrees/remark.ts';
import { mergeRules, type RuleLists } from '../../../../src/config/merge.ts';
import { decide } from '../../../../src/engine/decide.ts';
import type { Event, Labels } from '../../../../src/engine/event.ts';
import type { RuleSpec } from '../../../../src/engine/rule.ts';
import { whyAsleep } from '../../../../src/engine/trigger.ts';
import { countingIds, event, fleet, group, instance, memory, NOW, ruleset } from '../../engine/build.ts';

export type Imported = Extract<Import, { kind: 'imported' }>;

export const TERMINATION = 'prometheus.server.alert.SpotTerminationNotice';
export const TOO_EXPENSIVE = 'prometheus.server.alert.SpotInstanceTooExpensive';

/** What is made of a configuration that can be read. */
export function imported(text: string, ...asgPlugins: readonly string[]): Imported {
  const result = importHollowtrees('config.yaml', text, { asgPlugins });
  if (result.kind === 'unreadable') assert.fail(result.problems.join('\n'));
  return result;
}

/** Why a configuration cannot be read. */
export function refused(
  text: string,
  file = 'config.yaml',
  ...asgPlugins: readonly string[]
): readonly string[] {
  const result = importHollowtrees(file, text, { asgPlugins });
  if (result.kind === 'imported') assert.fail('it was imported');
  return result.problems;
}

/** The rules and policies that were written, as the daemon reads them; fails when it would not. */
export function listsOf({ files }: Imported): RuleLists {
  const ruleFiles = files.filter(({ path }) => path.startsWith('rules/'));
  const { problems, ...lists } = mergeRules(ruleFiles.map(({ path, text }) => ({ file: path, text })));
  assert.deepEqual(problems.filter(({ severity }) => severity === 'error').map(formatProblem), []);
  return lists;
}

/** The one rule that was written. */
export function onlyRule(result: Imported): RuleSpec {
  const { rules } = listsOf(result);
  const [rule, ...more] = rules;
  assert.ok(rule !== undefined && more.length === 0, `${rules.length} rules`);
  return rule;
}

/** What is said of a key, one line a remark: `changed: …`. */
export function saidOf({ remarks }: Imported, key: string): readonly string[] {
  return remarks
    .filter((remark: Remark) => remark.key === key)
    .map(({ fate, message }) => `${fate}: ${message}`);
}

/** Outcomes of the rules that were written, for an alert about a healthy instance of a group that has opted in. */
export async function outcomes(
  result: Imported,
  { type, labels, ...but }: { readonly type: string; readonly labels?: Labels } & Partial<Event>,
): Promise<readonly string[]> {
  const { rules, policies, conditions } = listsOf(result);
  const web = group([instance('i-1'), instance('i-2'), instance('i-3')], {
    tags: { 'coppice-enabled': 'true' },
  });
  const verdicts = await decide({
    event: event(
      { instance_id: 'i-1', alertname: type.split('.').at(-1) ?? '', ...labels },
      { ...but, type },
    ),
    ruleset: ruleset(rules, policies, conditions),
    fleet: fleet(web),
    memory: memory(),
    now: NOW,
    shadow: false,
    newId: countingIds(),
  });
  return verdicts.map(({ decision }) => [decision.rule ?? '-', decision.outcome, decision.reason].join(' '));
}

/** Names of the rules that an event wakes. */
export function woken(result: Imported, type: string, labels: Labels): readonly string[] {
  const { rules, policies, conditions } = listsOf(result);
  const about = event(labels, { type });
  return ruleset(rules, policies, conditions)
    .candidates(about)
    .filter((rule) => whyAsleep(rule, about) === null)
    .map(({ spec }) => spec.name);
}

/** A v1 configuration with one flow of the ASG plugin, on the alert of an instance that is too expensive. */
export function v1Flow(...keys: readonly string[]): string {
  return v1Flows([`event_type: ${TOO_EXPENSIVE}`, ...keys]);
}

/** A v1 configuration with flows of the ASG plugin, named `flow-1` and so on; each is given by its keys. */
export function v1Flows(...flows: readonly (readonly string[])[]): string {
  const items = flows.map((keys, index) =>
    [`  - name: flow-${index + 1}`, 'action_plugins: [asg]', ...keys].join('\n    '),
  );
  return `action_plugins: [{ name: asg, address: aws-asg:8080, type: grpc }]\naction_flows:\n${items.join('\n')}\n`;
}

/** A v2 configuration with one flow of the ASG plugin, `spot`, on the alert of an instance that is too expensive. */
export function v2Flow(...keys: readonly string[]): string {
  const lines = ['name: Spot', 'plugins: [asg]', ...keys];
  if (!keys.some((key) => key.startsWith('allowedEvents'))) lines.push(`allowedEvents: [${TOO_EXPENSIVE}]`);
  return `plugins: [{ name: asg, address: aws-asg:8080, type: grpc }]\nflows:\n  spot:\n    ${lines.join('\n    ')}\n`;
}
