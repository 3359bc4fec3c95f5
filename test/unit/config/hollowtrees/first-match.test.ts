import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { Labels } from '../../../../src/engine/event.ts';
import { imported, saidOf, TERMINATION, TOO_EXPENSIVE, v1Flows, woken } from './build.ts';

interface Drawn {
  readonly type: string;
  readonly match: Labels;
}

const labels = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'instance'), fc.constantFrom('1', '2'), {
  maxKeys: 3,
  noNullPrototype: true,
});
const type = fc.constantFrom(TERMINATION, TOO_EXPENSIVE);
const flow: fc.Arbitrary<Drawn> = fc.record({ type, match: labels });

function textOf(flows: readonly Drawn[]): string {
  return v1Flows(...flows.map((one) => [`event_type: ${one.type}`, `match: ${JSON.stringify(one.match)}`]));
}

/** The flow that v1 runs: the first one of the type whose labels the event all has. */
function chosen(flows: readonly Drawn[], event: Drawn): number {
  return flows.findIndex(
    (one) =>
      one.type === event.type &&
      Object.entries(one.match).every(([name, value]) => event.match[name] === value),
  );
}

test('an event wakes the rule of the flow that v1 would have run, and no other', () => {
  let compared = 0;
  fc.assert(
    fc.property(
      fc.array(flow, { minLength: 1, maxLength: 5 }),
      fc.array(flow, { minLength: 1, maxLength: 8 }),
      (flows, events) => {
        const result = imported(textOf(flows));
        // More alternatives than anybody can read are left out, and told.
        const leftOut = flows.map((_, index) =>
          saidOf(result, `action_flows[${index}]`).join().includes('by hand'),
        );
        for (const event of events) {
          const index = chosen(flows, event);
          const wanted = index === -1 || leftOut[index] === true ? [] : [`flow-${index + 1}`];
          assert.deepEqual(woken(result, event.type, event.match), wanted);
          compared += wanted.length;
        }
      },
    ),
  );
  assert.ok(compared > 100, `${compared} events were taken`);
});

test('flows that cannot take the same event know nothing of each other', () => {
  const result = imported(
    textOf([
      { type: TERMINATION, match: { a: '1' } },
      { type: TERMINATION, match: { a: '2', b: '1' } },
    ]),
  );
  assert.equal(
    result.files.some(({ text }) => text.includes('!=')),
    false,
  );
});

test('a flow behind one that takes all of its events is left out', () => {
  const result = imported(
    textOf([
      { type: TERMINATION, match: {} },
      { type: TERMINATION, match: { a: '1' } },
    ]),
  );
  assert.deepEqual(result.flows, { all: 2, carried: 1 });
  assert.match(saidOf(result, 'action_flows[1]').join(), /it never ran: flow "flow-1"/);
});
