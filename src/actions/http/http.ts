import { createHash } from 'node:crypto';
import { Failure } from '../../base/failure.ts';
import { groupKey } from '../../base/group-name.ts';
import { type Action, defineAction, type Step, type StepContext, type StepOutcome } from '../action.ts';
import type { HttpAnswer } from './sender.ts';

/** What the step writes down. */
interface HttpDetails extends Readonly<Record<string, object>> {
  readonly call: { readonly status: number };
}

/** Answers that pass: the other system is busy, or away, or begins only now. */
const PASSING: ReadonlySet<number> = new Set([408, 409, 425, 429]);

/**
 * Asks another system until it agrees: 2xx means go on, 202 means that it is still at it, 5xx and what passes are tried
 * again, anything else fails. The same request of a run always carries the same `Idempotency-Key`, so one that comes twice
 * can be told from two.
 */
const call: Step<HttpDetails> = {
  name: 'call',
  async perform(context): Promise<StepOutcome> {
    const { action, run, world } = context;
    if (action.kind !== 'http') throw new Failure('internal', 'reject', `no request in a ${action.kind}`);
    const { url, headers, bearerTokenFile } = action.http;
    const body = bodyOf(context);
    const answer = await world.sendHttp({
      ...{ url, bearerTokenFile, body },
      headers: { ...headers, 'idempotency-key': `${run.id}/${digestOf([url, body])}` },
    });
    return outcomeOf(url, answer);
  },
};

/** A request to another system as an action of its own, or inside a swap, before the old instance leaves. */
export const http: Action = defineAction<HttpDetails>('http', [call]);

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
  const launched: Readonly<Record<string, unknown>> | undefined = run.steps.find(
    ({ name }) => name === 'launch',
  )?.detail;
  return {
    run: run.id,
    decision: decisionId,
    rule,
    group: { key: groupKey(group), ...group },
    instance: instanceId,
    replacement: launched?.['instanceId'] ?? null,
  };
}
