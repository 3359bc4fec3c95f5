import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { EventEnd } from '../../../src/actions/event-end.ts';
import { createEventEnds, type EventEnds } from '../../../src/actions/event-ends.ts';
import type { Run, RunState } from '../../../src/actions/run.ts';
import type { DecisionQuery, Page } from '../../../src/actions/store.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import type { Decision } from '../../../src/engine/decision.ts';
import { event } from '../engine/build.ts';
import { AWAY, groupNamed } from './fake-walk.ts';

const EVENT = event({}, { id: 'evt_1', identity: { kind: 'incident', key: 'alert' } });
const REPEAT = event({}, { id: 'evt_2', identity: { kind: 'incident', key: 'alert' } });
const HOUR = 3_600_000;

let clock: ManualClock;
let decisions: Decision[];
let runs: Map<string, Run>;
let live: string | null;
let looks: number;
let failing: boolean;
let ends: EventEnds;
let leaving: AbortController;

beforeEach(() => {
  clock = new ManualClock();
  decisions = [];
  runs = new Map();
  live = null;
  looks = 0;
  failing = false;
  leaving = new AbortController();
  ends = createEventEnds({
    clock,
    memory: { liveRun: () => live },
    store: {
      decisions: async ({ event: id, cursor = '0' }: DecisionQuery): Promise<Page<Decision>> => {
        looks += 1;
        if (failing) throw AWAY;
        // One a page, so that there are several.
        const of = decisions.filter((one) => one.event.id === id);
        const place = Number(cursor);
        return {
          items: of.slice(place, place + 1),
          next: place + 1 < of.length ? String(place + 1) : null,
        };
      },
      run: async (id) => runs.get(id) ?? null,
      admittedAs: (key) => (key === 'alert' && decisions.length > 0 ? 'evt_1' : null),
    },
  });
});

/** Records a decision on the event; with a run, which it starts. */
function decide(reason: Decision['reason'], runId: string | null = null, eventId = 'evt_1'): Decision {
  const decision: Decision = {
    ...{ id: `dec_${decisions.length}`, key: '', at: 0, generation: 1, rule: 'r', because: [], actions: [] },
    ...{ outcome: runId === null ? 'suppressed' : 'dispatched', reason, detail: '', runId },
    event: { id: eventId, type: 't', source: 's' },
    subject: { group: groupNamed('web'), instance: 'i-0a' },
  };
  decisions.push(decision);
  if (runId !== null) move(runId, 'pending');
  return decision;
}

function move(id: string, state: RunState): Run {
  const run: Run = {
    ...{ id, decisionId: 'dec_0', rule: 'r', group: groupNamed('web'), instanceId: 'i-0a' },
    ...{ actions: [], state, dueAt: 0, createdAt: 0, finishedAt: null, attempt: 1, steps: [] },
    error: null,
  };
  runs.set(id, run);
  return run;
}

/** The end as it is by now; null while it is waited for. */
function wait(of = EVENT, admission: 'accepted' | 'duplicate' = 'accepted') {
  const state: { end: EventEnd | null } = { end: null };
  const ended = ends.endOf(of, admission, leaving.signal).then((end) => {
    state.end = end;
  });
  return { state, ended };
}

// What nobody tells of would be waited for for ever.
describe('createEventEnds', { timeout: 20_000 }, () => {
  it('waits for the decision and for the end of the run, as they are told, in no time', async () => {
    const { state, ended } = wait();
    await clock.advance(0);
    ends.decided(decide('matched', 'run_1'));
    await clock.advance(0);
    assert.equal(state.end, null);
    ends.progressed(move('run_1', 'running'));
    await clock.advance(0);
    assert.equal(looks, 2, 'a run that only goes on is no cause to look');
    ends.progressed(move('run_1', 'succeeded'));
    await clock.advance(0);
    await ended;
    assert.deepEqual(state.end, { kind: 'ok' });
  });

  it('waits for every run of the event', async () => {
    const { state, ended } = wait();
    decide('matched', 'run_1');
    ends.decided(decide('matched', 'run_2'));
    await clock.advance(0);
    ends.progressed(move('run_1', 'succeeded'));
    await clock.advance(0);
    assert.equal(state.end, null);
    ends.progressed(move('run_2', 'succeeded'));
    await ended;
    assert.deepEqual(state.end, { kind: 'ok' });
  });

  it('knows what had ended before anybody waited', async () => {
    decide('matched', 'run_1');
    move('run_1', 'succeeded');
    await wait().ended;
  });

  it('lets a duplicate wait for the run of the first', async () => {
    decide('matched', 'run_1');
    const { state, ended } = wait(REPEAT, 'duplicate');
    await clock.advance(0);
    assert.equal(state.end, null);
    ends.progressed(move('run_1', 'succeeded'));
    await ended;
    assert.deepEqual(state.end, { kind: 'ok' });
  });

  it('tells of a duplicate whose first is forgotten', async () => {
    const { state, ended } = wait(REPEAT, 'duplicate');
    await ended;
    assert.equal(state.end?.kind, 'failed');
  });

  it('joins the run that holds a repetition back', async () => {
    live = 'run_0';
    move('run_0', 'running');
    decide('duplicate');
    const { state, ended } = wait();
    await clock.advance(0);
    assert.equal(state.end, null);
    live = null;
    ends.progressed(move('run_0', 'succeeded'));
    await ended;
    assert.deepEqual(state.end, { kind: 'ok' });
  });

  it('finds what nobody told of within half a minute, and looks no more often', async () => {
    decide('matched', 'run_1');
    const { state, ended } = wait();
    await clock.advance(29_000);
    move('run_1', 'succeeded');
    await clock.advance(0);
    assert.deepEqual([state.end, looks], [null, 1]);
    await clock.advance(1_000);
    await ended;
    assert.deepEqual([state.end, looks], [{ kind: 'ok' }, 2]);
  });

  it('gives up after an hour, and says that asking again helps', async () => {
    decide('matched', 'run_1');
    const { ended } = wait();
    const rejected = assert.rejects(ended, { code: 'unavailable', disposition: 'retry' });
    await clock.advance(HOUR);
    await rejected;
  });

  it('throws the reason of the signal, and looks no more', async () => {
    decide('matched', 'run_1');
    const { ended } = wait();
    const rejected = assert.rejects(ended, /gone/);
    await clock.advance(0);
    leaving.abort(new Error('gone'));
    await rejected;
    ends.progressed(move('run_1', 'succeeded'));
    await clock.advance(HOUR);
    assert.equal(looks, 1);
  });

  it('fails as the store does', async () => {
    failing = true;
    await assert.rejects(wait().ended, { code: 'store_unavailable', disposition: 'retry' });
  });

  it('lets a thousand wait, and has room again when one has gone', async () => {
    decide('matched', 'run_1');
    const waits = Array.from({ length: 1000 }, () => wait());
    await assert.rejects(wait().ended, { code: 'unavailable', disposition: 'retry' });
    await clock.advance(0);
    ends.progressed(move('run_1', 'succeeded'));
    await Promise.all(waits.map(({ ended }) => ended));
    await wait().ended;
  });
});
