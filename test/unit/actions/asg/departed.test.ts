import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutDeparted } from '../../../../src/actions/asg/departed.ts';
import type { Run, StepRecord } from '../../../../src/actions/run.ts';
import { ManualClock } from '../../../../src/base/manual-clock.ts';
import type { HttpAction } from '../../../../src/engine/rule.ts';
import { pair, planInput, SPEC, spot, WEB } from './fixture.ts';

const clock = new ManualClock();
const NOW = clock.now();
const TELL: HttpAction = { kind: 'http', http: { url: 'http://a/', headers: {}, bearerTokenFile: null } };
const TAGS = { 'coppice:run': 'run_1', 'coppice:replaces': 'i-1' };

/** Steps as `action state`. */
function runWith(state: Run['state'], agoMs: number, ...told: readonly string[]): Run {
  const steps = told.map((text, seq): StepRecord => {
    const [action, ended] = text.split(' ');
    const error = ended === 'done' ? null : ({ reason: 'denied', message: 'no' } as const);
    return {
      ...{
        seq,
        action: Number(action),
        name: `step-${seq}`,
        state: ended as StepRecord['state'],
        attempt: 1,
      },
      ...{ startedAt: NOW - agoMs, finishedAt: NOW - agoMs, detail: {}, error },
    };
  });
  return {
    ...{ id: 'run_1', decisionId: 'dec_1', rule: 'r', group: WEB, instanceId: 'i-1', steps, state },
    ...{ actions: [{ kind: 'swap', swap: SPEC }, TELL], dueAt: 0, createdAt: 0, attempt: 1, error: null },
    finishedAt: NOW - agoMs,
  };
}

const ROWS: readonly (readonly [rule: string, run: Run | null, departed: boolean])[] = [
  ['a swap that has just succeeded', runWith('succeeded', 10_000, '0 done', '1 done'), true],
  ['one whose chain failed after it', runWith('failed', 10_000, '0 done', '1 failed'), true],
  [
    'one that was undone, though its chain went on',
    runWith('rolled_back', 10_000, '0 undone', '1 done'),
    false,
  ],
  ['one that succeeded longer ago', runWith('succeeded', 40_000, '0 done', '1 done'), false],
  ['one that nobody knows', null, false],
];

for (const [rule, run, departed] of ROWS) {
  test(`an old instance that is still shown beside its replacement has ${departed ? '' : 'not '}left: ${rule}`, async () => {
    const market = spot('m5.large');
    const pairs = ['i-1', 'i-2', 'i-9'].map((id) =>
      pair(id, market, id === 'i-9' ? { machine: { tags: TAGS } } : {}),
    );
    const { group, machines } = planInput({ pairs });
    const seen = await withoutDeparted(group, machines, { knownRun: () => Promise.resolve(run), clock });
    const [old] = seen.members;
    assert.deepEqual([old?.lifecycleState, seen.desired], departed ? ['Detaching', 2] : ['InService', 3]);
  });
}
