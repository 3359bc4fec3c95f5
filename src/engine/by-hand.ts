import { type Event, tupleKey } from './event.ts';
import { fingerprint } from './fingerprint.ts';
import { PLAIN_SWAP, type RuleSpec, type SwapSpec, type SwapTarget } from './rule.ts';
import { INTERNAL_TYPE_PREFIX } from './schedule.ts';

/** Name of the rule behind every swap that a person asks for. No rule of a file may have it. */
export const BY_HAND_RULE = 'by-hand';
/** Type of the events by which a person asks for a swap. */
export const SWAP_REQUEST_TYPE = `${INTERNAL_TYPE_PREFIX}swap.requested`;
/** Label that says how the replacement is to be bought. */
export const SWAP_REQUEST_TO_LABEL = 'to';

const SOURCE = 'coppice/by-hand';

/** What a person asks for. */
export interface SwapWish {
  /** Instance id. */
  readonly instance: string;
  readonly to: SwapTarget;
}

/** The event that asks for the swap. It is its own origin: whoever asks twice has asked for two, and guards see to it. */
export function swapRequestEvent(
  { instance, to }: SwapWish,
  at: { readonly now: number; readonly newId: (kind: 'evt') => string },
): Event {
  const id = at.newId('evt');
  const labels = { instance_id: instance, [SWAP_REQUEST_TO_LABEL]: to };
  return {
    id,
    type: SWAP_REQUEST_TYPE,
    source: SOURCE,
    subject: null,
    time: at.now,
    endsAt: null,
    status: 'firing',
    labels,
    annotations: {},
    fingerprint: fingerprint(labels),
    identity: { kind: 'origin', key: tupleKey([SOURCE, id]) },
    receivedAt: at.now,
    repeat: false,
  };
}

/** The built-in rule, for one way of buying: a voluntary swap, bound by every policy, which terminates the old instance. */
export function byHandRule(to: SwapTarget): RuleSpec {
  const swap: SwapSpec = { ...PLAIN_SWAP, to };
  const then = [{ kind: 'swap', swap } as const];
  return {
    name: BY_HAND_RULE,
    description: 'A person asked for the swap.',
    on: [{ kind: 'type', type: SWAP_REQUEST_TYPE, matchers: [], status: 'firing', repeats: true }],
    subject: null,
    when: null,
    target: null,
    delayMs: 0,
    cooldown: null,
    limits: null,
    then,
    mode: 'enforce',
    enabled: true,
  };
}
