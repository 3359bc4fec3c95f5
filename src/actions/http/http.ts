import { createHash } from 'node:crypto';
import { Failure } from '../../base/failure.ts';
import { groupKey } from '../../base/group-name.ts';
import { HTTP_WITHIN_MS } from '../../engine/rule.ts';
import { type Action, defineAction, type Step, type StepContext, type StepOutcome } from '../action.ts';
import { endsOf } from '../action-end.ts';
import { swapSteps } from '../asg/swap-steps.ts';
import type { HttpAnswer } from './sender.ts';

/** What the step writes down. */
interface HttpDetails extends Readonly<Record<string, object>> {
  readonly call: { readonly status: number };
}

/** Answers that pass: the other system is busy, or away, or begins only now. */
const PASSING: ReadonlySet<number> = new Set([408, 409, 425, 429]);

/**
 * Asks another system until it agrees: 2xx means go on, 202 means that it is still at it, 5xx and what passes are tried
 * again, anything else fails. The same request always carries the same `Idempotency-Key`, so one that comes twice can be told
 * from two; `of` says what of the context makes another request of the same address and body.
 */
function call(of: (context: StepContext<HttpDetails>) => readonly unknown[]): Step<HttpDetails> {
  return {
    name: 'call',
    deadlineMs: () => HTTP_WITHIN_MS,
    async perform(context): Promise<StepOutcome> {
      const { action, run, world } = context;
      if (action.kind !== 'http') throw new Failure('internal', 'reject', `no request in a ${action.kind}`);
      const { url, headers, bearerTokenFile } = action.http;
      const body = bodyOf(context);
      const key = `${run.id}/${digestOf([url, body, ...of(context)])}`;
      const request = { url, bearerTokenFile, body, headers: { ...headers, 'idempotency-key': key } };
      return outcomeOf(url, await world.sendHttp(request));
    },
  };
}

/** A request as an action of its own. Tried again it is the same request: what came of the first one may only be unknown. */
export const http: Action = defineAction<HttpDetails>('http', [call(() => [])]);

/**
 * A request inside a swap, before the old instance leaves. In each attempt of the swap it is another one: what the first one
 * asked for was for a swap that has been undone.
 */
export const httpInSwap: Action = defineAction<HttpDetails>('http', [
  call(({ attempt }) => (attempt === 1 ? [] : [attempt])),
]);

function outcomeOf(url: string, { status, text }: HttpAnswer): StepOutcome {
  if (status === 202) return { kind: 'wait', for: `${url} to be done` };
  if (status >= 200 && status < 300) return { kind: 'done', detail: { status } };
  const disposition = status >= 500 || PASSING.has(status) ? 'retry' : 'reject';
  const said = text === '' ? '' : `: ${text}`;
  throw new Failure('refused_elsewhere', disposition, `${url} answered ${status}${said}`);
}

/** Of address and body: a chain may ask one address twice, before there is a replacement and after. */
function digestOf(request: unknown): string {
  return createHash('sha256').update(JSON.stringify(request)).digest('hex').slice(0, 16);
}

/** What the other system is told. */
function bodyOf({ run }: StepContext<HttpDetails>): object {
  const { group, instanceId, rule, decisionId } = run;
  const launched = swapSteps(run).find(({ name, state }) => name === 'launch' && state === 'done');
  return {
    run: run.id,
    decision: decisionId,
    rule,
    group: { key: groupKey(group), ...group },
    instance: instanceId,
    replacement: launched?.detail['instanceId'] ?? null,
    failures: endsOf(run).flatMap(({ kind, outcome, error }) =>
      error === null ? [] : [{ action: kind, outcome, ...error }],
    ),
  };
}
