import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineAction, type Step, type StepOutcome } from '../../../src/actions/action.ts';
import { type CancelDeps, type Cancelled, cancelRun } from '../../../src/actions/cancel.ts';
import { ACTIONS } from '../../../src/actions/catalog.ts';
import type { Run } from '../../../src/actions/run.ts';
import { groupKey } from '../../../src/base/group-name.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { silentLog } from '../../../src/telemetry/log.ts';
import {
  ended,
  groupNamed,
  openStore,
  order,
  type Process,
  type Site,
  startProcess,
  withMethods,
} from './fake-walk.ts';

const SECOND = 1000;

function newSite(): Site {
  const clock = new ManualClock();
  return { clock, store: openStore(clock) };
}

/** What the steps below did, in order. */
type Deeds = string[];

/** A step that waits until it is let go on, and writes down what it does. */
function step(
  name: string,
  deeds: Deeds,
  rest: Partial<Step> & { readonly open?: () => boolean } = {},
): Step {
  const { open = () => true, ...but } = rest;
  return {
    name,
    perform: (): Promise<StepOutcome> => {
      if (!open()) return Promise.resolve({ kind: 'wait', for: 'the test' });
      deeds.push(name);
      return Promise.resolve({ kind: 'done', detail: {} });
    },
    undo: () => {
      deeds.push(`undo ${name}`);
      return Promise.resolve({ kind: 'undone' });
    },
    ...but,
  };
}

interface Gates {
  attach: boolean;
  release: boolean;
}

/** A run of plan, attach, release (no return), give-back; attach and release wait for their gates. */
function stepsOf(deeds: Deeds, gates: Gates): readonly Step[] {
  return [
    step('plan', deeds),
    step('attach', deeds, { open: () => gates.attach }),
    step('release', deeds, { open: () => gates.release, pointOfNoReturn: true }),
    step('give-back', deeds, { always: true }),
  ];
}

function cancel(site: Site, process: Process, id: string, steps: readonly Step[]): Promise<Cancelled> {
  const swap = defineAction('swap', steps);
  const { clock, store } = site;
  const { memory, metrics } = process;
  const deps: CancelDeps = { store, clock, memory, metrics, log: silentLog, actions: { ...ACTIONS, swap } };
  return cancelRun(deps, id, 'alice');
}

async function stateOf({ store }: Site, id: string): Promise<Run['state'] | undefined> {
  return (await store.run(id))?.state;
}

test('a run that has not begun ends at once, and its instance is free again', async () => {
  const site = newSite();
  const deeds: Deeds = [];
  const steps = stepsOf(deeds, { attach: false, release: false });
  await order(site, 'web', 'i-1');
  const waiting = await order(site, 'web', 'i-2');
  const process = await startProcess(site, { steps, holder: 'a' });
  await site.clock.advance(5 * SECOND);
  const key = groupKey(groupNamed('web'));
  assert.equal(process.memory.liveRun(key, 'i-2'), waiting);
  assert.equal(await cancel(site, process, waiting, steps), 'cancelled');
  assert.equal(process.memory.liveRun(key, 'i-2'), null);
  const run = await site.store.run(waiting);
  assert.deepEqual(
    [run?.state, run?.error],
    ['cancelled', { reason: 'cancelled', message: 'cancelled by alice' }],
  );
  const counted = (await process.metrics.runs.get()).values.find(({ value }) => value > 0);
  assert.deepEqual(counted?.labels, { action: 'swap', outcome: 'cancelled' });
});

test('a run under way stops at its next look and undoes what it did, newest first', async () => {
  const site = newSite();
  const deeds: Deeds = [];
  const steps = stepsOf(deeds, { attach: false, release: false });
  const id = await order(site, 'web');
  const process = await startProcess(site, { steps, holder: 'a' });
  await site.clock.advance(5 * SECOND);
  assert.equal(await cancel(site, process, id, steps), 'stopping');
  const [run] = await ended(site, [id]);
  assert.deepEqual([run?.state, run?.error?.reason], ['cancelled', 'cancelled']);
  assert.deepEqual(deeds, ['plan', 'undo attach', 'undo plan']);
});

test('a run that could not undo everything is failed, not cancelled', async () => {
  const site = newSite();
  const deeds: Deeds = [];
  const broken: Step['undo'] = () => Promise.reject(new Error('no way back'));
  const steps = stepsOf(deeds, { attach: false, release: false }).map((one) =>
    one.name === 'attach' ? { ...one, undo: broken } : one,
  );
  const id = await order(site, 'web');
  const process = await startProcess(site, { steps, holder: 'a' });
  await site.clock.advance(5 * SECOND);
  await cancel(site, process, id, steps);
  const [run] = await ended(site, [id]);
  assert.deepEqual([run?.state, run?.error?.reason], ['failed', 'cancelled']);
});

test('from the beginning of the step without return a run only goes on', async () => {
  const site = newSite();
  const deeds: Deeds = [];
  const gates = { attach: true, release: false };
  const steps = stepsOf(deeds, gates);
  const id = await order(site, 'web');
  const process = await startProcess(site, { steps, holder: 'a' });
  await site.clock.advance(5 * SECOND);
  assert.equal(await cancel(site, process, id, steps), 'too_late');
  gates.release = true;
  const [run] = await ended(site, [id]);
  assert.equal(run?.state, 'succeeded');
  assert.equal(await cancel(site, process, id, steps), 'over');
  assert.equal(await cancel(site, process, 'run_x', steps), 'unknown');
});

test('a request that comes right before the step without return is written down still holds it back', async () => {
  const site = newSite();
  const deeds: Deeds = [];
  const steps = stepsOf(deeds, { attach: true, release: true });
  const answers: Cancelled[] = [];
  let process: Process | null = null;
  // The run has looked, has found nothing, and is about to begin the release.
  const store = withMethods(site.store, {
    record: async (claim, run, written) => {
      if (written?.name === 'release' && written.state === 'running' && process !== null)
        answers.push(await cancel(site, process, run.id, steps));
      return site.store.record(claim, run, written);
    },
  });
  const id = await order(site, 'web');
  process = await startProcess(site, { steps, holder: 'a', store });
  const [run] = await ended(site, [id]);
  assert.deepEqual(answers, ['stopping']);
  assert.equal(run?.state, 'cancelled');
  assert.ok(!deeds.includes('release'));
});

test('a request that was answered holds for the process that takes the run up after a crash', async () => {
  const site = newSite();
  const deeds: Deeds = [];
  const steps = stepsOf(deeds, { attach: false, release: false });
  const id = await order(site, 'web');
  const lost = await startProcess(site, { steps, holder: 'a' });
  await site.clock.advance(5 * SECOND);
  const stopped = lost.worker.stop();
  await site.clock.advance(5 * SECOND);
  await stopped;
  assert.equal(await stateOf(site, id), 'recovering');
  assert.equal(await cancel(site, lost, id, steps), 'stopping');
  deeds.length = 0;
  await startProcess(site, { steps, holder: 'b' });
  const [run] = await ended(site, [id]);
  assert.equal(run?.state, 'cancelled');
  assert.deepEqual(deeds, ['undo attach', 'undo plan']);
});
