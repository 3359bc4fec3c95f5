import { formatDuration } from '../base/duration.ts';
import { type DecideInput, decide } from './decide.ts';
import type { Decision } from './decision.ts';
import { ALERT_TYPE_PREFIX } from './event.ts';
import { isGlob } from './matcher.ts';
import type { TriggerSpec } from './rule.ts';
import type { CompiledRule } from './ruleset.ts';
import { shorten } from './shorten.ts';
import { closest } from './suggest.ts';
import { NOTHING_KNOWN, verdict } from './verdict.ts';

/** What an explanation is asked of: alerts or events as JSON, in any form in which a sender could have sent them. */
export type Sample = { readonly alert: unknown } | { readonly event: unknown };

/** What every rule would conclude of one event now. */
export interface Explanation {
  /** Just what `decide` gives: the rules that listen, in file order, or its one `no_rule` where none does. */
  readonly decided: readonly Decision[];
  /** The other rules, in file order: `not_matched` as `no_rule`, with what they do listen to. The dispatcher skips them. */
  readonly deaf: readonly Decision[];
  /** What is likely wrong with the event itself, one sentence each. */
  readonly hints: readonly string[];
}

/** Most triggers, or rules, in one sentence. */
const MOST_NAMED = 5;
/** Longest type in a sentence: it comes from outside and may be of any length. */
const LONGEST_TYPE = 80;
/** Rules looked at between two breaths: about a millisecond's work. */
const RULES_PER_BREATH = 128;

/**
 * What `decide` would give for the event, and why the other rules were not asked. Changes nothing: what the verdicts would
 * start or take is dropped.
 */
export async function explain(input: DecideInput): Promise<Explanation> {
  const { event, ruleset, breathe } = input;
  const verdicts = await decide(input);
  const listening = ruleset.candidates(event);
  const asked = new Set(listening);
  const deaf: Decision[] = [];
  const near: Near[] = [];
  for (const [index, rule] of ruleset.rules.filter((one) => !asked.has(one)).entries()) {
    if (index % RULES_PER_BREATH === RULES_PER_BREATH - 1) await breathe?.();
    const meant = meantType(rule, event.type);
    if (meant !== null) near.push({ rule: rule.spec.name, type: meant });
    const detail = whyDeaf(rule, event.type, meant);
    const conclusion = { outcome: 'not_matched', reason: 'no_rule', detail } as const;
    deaf.push(verdict(input, rule, conclusion, NOTHING_KNOWN).decision);
  }
  const meantAsItIs = listening.some((rule) => namedTypes(rule).includes(event.type));
  return {
    decided: verdicts.map(({ decision }) => decision),
    deaf,
    hints: near.length > 0 && !meantAsItIs ? [hintOf(near, event.type)] : [],
  };
}

/** A rule that would listen to the event if its type were spelt in another way. */
interface Near {
  readonly rule: string;
  /** The type that it listens to. */
  readonly type: string;
}

/** The type that the rule listens to and that the event's is perhaps a misspelling of; null when none is near. */
function meantType(rule: CompiledRule, type: string): string | null {
  const known = namedTypes(rule);
  const found = closest(shortName(type), known.map(shortName));
  return known.find((one) => shortName(one) === found) ?? null;
}

/** The types that the rule listens to by their whole names. */
function namedTypes({ spec }: CompiledRule): readonly string[] {
  return spec.on.flatMap((trigger) =>
    trigger.kind === 'type' && !isGlob(trigger.type) ? [trigger.type] : [],
  );
}

/** Without the prefix of alerts: people forget it, and it would make any two alerts look alike. */
function shortName(type: string): string {
  return type.startsWith(ALERT_TYPE_PREFIX) ? type.slice(ALERT_TYPE_PREFIX.length) : type;
}

function whyDeaf(rule: CompiledRule, type: string, meant: string | null): string {
  const advice = meant === null ? '' : `: did you mean ${meantTopic(meant, type)}?`;
  return `the rule listens to ${listed(rule.spec.on.map(wakerOf))}; this is ${topicOf(type)}${advice}`;
}

function hintOf(near: readonly Near[], type: string): string {
  const rules = near.map(({ rule, type: meant }) => `${rule} listens to ${meantTopic(meant, type)}`);
  return `no rule names ${topicOf(type)}, but ${listed(rules)}; is it a typing error?`;
}

function wakerOf(trigger: TriggerSpec): string {
  switch (trigger.kind) {
    case 'type':
      return topicOf(trigger.type);
    case 'every':
      return `the clock (every ${formatDuration(trigger.everyMs)})`;
    case 'cron':
      return `the clock (${trigger.cron} in ${trigger.timezone})`;
  }
}

/** An alert by its name, another event by its whole type. */
function topicOf(type: string): string {
  const short = shortName(type);
  return short === type ? typeTopic(type) : `the alert ${shorten(short, LONGEST_TYPE)}`;
}

/** The whole type where the event lacks only the prefix: the names alone would look the same. */
function meantTopic(meant: string, type: string): string {
  return shortName(meant) === shortName(type) ? typeTopic(meant) : topicOf(meant);
}

function typeTopic(type: string): string {
  return `the event type ${shorten(type, LONGEST_TYPE)}`;
}

function listed(texts: readonly string[]): string {
  const more = texts.length - MOST_NAMED;
  return [...texts.slice(0, MOST_NAMED), ...(more > 0 ? [`${more} more`] : [])].join(' and ');
}
