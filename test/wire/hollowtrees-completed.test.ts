import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { leftBehind } from '../../src/cloud/simulated/snapshot.ts';
import { type Daemon, daemon, over } from '../acceptance/daemon.ts';
import { eventually } from './support/eventually.ts';
import { engineV1, engineV2 } from './support/hollowtrees-message.ts';
import { type Python, skipWithoutPythonGrpc, startPython, suiteStubs } from './support/python-grpc.ts';

const RULES = `
rules:
  - name: spot-termination
    on: { type: prometheus.server.alert.SpotTerminationNotice }
    then: [{ swap: { urgent: true } }]
policies:
  - { name: all, groups: { names: ["*"] }, cooldown: 0, budgets: unlimited, minInstanceAge: 0, minHealthy: 0 }
`;
const BEGUN_MS = 20_000;

interface Ended {
  readonly message?: { readonly status: string };
  readonly code?: string;
  readonly details?: string;
}

interface Site extends Daemon {
  /** Calls as the engine does, with the termination notice of a member; `timeout` in seconds. */
  notice(to: 'v1' | 'v2', instance: string, options?: { readonly timeout?: number }): Promise<Ended>;
  readonly engine: Python;
}

/** What the standalone action plugin of Hollowtrees was: a call ends with all that comes of it. Time stands until it is let pass. */
describe('a Hollowtrees engine of another toolchain waits for the end', {
  skip: skipWithoutPythonGrpc(),
  timeout: 180_000,
}, () => {
  const stubs = suiteStubs();

  const site = async (t: TestContext): Promise<Site> => {
    const house = await daemon(t, RULES);
    const address = `127.0.0.1:${house.grpcPort()}`;
    const engine = await startPython('hollowtrees-engine.py', { stubs: stubs(), address });
    t.after(() => engine.stop());
    return {
      ...house,
      engine,
      notice(to, instance, options = {}) {
        const labels = { alertname: 'SpotTerminationNotice', instance_id: instance };
        const alert = {
          ...{ labels, generatorUrl: 'http://prometheus:9090/graph' },
          startsAt: '2025-12-31T23:59:59.123Z',
        };
        const message = to === 'v1' ? engineV1(alert) : engineV2(alert);
        return engine.order({ do: 'call', to, message, ...options }) as Promise<Ended>;
      },
    };
  };

  /** Lets time pass until the call has been answered. */
  const answered = async ({ clock }: Daemon, call: Promise<Ended>): Promise<Ended> => {
    const state = { done: false };
    const ended = call.finally(() => {
      state.done = true;
    });
    await eventually('the call is answered', BEGUN_MS, async () => {
      if (!state.done) await clock.advance(20_000);
      return state.done ? true : undefined;
    });
    return ended;
  };

  const runOf = (house: Daemon): Promise<string> =>
    eventually('there is a run', BEGUN_MS, async () => {
      const { items } = await house.get('/api/v1/runs');
      return (items as { id: string }[])[0]?.id;
    });

  const first = ({ members: [member] }: Daemon): string => {
    assert.ok(member !== undefined);
    return member;
  };

  for (const to of ['v1', 'v2'] as const) {
    test(`${to}: a call ends with ok when the swap has succeeded`, async (t) => {
      const house = await site(t);
      assert.deepEqual(await answered(house, house.notice(to, first(house))), { message: { status: 'ok' } });
      const run = await house.get(`/api/v1/runs/${await runOf(house)}`);
      assert.deepEqual([run['state'], run['instance']], ['succeeded', first(house)]);
    });

    test(`${to}: a refusal is FAILED_PRECONDITION with rule, reason and decision`, async (t) => {
      const house = await site(t);
      await house.post('/api/v1/pause', { reason: 'migration' });
      const { code, details = '' } = await answered(house, house.notice(to, first(house)));
      assert.equal(code, 'FAILED_PRECONDITION');
      assert.match(details, /^rule spot-termination: suppressed: policy_paused \(.+\); decision dec_\w+$/);
    });

    test(`${to}: a run that fails for want of capacity is UNAVAILABLE, and leaves nothing behind`, async (t) => {
      const house = await site(t);
      const shortage = { code: 'InsufficientInstanceCapacity', status: 500, times: 10_000 };
      for (const operation of ['launch', 'launchFleet'] as const) house.cloud.failNext(operation, shortage);
      const { code, details = '' } = await answered(house, house.notice(to, first(house)));
      assert.equal(code, 'UNAVAILABLE');
      assert.match(
        details,
        new RegExp(`^rule spot-termination: rolled_back: market_unavailable .+; run ${await runOf(house)}$`),
      );
      assert.deepEqual(leftBehind(house.before, house.cloud.snapshot()), []);
    });

    test(`${to}: a deadline that passes first is DEADLINE_EXCEEDED, and the run goes on to its end`, async (t) => {
      const house = await site(t);
      const call = house.notice(to, first(house), { timeout: 1 });
      const run = await runOf(house);
      // The manual clock stands meanwhile, so the run cannot end before.
      assert.equal((await call).code, 'DEADLINE_EXCEEDED');
      await house.until(run, over);
      assert.equal((await house.get(`/api/v1/runs/${run}`))['state'], 'succeeded');
    });
  }

  test('a caller that dies does not stop the run', async (t) => {
    const house = await site(t);
    house.notice('v2', first(house)).catch(() => undefined);
    const run = await runOf(house);
    await house.engine.stop();
    await house.until(run, over);
    assert.equal((await house.get(`/api/v1/runs/${run}`))['state'], 'succeeded');
  });
});
