import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { isOver, type Run, transition } from '../../src/actions/run.ts';
import type { Claim, Settlement } from '../../src/actions/store.ts';
import { groupKey } from '../../src/base/group-name.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { Decision } from '../../src/engine/decision.ts';
import { openSqliteStore, type SqliteStore } from '../../src/state/sqlite-store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { alert, cloudEvent, decision, run, START, WEB } from '../contract/store-samples.ts';
import { copyAsCrashed, openStore } from '../unit/state/support.ts';

const folder = mkdtempSync(join(tmpdir(), 'coppice-property-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const newFile = (): string => join(folder, `${files++}.db`);

const MEMORY = { path: ':memory:', clock: new ManualClock(START), log: silentLog, dedupWindowMs: 60_000 };
const LEASE = 10_000;

/** What may happen, in any order. Numbers choose among what there is at the time. */
type Deed =
  | { readonly kind: 'append'; readonly numbers: readonly number[] }
  | { readonly kind: 'settle'; readonly count: number }
  | { readonly kind: 'settle_again'; readonly which: number }
  | { readonly kind: 'claim'; readonly holder: string }
  | { readonly kind: 'record'; readonly which: number; readonly end: 'none' | 'succeeded' | 'postponed' }
  | { readonly kind: 'renew'; readonly which: number }
  | { readonly kind: 'cancel'; readonly which: number }
  | { readonly kind: 'release' }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'prune' }
  | { readonly kind: 'restart' }
  | { readonly kind: 'crash' };

const which = fc.nat(30);
const deeds: fc.Arbitrary<readonly Deed[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('append' as const),
        numbers: fc.array(fc.nat(40), { minLength: 1, maxLength: 4 }),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant('settle' as const), count: fc.integer({ min: 1, max: 4 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('settle_again' as const), which }) },
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('claim' as const), holder: fc.constantFrom('a', 'b') }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('record' as const),
        which,
        end: fc.constantFrom('none' as const, 'succeeded' as const, 'postponed' as const),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('renew' as const), which }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'release' as const }) },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, LEASE - 1, LEASE) }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'prune' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'crash' as const }) },
  ),
  { maxLength: 50 },
);

interface Lock {
  readonly claim: Claim;
  until: number;
}

/** The store, and beside it what it must hold by the contract alone. */
class Site {
  store: SqliteStore;
  path: string;
  now = START;
  /** Ids of events that were acknowledged as accepted, in order; decided ones are taken out. */
  waiting: string[] = [];
  readonly settled: Settlement[] = [];
  /** Decision by key, as it was recorded first. */
  readonly decided = new Map<string, Decision>();
  readonly runs = new Map<string, Run>();
  readonly claims: Claim[] = [];
  readonly locks = new Map<string, Lock>();
  readonly fences = new Map<string, number>();
  #numbers = 0;

  constructor() {
    this.path = newFile();
    this.store = openStore(this.path);
  }

  async append(numbers: readonly number[]): Promise<void> {
    // Every second number is an alert, the others have the id of their sender: both kinds of identity. One call each,
    // at the same time, so that they share a commit.
    const events = numbers.map((number) =>
      (number % 2 === 0 ? alert : cloudEvent)(number, { id: `evt_${this.#numbers++}`, receivedAt: this.now }),
    );
    const answers = await Promise.all(events.map((event) => this.store.append([event])));
    for (const [i, event] of events.entries())
      if (answers[i]?.[0] === 'accepted') this.waiting.push(event.id);
  }

  async settle(count: number): Promise<void> {
    const undecided = await this.store.undecided(0, count);
    const settlements = undecided.map(({ seq, event }): Settlement => {
      const number = this.#numbers++;
      const group = { ...WEB, name: `group-${number % 3}` };
      // Few keys, so that different events often come to the same conclusion.
      const key = `${event.labels['instance_id']}`;
      const subject = { group, instance: 'i-1' };
      return {
        seq,
        decisions: [decision(number, { key, subject, at: this.now })],
        runs: [run(number, { group, dueAt: this.now, createdAt: this.now })],
        cooldowns: [],
      };
    });
    await this.store.settle(settlements);
    this.settled.push(...settlements);
    this.waiting.splice(0, settlements.length);
    for (const settlement of settlements) this.#expect(settlement);
  }

  async settleAgain(number: number): Promise<void> {
    const again = this.settled.at(number % Math.max(1, this.settled.length));
    if (again !== undefined) await this.store.settle([again]);
  }

  #expect({ decisions: [recorded], runs: [started] }: Settlement): void {
    assert.ok(recorded !== undefined && started !== undefined);
    if (this.decided.has(recorded.key)) return;
    this.decided.set(recorded.key, recorded);
    this.runs.set(started.id, started);
  }

  async claim(holder: string): Promise<void> {
    this.#dropEnded();
    const due = [...this.runs.values()]
      .filter(({ state, dueAt }) => (state === 'pending' || state === 'recovering') && dueAt <= this.now)
      .filter(({ group }) => !this.locks.has(groupKey(group)))
      .toSorted((a, b) => a.dueAt - b.dueAt);
    const claim = await this.store.claim(holder, this.now, LEASE);
    assert.equal(
      claim === null,
      due.length === 0,
      'a run is claimed exactly when one is due in a free group',
    );
    if (claim === null) return;
    const group = groupKey(claim.run.group);
    assert.ok(!this.locks.has(group), 'two claims never hold one group');
    assert.equal(claim.run.dueAt, due[0]?.dueAt, 'the run that has been due longest comes first');
    assert.ok(claim.fence > (this.fences.get(group) ?? 0), 'the fence of a group grows');
    this.fences.set(group, claim.fence);
    this.locks.set(group, { claim, until: this.now + LEASE });
    this.claims.push(claim);
    this.#move(claim.run.id, { kind: 'claimed' });
  }

  async record(number: number, end: 'none' | 'succeeded' | 'postponed'): Promise<void> {
    const claim = this.claims.at(number % Math.max(1, this.claims.length));
    if (claim === undefined) return;
    const group = groupKey(claim.run.group);
    const holds = this.locks.get(group)?.claim === claim;
    const before = { ...claim.run, state: 'running' as const };
    const written =
      end === 'none'
        ? before
        : end === 'succeeded'
          ? transition(before, { kind: 'succeeded', at: this.now })
          : transition(before, { kind: 'postponed', dueAt: this.now + LEASE / 2 });
    assert.ok(written !== null);
    assert.equal(
      await this.store.record(claim, written, null),
      holds,
      'only the claim that holds the group may write',
    );
    if (!holds) return;
    this.runs.set(written.id, written);
    if (end !== 'none') this.locks.delete(group);
  }

  async renew(number: number): Promise<void> {
    const claim = this.claims.at(number % Math.max(1, this.claims.length));
    if (claim === undefined) return;
    const lock = this.locks.get(groupKey(claim.run.group));
    const holds = lock?.claim === claim && lock.until > this.now;
    assert.equal(
      await this.store.renew(claim, this.now, LEASE),
      holds,
      'only a lease that has not ended is prolonged',
    );
    if (lock !== undefined && holds) lock.until = this.now + LEASE;
  }

  async cancel(number: number): Promise<void> {
    const target = [...this.runs.values()].at(number % Math.max(1, this.runs.size));
    if (target === undefined) return;
    const pending = target.state === 'pending';
    assert.equal(await this.store.cancelPending(target.id, this.now, 'alice'), pending);
    if (pending) {
      const error = { reason: 'cancelled', message: 'cancelled by alice' } as const;
      this.#move(target.id, { kind: 'cancelled', at: this.now, error });
    }
  }

  async prune(): Promise<void> {
    await this.store.prune(this.now);
    for (const { id, finishedAt } of this.runs.values()) {
      if (finishedAt !== null && finishedAt < this.now) this.runs.delete(id);
    }
    const needed = new Set([...this.runs.values()].map(({ decisionId }) => decisionId));
    for (const { key, id, at } of this.decided.values()) {
      if (at < this.now && !needed.has(id)) this.decided.delete(key);
    }
  }

  async release(): Promise<void> {
    assert.equal(await this.store.releaseExpired(this.now), this.#dropEnded());
  }

  #dropEnded(now: number = this.now): number {
    const ended = [...this.locks].filter(([, { until }]) => until <= now);
    for (const [group, { claim }] of ended) {
      this.locks.delete(group);
      this.#move(claim.run.id, { kind: 'lease_lost' });
    }
    return ended.length;
  }

  #move(id: string, input: Parameters<typeof transition>[1]): void {
    const before = this.runs.get(id);
    assert.ok(before !== undefined, `${id} is a run that nobody dispatched`);
    const next = transition(before, input);
    assert.ok(next !== null);
    this.runs.set(id, next);
  }

  async reopen(crash: boolean): Promise<void> {
    const next = crash ? newFile() : this.path;
    if (crash) copyAsCrashed(this.path, next);
    await this.store.close();
    this.path = next;
    this.store = openStore(next);
    this.#dropEnded(Number.POSITIVE_INFINITY);
  }

  /** What must hold after every deed. */
  async check(): Promise<void> {
    const undecided = await this.store.undecided(0, 1000);
    assert.deepEqual(
      undecided.map(({ event }) => event.id),
      this.waiting,
      'no acknowledged event is lost, and their order is kept',
    );
    assert.equal((await this.store.inboxState()).depth, this.waiting.length);
    const decisions = (await this.store.decisions({ limit: 1000 })).items;
    assert.deepEqual(
      new Map(decisions.map((one) => [one.key, one])),
      this.decided,
      'a key is decided once, by the first',
    );
    assert.equal(decisions.length, this.decided.size);
    const runs = (await this.store.runs({ limit: 1000 })).items;
    assert.deepEqual(new Map(runs.map((one) => [one.id, one])), this.runs);
    const live = (await this.store.liveRuns()).map(({ id }) => id);
    assert.deepEqual(new Set(live), new Set(runs.filter(({ state }) => !isOver(state)).map(({ id }) => id)));
  }
}

const DEEDS: {
  readonly [Kind in Deed['kind']]: (site: Site, deed: Extract<Deed, { kind: Kind }>) => Promise<void>;
} = {
  append: (site, { numbers }) => site.append(numbers),
  settle: (site, { count }) => site.settle(count),
  settle_again: (site, { which: number }) => site.settleAgain(number),
  claim: (site, { holder }) => site.claim(holder),
  record: (site, { which: number, end }) => site.record(number, end),
  renew: (site, { which: number }) => site.renew(number),
  cancel: (site, { which: number }) => site.cancel(number),
  release: (site) => site.release(),
  wait: async (site, { ms }) => {
    site.now += ms;
  },
  prune: (site) => site.prune(),
  restart: (site) => site.reopen(false),
  crash: (site) => site.reopen(true),
};

function perform<Kind extends Deed['kind']>(site: Site, deed: Extract<Deed, { kind: Kind }>): Promise<void> {
  const act: (on: Site, what: Extract<Deed, { kind: Kind }>) => Promise<void> = DEEDS[deed.kind as Kind];
  return act(site, deed);
}

describe('the store, whatever happens in whatever order', () => {
  it('loses no acknowledged event, decides no key twice, and gives no group to two claims', async () => {
    await fc.assert(
      fc.asyncProperty(deeds, async (sequence) => {
        const site = new Site();
        try {
          for (const deed of sequence) {
            await perform(site, deed);
            await site.check();
          }
          await site.reopen(true);
          await site.check();
        } finally {
          await site.store.close();
        }
      }),
      { numRuns: 100 },
    );
  });
});

/** A full or nearly full inbox, and beside it what it must hold. */
class SmallInbox {
  static readonly LIMIT = 6;
  readonly store: SqliteStore = openSqliteStore({ ...MEMORY, inboxLimit: SmallInbox.LIMIT });
  readonly accepted = new Set<number>();
  depth = 0;

  /** Calls of one moment, each with the numbers of its events. */
  async append(calls: readonly (readonly number[])[]): Promise<void> {
    const answers = await Promise.allSettled(
      calls.map((numbers) => this.store.append(numbers.map((number) => cloudEvent(number)))),
    );
    for (const [i, numbers] of calls.entries()) {
      assert.equal(answers[i]?.status, this.#take(numbers) ? 'fulfilled' : 'rejected');
    }
    assert.equal((await this.store.inboxState()).depth, this.depth);
  }

  #take(numbers: readonly number[]): boolean {
    const fresh = new Set(numbers.filter((number) => !this.accepted.has(number)));
    if (fresh.size > 0 && this.depth + fresh.size > SmallInbox.LIMIT) return false;
    this.depth += fresh.size;
    for (const number of fresh) this.accepted.add(number);
    return true;
  }

  async settle(count: number): Promise<void> {
    const decided = await this.store.undecided(0, count);
    await this.store.settle(decided.map(({ seq }) => ({ seq, decisions: [], runs: [], cooldowns: [] })));
    this.depth -= decided.length;
  }
}

describe('the inbox limit, whatever is appended and decided', () => {
  const calls = fc.array(fc.array(fc.nat(15), { minLength: 1, maxLength: 5 }), {
    minLength: 1,
    maxLength: 4,
  });

  it('is never passed, and a refused call leaves no trace', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(calls, fc.nat(4)), { maxLength: 12 }), async (rounds) => {
        const inbox = new SmallInbox();
        for (const [appended, settled] of rounds) {
          await inbox.append(appended);
          await inbox.settle(settled);
        }
        assert.equal((await inbox.store.undecided(0, 1000)).length, inbox.depth);
        await inbox.store.close();
      }),
      { numRuns: 100 },
    );
  });
});
