import { createHash } from 'node:crypto';
import { Failure } from '../../base/failure.ts';
import { oneLine } from '../../base/one-line.ts';
import { PLUGIN_WITHIN_MS } from '../../engine/rule.ts';
import type { OutgoingEvent } from '../../grpc/messages.ts';
import { type Action, defineAction, type Step, type StepContext, type StepOutcome } from '../action.ts';
import { swapSteps } from '../asg/swap-steps.ts';
import { stepsOf } from '../run.ts';
import type { PluginAnswer } from './sender.ts';

/** What the step writes down. */
interface PluginDetails extends Readonly<Record<string, object>> {
  readonly call: { readonly status: string };
}

/** Label of the instance, where the event itself has none. */
const INSTANCE_LABEL = 'instance_id';
/** Label of the instance that a swap of the chain has launched; in the documents by this name. @internal */
export const REPLACEMENT_LABEL = 'replacement_instance_id';

/**
 * Sends the event that led to the run on to a plugin, and waits for its answer. While the plugin is away or does not want
 * calls it is asked again; an answer that did not come in time is a failure, since nobody knows whether it was done. What is
 * sent again has the same id, so that a plugin can tell it from a second event; `of` says what of the context makes another.
 */
function call(of: (context: StepContext<PluginDetails>) => readonly unknown[]): Step<PluginDetails> {
  return {
    name: 'call',
    deadlineMs: () => PLUGIN_WITHIN_MS,
    async perform(context): Promise<StepOutcome> {
      const { action, world } = context;
      if (action.kind !== 'plugin') throw new Failure('internal', 'reject', `no plugin in a ${action.kind}`);
      const { name, timeoutMs } = action.plugin;
      const event = eventFor(context, name, of(context));
      const withinMs = leftFor(context);
      return outcomeOf(name, await world.sendToPlugin({ plugin: name, event, timeoutMs, withinMs }));
    },
  };
}

/** A plugin as an action of its own. Tried again it is the same event: what came of the first call may only be unknown. */
export const plugin: Action = defineAction<PluginDetails>('plugin', [call(() => [])]);

/** A plugin inside a swap, before the old instance leaves. In each attempt of the swap it is another event. */
export const pluginInSwap: Action = defineAction<PluginDetails>('plugin', [
  call(({ attempt }) => (attempt === 1 ? [] : [attempt])),
]);

function outcomeOf(name: string, answer: PluginAnswer): StepOutcome {
  switch (answer.kind) {
    case 'ok':
      return { kind: 'done', detail: { status: oneLine(answer.status) } };
    case 'not_serving':
      return { kind: 'wait', for: `plugin ${name} to serve` };
    case 'refused': {
      const said = answer.message === '' ? '' : `: ${oneLine(answer.message)}`;
      throw new Failure('refused_elsewhere', 'reject', `plugin ${name} answered ${answer.code}${said}`);
    }
  }
}

function eventFor(
  context: StepContext<PluginDetails>,
  name: string,
  more: readonly unknown[],
): OutgoingEvent {
  const { run } = context;
  if (run.event === undefined) throw new Failure('internal', 'reject', 'the run has lost its event');
  const { type, source, time } = run.event;
  const labels = labelsFor(context, run.event.labels);
  const id = `${run.id}/${digestOf([name, positionOf(context), labels, ...more])}`;
  return { id, type, source, time: time === null ? '' : new Date(time).toISOString(), labels };
}

/** The event's own, and what it cannot know; the event has the last word, but for what only Coppice says. */
function labelsFor(
  { run }: StepContext<PluginDetails>,
  labels: OutgoingEvent['labels'],
): OutgoingEvent['labels'] {
  const launched = swapSteps(run).find(({ name, state }) => name === 'launch' && state === 'done');
  const replacement = launched?.detail['instanceId'];
  return {
    [INSTANCE_LABEL]: run.instanceId,
    ...labels,
    ...(typeof replacement === 'string' ? { [REPLACEMENT_LABEL]: replacement } : {}),
  };
}

/** Which action of the chain this is, or is a part of. */
function positionOf({ steps }: StepContext<PluginDetails>): number {
  return steps[0]?.action ?? 0;
}

/** What the timeout of the action leaves, all its attempts together: past it the run would not look at the answer. */
function leftFor(context: StepContext<PluginDetails>): number {
  const { run, clock } = context;
  const action = positionOf(context);
  const begun = stepsOf(run, { action, attempt: 1 })[0]?.startedAt ?? clock.now();
  const { timeoutMs = Number.POSITIVE_INFINITY } = run.actions[action] ?? {};
  return begun + timeoutMs - clock.now();
}

function digestOf(event: unknown): string {
  return createHash('sha256').update(JSON.stringify(event)).digest('hex').slice(0, 16);
}
