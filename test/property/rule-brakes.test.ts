import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createDispatcher, type Dispatcher } from '../../src/actions/dispatcher.ts';
import type { Fleet } from '../../src/actions/fleet.ts';
import { createLiveMemory, type LiveMemory } from '../../src/actions/live-memory.ts';
import type { Run } from '../../src/actions/run.ts';
import { createUnavailableMarkets } from '../../src/actions/unavailable-markets.ts';
import { idMaker } from '../../src/base/id.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Decision } from '../../src/engine/decision.ts';
import type { Event } from '../../src/engine/event.ts';
import { NOT_MATCHED_REASONS, OTHER_REASONS, REFUSAL_REASONS } from '../../src/engine/reason.ts';
import type { Recheck } from '../../src/engine/recheck.ts';
import type { CooldownSpec, RuleLimits } from '../../src/engine/rule.ts';
import { compileRuleset } from '../../src/engine/ruleset.ts';
import type { SqliteStore } from '../../src/state/sqlite-store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { openStore, withMethods } from '../unit/actions/fake-walk.ts';
import { event, fleet, group, instance, lax, MINUTE, NOW, rule } from '../unit/engine/build.ts';

const SECOND = 1000;
const MEMBERS = ['i-00000001', 'i-00000002', 'i-00000003'] as const;
/** Runs of the property; each lives about half an hour of virtual time. */
const RUNS = 120;

/** What the one rule of the stories holds itself back by. */
interface Brakes {
  readonly delayMs: number;
  readonly cooldown: CooldownSpec | null;
  readonly limits: RuleLimits | null;
  readonly mode: 'enforce' | 'shadow';
}

const brakes: fc.Arbitrary<Brakes> = fc.record({
  delayMs: fc.constantFrom(0, 0, 2 * MINUTE),
  cooldown: fc.option(
    fc.record({
      forMs: fc.constantFrom(5 * MINUTE, 15 * MINUTE),
      per: fc.constantFrom<CooldownSpec['per']>(['group'], ['instance']),
      after: fc.constantFrom<CooldownSpec['after']>('dispatch', 'success'),
    }),
  ),
  limits: fc.option(
    fc.record({
      concurrent: fc.constantFrom(null, 1, 2),
      starts: fc.option(fc.record({ max: fc.integer({ min: 1, max: 3 }), perMs: fc.constant(20 * MINUTE) })),
    }),
  ),
  mode: fc.constantFrom('enforce', 'enforce', 'enforce', 'shadow'),
});

/** `lose`: from its next write on the process is lost, before or after the write. */
type Step =
  | { readonly kind: 'notify'; readonly member: number; readonly status: Event['status'] }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'reload'; readonly brakes: Brakes }
  | { readonly kind: 'end'; readonly state: 'succeeded' | 'failed' }
  | { readonly kind: 'lose'; readonly written: boolean }
  | { readonly kind: 'restart' };

const notify = fc.record({
  kind: fc.constant('notify' as const),
  member: fc.nat(MEMBERS.length - 1),
  status: fc.constantFrom<Event['status']>('firing', 'firing', 'firing', 'resolved'),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: notify },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.constantFrom(30 * SECOND, 2 * MINUTE, 10 * MINUTE),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      state: fc.constantFrom('succeeded', 'failed'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reload' as const), brakes }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), written: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
);
const story = fc.record({ first: brakes, steps: fc.array(step, { minLength: 15, maxLength: 40 }) });
type Story = typeof story extends fc.Arbitrary<infer T> ? T : never;

interface Process {
  readonly dispatcher: Dispatcher;
  readonly memory: LiveMemory;
}

/** A daemon's deciding half on a real store, which is lost and started again as the story tells. */
class World {
  readonly clock = new ManualClock(NOW);
  readonly store: SqliteStore = openStore(this.clock);
  readonly newId = idMaker(this.clock, seededRandom(5));
  /** By generation, from 0. */
  readonly inForce: Brakes[];
  /** Which alert an event ended, by its id. */
  readonly ends = new Map<string, string>();
  process: Process | null = null;
  /** What becomes of the process at its next write. */
  fate: 'well' | 'lost before' | 'lost after' = 'well';

  constructor(first: Brakes) {
    this.inForce = [first];
  }

  async play(steps: readonly Step[]): Promise<void> {
    await this.restart();
    for (const one of steps) {
      await this.#perform(one);
      await this.clock.advance(2 * SECOND);
    }
    await this.restart();
    await this.clock.advance(3 * MINUTE);
    await this.process?.dispatcher.stop();
  }

  async restart(): Promise<void> {
    this.fate = 'well';
    // One that is lost hangs in its write for ever, and never stops.
    void this.process?.dispatcher.stop();
    await this.clock.advance(0);
    const { clock, newId } = this;
    const memory = createLiveMemory(this.store, createUnavailableMarkets(clock));
    await memory.load(clock.now());
    const view: Fleet = {
      current: () => null,
      atMost: async () => ({ ...fleet(group(MEMBERS.map((id) => instance(id)))), readAt: clock.now() }),
    };
    const dispatcher = createDispatcher({
      ...{ store: this.#fated(), fleet: view, memory, clock, newId, shadow: false },
      ...{ random: seededRandom(1), log: silentLog, metrics: createMetrics(), runsAdded: () => undefined },
      ruleset: { current: () => this.#ruleset() },
    });
    dispatcher.start();
    this.process = { dispatcher, memory };
  }

  #fated(): SqliteStore {
    return withMethods(this.store, {
      settle: async (settlements) => {
        if (this.fate !== 'lost before') await this.store.settle(settlements);
        if (this.fate === 'well') return;
        this.process = null;
        await new Promise(() => {});
      },
    });
  }

  #ruleset(): ReturnType<typeof compileRuleset> {
    const generation = this.inForce.length - 1;
    const rules = [rule('r', this.inForce[generation])];
    return compileRuleset({ rules, policies: [lax()], conditions: {}, hash: 'h', generation, loadedAt: NOW });
  }

  async #perform(one: Step): Promise<void> {
    switch (one.kind) {
      case 'notify':
        return this.#notify(MEMBERS[one.member] ?? '', one.status);
      case 'wait':
        return this.clock.advance(one.ms);
      case 'reload':
        this.inForce.push(one.brakes);
        return;
      case 'end':
        return this.#endOldest(one.state);
      case 'lose':
        this.fate = one.written ? 'lost after' : 'lost before';
        return;
      case 'restart':
        return this.restart();
    }
  }

  async #notify(member: string, status: Event['status']): Promise<void> {
    const at = this.clock.now();
    const id = this.newId('evt');
    const about: Partial<Event> = {
      ...{ id, status, time: at, receivedAt: at, endsAt: status === 'resolved' ? at : null },
      identity: { kind: 'incident', key: member },
    };
    await this.store.append([event({ instance_id: member }, about)]);
    if (status === 'resolved') this.ends.set(id, member);
  }

  async #endOldest(state: 'succeeded' | 'failed'): Promise<void> {
    const at = this.clock.now();
    const claim = await this.store.claim('w', at, MINUTE);
    if (claim === null) return;
    const run: Run = { ...claim.run, state, finishedAt: at };
    await this.store.record(claim, run, null);
    this.process?.memory.runEnded(run);
  }
}

/** What is on record of a story when it is over: decisions and runs oldest first. */
interface Chronicle {
  readonly decisions: readonly Decision[];
  readonly runs: readonly Run[];
  readonly inForce: readonly Brakes[];
  readonly ends: ReadonlyMap<string, string>;
  readonly rechecks: readonly Recheck[];
}

async function told({ first, steps }: Story): Promise<Chronicle> {
  const world = new World(first);
  try {
    await world.play(steps);
    const decisions = (await world.store.decisions({ limit: 1000 })).items.toReversed();
    const runs = (await world.store.runs({ limit: 1000 })).items.toReversed();
    const rechecks = await world.store.rechecks();
    return { decisions, runs, rechecks, inForce: world.inForce, ends: world.ends };
  } finally {
    await world.store.close();
  }
}

const acts = ({ outcome }: Decision): boolean => outcome === 'dispatched' || outcome === 'shadowed';

/** Whether a cooldown of the brakes in force at `earlier` covers what `later` decided. */
function concerns(
  { cooldown }: Brakes,
  scopes: readonly string[],
  earlier: Decision,
  later: Decision,
): boolean {
  if (cooldown === null || cooldown.per.join() !== scopes.join()) return false;
  return cooldown.per.includes('group') || earlier.subject.instance === later.subject.instance;
}

function checkCooldown(record: Chronicle, decision: Decision): void {
  const scopes = record.inForce[decision.generation]?.cooldown?.per;
  if (scopes === undefined) return;
  for (const earlier of record.decisions.filter((one) => acts(one) && one.at < decision.at)) {
    const then = record.inForce[earlier.generation];
    if (then === undefined || !concerns(then, scopes, earlier, decision)) continue;
    const run = record.runs.find(({ id }) => id === earlier.runId) ?? null;
    const until = quietUntil(then.cooldown, earlier, run);
    assert.ok(decision.at >= until, `acts at ${decision.at}, and its cooldown lasts until ${until}`);
  }
}

/** Until when a decision that took the cooldown, by its run where it has one, keeps its rule quiet. */
function quietUntil(spec: CooldownSpec | null, { at }: Decision, run: Run | null): number {
  const forMs = spec?.forMs ?? 0;
  if (spec?.after !== 'success' || run === null) return at + forMs;
  if (run.finishedAt === null) return Number.POSITIVE_INFINITY;
  return run.state === 'succeeded' ? run.finishedAt + forMs : run.finishedAt;
}

function checkLimits(record: Chronicle, decision: Decision): void {
  const limits = record.inForce[decision.generation]?.limits ?? null;
  if (limits === null) return;
  const { at } = decision;
  const upTo = record.decisions.slice(0, record.decisions.indexOf(decision) + 1).filter(acts);
  if (limits.starts !== null) {
    const { max, perMs } = limits.starts;
    assert.ok(upTo.filter((one) => one.at > at - perMs).length <= max, 'more begun than the limit allows');
  }
  if (limits.concurrent === null || decision.runId === null) return;
  const live = record.runs.filter(
    ({ decisionId, finishedAt }) =>
      upTo.some(({ id }) => id === decisionId) && (finishedAt === null || finishedAt > at),
  );
  assert.ok(live.length <= limits.concurrent, 'more under way than the limit allows');
}

/** Whoever acts on an event that was put off does so after the delay, once, and with no change of the alert between. */
function checkDelay(record: Chronicle, decision: Decision): void {
  const looks = record.decisions.filter((one) => one.event.id === decision.event.id);
  const [first] = looks;
  assert.ok(first !== undefined && looks.length <= 2, 'an event is looked at once or twice');
  if (first === decision) {
    assert.equal(record.inForce[decision.generation]?.delayMs, 0, 'acts at once in spite of a delay');
    return;
  }
  assert.equal(first.reason, 'rule_delay');
  assert.ok(decision.at - first.at >= (record.inForce[first.generation]?.delayMs ?? 0), 'too early');
  const meanwhile = record.decisions.slice(
    record.decisions.indexOf(first),
    record.decisions.indexOf(decision),
  );
  const ended = meanwhile.some(({ event: { id } }) => record.ends.get(id) === decision.subject.instance);
  assert.ok(!ended, 'acts although the alert has ended');
}

/** The story goes on for longer than any delay, so whoever was to look again has done so. */
function checkSecondLooks({ decisions, rechecks }: Chronicle): void {
  const putOff = decisions.filter(({ detail }) => detail.includes('after its delay'));
  for (const { event: about } of putOff) {
    assert.equal(decisions.filter(({ event: { id } }) => id === about.id).length, 2, 'no second look');
  }
  assert.deepEqual(rechecks, []);
}

function checkAll(record: Chronicle): void {
  const reasons = { ...REFUSAL_REASONS, ...NOT_MATCHED_REASONS, ...OTHER_REASONS };
  for (const decision of record.decisions) {
    assert.ok(Object.hasOwn(reasons, decision.reason) && decision.detail.length > 0);
    if (decision.outcome === 'suppressed') assert.ok(Object.hasOwn(REFUSAL_REASONS, decision.reason));
    if (!acts(decision)) continue;
    checkCooldown(record, decision);
    checkLimits(record, decision);
    checkDelay(record, decision);
  }
  checkSecondLooks(record);
  assert.equal(record.runs.length, record.decisions.filter(({ runId }) => runId !== null).length);
}

describe('what rules hold themselves back by', () => {
  it('should hold in any order of events, reloads, ends of runs, losses and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (given) => checkAll(await told(given))),
      { numRuns: RUNS },
    );
  });

  it('should give the same decisions when the same happens again', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (given) => assert.deepEqual(await told(given), await told(given))),
      { numRuns: RUNS / 4 },
    );
  });
});
