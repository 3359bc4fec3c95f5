import assert from 'node:assert/strict';
import { test } from 'node:test';
import { group, instances, template, world } from '../../src/cloud/simulated/world.ts';
import { daemon } from './daemon.ts';

const HOUR = 3_600_000;
const FAMILIES = ['m5', 'm5a', 'm6i', 'm6a', 'm7i', 'm5d', 'm5n', 'r5'];

/** Fires for ever, and no limit of the policy stands in its way. */
const RULES = `
rules:
  - name: again-and-again
    on: { every: 5m }
    target: { pick: costliest-spot }
    then: [{ swap: { to: spot } }]
policies:
  - { name: all, groups: { names: ["*"] }, cooldown: 0, budgets: unlimited, minInstanceAge: 0, minHealthy: 0 }
`;

test('pitfall 35 price-ladder-churn: a rule that fires every five minutes leaves a group alone once nothing is worth it', async (t) => {
  const web = group('web', {
    ...{ min: 4, max: 12, launch: template('m5.large', { spot: true }) },
    instances: FAMILIES.map((family) =>
      instances(`${family}.large`, 'eu-west-1a', 1, { purchaseOption: 'spot' }),
    ),
  });
  const { clock, cloud, get } = await daemon(t, RULES, world([web]));
  const launches = (): number => cloud.calls.launch + cloud.calls.launchFleet;
  await clock.advance(1.5 * HOUR);
  const begun = launches();
  assert.ok(begun >= 1 && begun <= FAMILIES.length, `${begun} launches`);
  await clock.advance(1.5 * HOUR);
  assert.equal(launches(), begun);
  const { items } = await get('/api/v1/runs?state=failed&limit=1');
  const [last] = items as { error: { reason: string; message: string } }[];
  assert.equal(last?.error.reason, 'no_candidate');
  assert.match(last.error.message, /too_little_saved/);
});
