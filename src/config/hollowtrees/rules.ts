import { BY_HAND_RULE } from '../../engine/by-hand.ts';
import { ALERT_TYPE_PREFIX } from '../../engine/event.ts';
import { isGlob } from '../../engine/matcher.ts';
import { ASG_PLUGIN_SWAPS, isUrgentType } from './asg-plugin.ts';
import type { Flow } from './flow.ts';
import { Names } from './names.ts';
import type { Plugin } from './plugin.ts';
import { ruleDuration } from './quantity.ts';
import type { Reading } from './reading.ts';

/** What was made of one flow: the rules of a file, as data that a rule file holds. */
export interface FlowRules {
  readonly flow: Flow;
  /** In kebab-case; the file is named after it. */
  readonly name: string;
  readonly rules: readonly RuleData[];
}

/** A rule as a rule file writes it. */
export type RuleData = Readonly<Record<string, unknown>> & { readonly name: string };

/** What does in Coppice what a plugin did with events of one type. */
type Deed =
  | { readonly kind: 'action'; readonly action: Readonly<Record<string, unknown>> }
  /** The plugin did nothing with them, either. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'missing' };

/** The one place where a kind of plugin becomes an action of Coppice. */
function deedOf(plugin: Plugin, type: string): Deed {
  switch (plugin.kind) {
    case 'asg': {
      const swap = Object.hasOwn(ASG_PLUGIN_SWAPS, type) ? ASG_PLUGIN_SWAPS[type] : undefined;
      return swap === undefined ? { kind: 'nothing' } : { kind: 'action', action: { swap } };
    }
    case 'demo':
      return { kind: 'nothing' };
    case 'grpc':
      return { kind: 'action', action: { plugin: { name: plugin.name } } };
    case 'fn':
    case 'lost':
      return { kind: 'missing' };
  }
}

/** The rules of all flows that can be carried over; of each flow the report says what became of it. */
export function rulesOf(
  reading: Reading,
  flows: readonly Flow[],
  takenFiles: readonly string[],
): readonly FlowRules[] {
  const files = new Names(takenFiles);
  const names = new Names([BY_HAND_RULE]);
  return flows.flatMap((flow) => {
    const loss = flow.lost ?? missingPlugins(reading, flow);
    const chains = loss === null ? chainsOf(reading, flow) : [];
    if (chains.length === 0) {
      reading.takeBack(flow);
      reading.say(flow, 'not carried', loss ?? `no rule is made of it: ${idle(flow)}`);
      return [];
    }
    const name = files.take(flow.title);
    const rules = chains.map((chain) =>
      ruleOf(flow, chain, names.take(flow.title, ...suffixOf(chain, chains))),
    );
    const list = rules.map((rule) => `'${rule.name}'`).join(' and ');
    const isUnbraked = flow.pace.cooldown === null && chains.some(isVoluntary);
    reading.say(flow, 'carried', `it is the rule ${list} in rules/${name}.yaml${isUnbraked ? UNBRAKED : ''}`);
    return [{ flow, name, rules }];
  });
}

/** Whether the chain takes out instances that would have stayed. */
function isVoluntary({ types, actions }: Chain): boolean {
  return actions.some(isSwap) && !types.every(isUrgentType);
}

function isSwap(action: Readonly<Record<string, unknown>>): boolean {
  return Object.hasOwn(action, 'swap');
}

const UNBRAKED =
  '; like the flow it has no cooldown, of which `coppice check` warns, and those of the policies hold';

/** Says of each plugin of a flow what becomes of its call. Why no rule is made, when one of them cannot be called. */
function missingPlugins(reading: Reading, { plugins }: Flow): string | null {
  const missing: string[] = [];
  for (const call of plugins) {
    const { plugin } = call;
    if (plugin.kind === 'asg') reading.say(call, 'carried', 'its swap is an action of Coppice');
    else if (plugin.kind === 'demo') reading.say(call, 'not needed', 'it only logged the type of the event');
    else if (plugin.kind === 'grpc') reading.say(call, 'changed', CALLED);
    else {
      reading.say(call, 'not carried', 'Coppice does not call it');
      missing.push(`'${plugin.name}'`);
    }
  }
  if (missing.length === 0) return null;
  // A chain with a hole is not the same flow: it may have drained the node, or have asked somebody.
  return `no rule is made of it, since Coppice does not call ${missing.join(', ')}, and without that it would be another flow`;
}

const CALLED =
  'it is the action plugin, for events about an instance of a group that a policy selects; Hollowtrees called it for every one, also twice at a time';

function idle({ plugins, types }: Flow): string {
  if (plugins.length === 0) return 'it calls no plugin';
  return `its plugins did nothing with ${types.length === 0 ? 'any event' : `events of type ${types.join(', ')}`}`;
}

/** Event types for which the plugins do the same, and what that is. */
interface Chain {
  readonly types: readonly string[];
  readonly actions: readonly Readonly<Record<string, unknown>>[];
  /** Names of alerts that the types stand for, and for which there is another chain. */
  readonly without?: readonly string[];
}

/** The types of all alerts, of a flow that does not say which. */
const EVERY_ALERT = `${ALERT_TYPE_PREFIX}*`;

function chainsOf(reading: Reading, flow: Flow): readonly Chain[] {
  const chains = new Map<string, Chain>();
  // With others the ASG plugin did nothing.
  const special = flow.plugins.some(({ plugin }) => plugin.kind === 'asg')
    ? Object.keys(ASG_PLUGIN_SWAPS)
    : [];
  for (const type of flow.types.length === 0 ? special : flow.types) {
    const actions = actionsFor(reading, flow, type);
    const key = JSON.stringify(actions);
    if (actions.length > 0) chains.set(key, { types: [...(chains.get(key)?.types ?? []), type], actions });
  }
  return [...chains.values(), ...(flow.types.length === 0 ? restOf(flow, special) : [])];
}

/** What the flow does with every alert but the special ones. */
function restOf(flow: Flow, special: readonly string[]): readonly Chain[] {
  const actions = withRetries(
    flow,
    flow.plugins.map(({ plugin }) => deedOf(plugin, EVERY_ALERT)),
  );
  const without = special.map((type) => type.slice(ALERT_TYPE_PREFIX.length));
  return actions.length === 0 ? [] : [{ types: [EVERY_ALERT], actions, without }];
}

function withRetries({ pace }: Flow, deeds: readonly Deed[]): Chain['actions'] {
  const actions = deeds.flatMap((deed) => (deed.kind === 'action' ? [deed.action] : []));
  return pace.retries === 0 ? actions : actions.map((action) => ({ ...action, retries: pace.retries }));
}

function actionsFor(reading: Reading, flow: Flow, type: string): Chain['actions'] {
  const { plugins } = flow;
  if (isGlob(type)) {
    const message = `the event type ${type} cannot be said in a rule, where * and ? stand for other characters`;
    reading.say(flow, 'not carried', message);
    return [];
  }
  const actions = withRetries(
    flow,
    plugins.map(({ plugin }) => deedOf(plugin, type)),
  );
  if (actions.length === 0)
    reading.say(flow, 'not needed', `its plugins did nothing with events of type ${type}`);
  const first = actions.findIndex(isSwap);
  const once = actions.filter((action, index) => index === first || !isSwap(action));
  if (once.length < actions.length)
    reading.say(
      flow,
      'changed',
      'it called for the swap more than once; the second would find the instance gone',
    );
  return once;
}

/** Where a flow becomes several rules, each is named after its first event type as well. */
function suffixOf({ types }: Chain, chains: readonly Chain[]): readonly string[] {
  if (chains.length === 1) return [];
  return [types[0] === EVERY_ALERT ? 'others' : ((types[0] ?? '').split('.').at(-1) ?? '')];
}

function ruleOf(
  { description, alternatives, pace }: Flow,
  { types, actions, without = [] }: Chain,
  name: string,
): RuleData {
  const excluded = without.length === 0 ? [] : [`alertname!~"${without.join('|')}"`];
  const triggers = types.flatMap((type) =>
    alternatives.map((matchers) => triggerOf(type, [...matchers, ...excluded])),
  );
  const { cooldown, limits } = pace;
  return {
    name,
    ...(description === '' ? {} : { description }),
    on: triggers.length === 1 ? triggers[0] : triggers,
    ...(cooldown === null ? {} : { cooldown: cooldownData(cooldown) }),
    ...(Object.keys(limits).length === 0 ? {} : { limits: limitsData(limits) }),
    [ACTIONS]: actions,
  };
}

/** As a constant, since the linter takes a literal `then` in an object for a promise. */
const ACTIONS = 'then';

function triggerOf(type: string, matchers: readonly string[]): object {
  const trigger =
    type.startsWith(ALERT_TYPE_PREFIX) && type !== EVERY_ALERT
      ? { alert: type.slice(ALERT_TYPE_PREFIX.length) }
      : { type };
  return matchers.length === 0 ? trigger : { ...trigger, matchers };
}

function cooldownData({ forMs, per, after }: NonNullable<Flow['pace']['cooldown']>): object {
  return { for: ruleDuration(forMs), per: [...new Set(per)], ...(after === 'success' ? { after } : {}) };
}

function limitsData({ concurrent, starts }: Flow['pace']['limits']): object {
  return {
    ...(concurrent === undefined ? {} : { concurrent }),
    ...(starts === undefined ? {} : { max: starts.max, per: ruleDuration(starts.perMs) }),
  };
}
