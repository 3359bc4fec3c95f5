import { Failure } from '../base/failure.ts';
import { byHandRule, SWAP_REQUEST_TO_LABEL, SWAP_REQUEST_TYPE } from './by-hand.ts';
import { type CompiledCondition, compileCondition } from './condition.ts';
import { type CronTimes, parseCron } from './cron.ts';
import type { Event } from './event.ts';
import type { NamedConditions } from './inline.ts';
import { compileGlob, isGlob, type Matcher, type Parsed, parseMatcher, type TextTest } from './matcher.ts';
import type { PolicySpec } from './policy.ts';
import { type RuleSpec, SWAP_TARGETS, type TriggerSpec } from './rule.ts';
import { INTERNAL_TYPE_PREFIX, SCHEDULE_EVENT_TYPES, SCHEDULE_RULE_LABEL } from './schedule.ts';

/** All rules and policies of one load. Immutable: a reload makes a new one. */
export interface Ruleset {
  /** Of the content that it was made from. */
  readonly hash: string;
  /** Grows by one with each change. */
  readonly generation: number;
  /** ms since the epoch. */
  readonly loadedAt: number;
  /** In file order. */
  readonly rules: readonly CompiledRule[];
  readonly policies: readonly PolicySpec[];
  /** The rules that listen to events of the type, in file order; the time does not grow with the others. */
  candidates(event: Pick<Event, 'type' | 'labels'>): readonly CompiledRule[];
}

export interface CompiledRule {
  readonly spec: RuleSpec;
  /** In file order, from 0. */
  readonly position: number;
  readonly triggers: readonly CompiledTrigger[];
  /** Null when the rule has no `when`. */
  readonly condition: CompiledCondition | null;
}

export interface CompiledTrigger {
  readonly spec: TriggerSpec;
  readonly matchers: readonly Matcher[];
  /** Whether events of the type wake it. */
  readonly listensTo: TextTest;
  /** Of a `cron` trigger; null for the others. */
  readonly times: CronTimes | null;
}

export interface RulesetInput {
  readonly rules: readonly RuleSpec[];
  readonly policies: readonly PolicySpec[];
  readonly conditions: NamedConditions;
  readonly hash: string;
  readonly generation: number;
  readonly loadedAt: number;
}

/**
 * Makes rules ready to be decided on. Throws a Failure (`invalid_request`) that names the rule when one cannot be
 * compiled, which `lint` reports before, with its place.
 */
export function compileRuleset(input: RulesetInput): Ruleset {
  const rules = input.rules.map((spec, position) => compileRule(spec, position, input.conditions));
  const { hash, generation, loadedAt, policies } = input;
  return { hash, generation, loadedAt, rules, policies, candidates: withByHand(indexByType(rules)) };
}

/** Built in, in every ruleset: not among its `rules`, which are those of the files. */
const BY_HAND: ReadonlyMap<string, readonly CompiledRule[]> = new Map(
  SWAP_TARGETS.map((to, position) => [to, [compileRule(byHandRule(to), position, {})]]),
);

function withByHand(ofFiles: Ruleset['candidates']): Ruleset['candidates'] {
  return (event) =>
    event.type === SWAP_REQUEST_TYPE
      ? (BY_HAND.get(event.labels[SWAP_REQUEST_TO_LABEL] ?? '') ?? [])
      : ofFiles(event);
}

function compileRule(spec: RuleSpec, position: number, named: NamedConditions): CompiledRule {
  const need = <T>(parsed: Parsed<T>): T => {
    if (parsed.ok) return parsed.value;
    throw new Failure('invalid_request', 'reject', `compiling rule '${spec.name}': ${parsed.message}`);
  };
  const triggers = spec.on.map((trigger): CompiledTrigger => {
    if (trigger.kind !== 'type') {
      const times = trigger.kind === 'cron' ? need(parseCron(trigger.cron, trigger.timezone)) : null;
      const type = SCHEDULE_EVENT_TYPES[trigger.kind];
      return { spec: trigger, matchers: [], listensTo: (text) => text === type, times };
    }
    const matchers = trigger.matchers.map((text) => need(parseMatcher(text)));
    return { spec: trigger, matchers, listensTo: need(typeTest(trigger.type)), times: null };
  });
  const condition = spec.when === null ? null : need(compileCondition(spec.when, named));
  return { spec, position, triggers, condition };
}

/** A glob never listens to Coppice's own events: each of those is for the one rule that it names. */
function typeTest(type: string): Parsed<TextTest> {
  if (!isGlob(type)) return { ok: true, value: (text) => text === type };
  const glob = compileGlob(type);
  if (!glob.ok) return glob;
  return { ok: true, value: (text) => !text.startsWith(INTERNAL_TYPE_PREFIX) && glob.value(text) };
}

const SCHEDULE_KINDS: ReadonlyMap<string, string> = new Map(
  Object.entries(SCHEDULE_EVENT_TYPES).map(([kind, type]) => [type, kind]),
);

/** Exact types and scheduled rules are found by a map; only globs, each distinct one once, are tried one by one. */
function indexByType(rules: readonly CompiledRule[]): Ruleset['candidates'] {
  const heard = rules.flatMap((rule) => rule.triggers.map((trigger) => ({ rule, trigger })));
  const byTopic = Map.groupBy(heard, ({ rule, trigger }) => topicOf(rule, trigger));
  const listeners = [...byTopic].map(([topic, entries]) => ({
    topic,
    listensTo: entries[0]?.trigger.listensTo ?? (() => false),
    isWide: entries.some(({ trigger }) => trigger.spec.kind === 'type' && isGlob(trigger.spec.type)),
    rules: [...new Set(entries.map(({ rule }) => rule))],
  }));
  const exact = new Map(listeners.map((listener) => [listener.topic, listener.rules]));
  const globs = listeners.filter(({ isWide }) => isWide);
  return ({ type, labels }) => {
    const kind = SCHEDULE_KINDS.get(type);
    if (kind !== undefined) return exact.get(`${kind} ${labels[SCHEDULE_RULE_LABEL] ?? ''}`) ?? [];
    const narrow = isGlob(type) ? [] : (exact.get(`type ${type}`) ?? []);
    const wide = globs.filter(({ listensTo }) => listensTo(type)).flatMap((glob) => glob.rules);
    if (wide.length === 0) return narrow;
    return [...new Set([...narrow, ...wide])].sort((a, b) => a.position - b.position);
  };
}

function topicOf(rule: CompiledRule, { spec }: CompiledTrigger): string {
  return spec.kind === 'type' ? `type ${spec.type}` : `${spec.kind} ${rule.spec.name}`;
}
