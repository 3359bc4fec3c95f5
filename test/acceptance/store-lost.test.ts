import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createJanitor } from '../../src/actions/janitor.ts';
import type { Cloud } from '../../src/cloud/cloud.ts';
import type { SwapSpec } from '../../src/engine/rule.ts';
import { openSqliteStore } from '../../src/state/sqlite-store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { ruleset } from '../unit/engine/build.ts';
import { LENIENT, Site, type SiteOptions } from './swap-site.ts';

interface Scenario {
  readonly name: string;
  readonly options: SiteOptions;
  readonly swap?: Partial<SwapSpec>;
  /** The instance came by an earlier swap, which is over. */
  readonly earlier?: boolean;
}

const HOOK = { launching: false, terminating: true };

const SCENARIOS: readonly Scenario[] = [
  { name: 'in a full group', options: { spec: { max: 4 } } },
  { name: 'in a group with room and target groups', options: { spec: { targetGroups: ['arn:a'] } } },
  { name: 'in a full group with a terminating hook', options: { spec: { max: 4, hooks: HOOK } } },
  {
    name: 'in a group at its minimum that is full, too',
    options: { spec: { min: 4, max: 4, targetGroups: ['arn:a'] } },
  },
  {
    name: 'that leaves an instance of its user running',
    options: { spec: { max: 4 } },
    swap: { terminate: false },
  },
  {
    name: 'that leaves an instance of an earlier swap running',
    options: { spec: { max: 4 } },
    swap: { terminate: false },
    earlier: true,
  },
  {
    name: 'that replaces an instance of an earlier swap',
    options: { spec: { max: 4, targetGroups: ['arn:a'] } },
    earlier: true,
  },
  {
    name: 'that detaches first in a group at its minimum',
    options: { spec: { min: 4, max: 4, targetGroups: ['arn:a'] } },
    swap: { order: 'detach-first' },
  },
  {
    name: 'that detaches first in a group with a terminating hook',
    options: { spec: { min: 4, hooks: HOOK } },
    swap: { order: 'detach-first' },
  },
  {
    name: 'that detaches an instance first that is going away',
    options: { spec: { min: 4 } },
    swap: { order: 'detach-first', urgent: true },
  },
  {
    name: 'that detaches an instance of an earlier swap first and leaves it running',
    options: {},
    swap: { order: 'detach-first', terminate: false },
    earlier: true,
  },
];

/** A cloud whose caller is lost right before its call number `at` (from 1): neither that call nor a later one takes effect. */
class Line {
  readonly calls: string[] = [];
  readonly #at: number;

  constructor(at = Number.POSITIVE_INFINITY) {
    this.#at = at;
  }

  get lost(): boolean {
    return this.calls.length >= this.#at;
  }

  cloud(site: Site): Cloud {
    return new Proxy<Cloud>(site.cloud, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]): unknown => {
          if (!this.lost) this.calls.push(String(key));
          return this.lost ? new Promise(() => {}) : Reflect.apply(member, target, args);
        };
      },
    });
  }
}

interface Stage {
  readonly site: Site;
  readonly old: string;
  readonly suspendedByUser: readonly string[];
}

/** The site with everything that comes before the swap. */
async function staged({ options, earlier = false }: Scenario): Promise<Stage> {
  const site = new Site(options);
  let old = site.member(0);
  if (earlier) {
    const first = await site.process();
    await site.ended(await site.order(old));
    await first.worker.stop();
    old = site.web().members.at(-1)?.instanceId ?? '';
    assert.ok(site.cloud.snapshot().instances.some(({ id, tags }) => id === old && 'coppice:run' in tags));
  }
  site.cloud.byHand.suspend('web', ['AlarmNotification']);
  return { site, old, suspendedByUser: site.web().suspendedProcesses };
}

/** Calls of the cloud that the swap makes when nothing is lost. */
async function callsOf(scenario: Scenario): Promise<readonly string[]> {
  const { site, old } = await staged(scenario);
  const line = new Line();
  await site.process({ cloud: line.cloud(site) });
  const run = await site.ended(await site.order(old, scenario.swap));
  assert.equal(run.state, 'succeeded', run.error?.message);
  return line.calls;
}

/** A process on a store that knows nothing, with its janitor. */
async function freshDaemon(site: Site): Promise<void> {
  const { clock, cloud } = site;
  const store = openSqliteStore({
    ...{ path: ':memory:', clock, log: silentLog, dedupWindowMs: 60_000, inboxLimit: 1000 },
  });
  const { metrics } = await site.process({ store });
  const rules = { current: () => ruleset([], [LENIENT]) };
  createJanitor({ store, cloud, ruleset: rules, clock, metrics, log: silentLog }).start();
}

/** What is wrong after the process and its store were lost right before that call; empty when nothing is. */
async function wrongAfter(scenario: Scenario, at: number): Promise<readonly string[]> {
  const { site, old, suspendedByUser } = await staged(scenario);
  const before = site.cloud.snapshot();
  const line = new Line(at);
  await site.process({ cloud: line.cloud(site) });
  await site.order(old, scenario.swap);
  const wrong = new Set<string>();
  const least = scenario.swap?.order === 'detach-first' ? 3 : 4;
  const watch = async (done: () => boolean, seconds: number): Promise<void> => {
    for (let second = 0; second < seconds && !done(); second++) {
      await site.clock.advance(1000);
      if (serving(site) < least) wrong.add('capacity fell below what the order allows');
    }
  };
  await watch(() => line.lost, 1200);
  assert.ok(line.lost);
  await freshDaemon(site);
  await watch(() => false, 400);
  const { desired, min, max, suspendedProcesses, members } = site.web();
  const web = before.groups[0];
  return [
    ...wrong,
    ...site.leftBehind(before),
    ...([desired, min, max].join() === [4, web?.min, web?.max].join()
      ? []
      : [`sizes ${desired} ${min} ${max}`]),
    ...(suspendedProcesses.join() === suspendedByUser.join()
      ? []
      : [`suspended: ${suspendedProcesses.join()}`]),
    ...(members.length === 4 && serving(site) === 4
      ? []
      : [`${members.length} members, ${serving(site)} serve`]),
    ...machinesLeft(site, scenario, old),
  ];
}

function serving(site: Site): number {
  return site.web().members.filter(({ lifecycleState }) => lifecycleState === 'InService').length;
}

/** Nothing runs outside of the group but an old instance that was to be left running, and that one does. */
function machinesLeft(site: Site, { swap }: Scenario, old: string): readonly string[] {
  if (swap?.terminate === false && !site.runs(old)) return ['the old instance does not run any more'];
  const outside = site.cloud.snapshot().instances.filter(({ group }) => group === null);
  return outside
    .filter(({ id }) => id !== old || swap?.terminate !== false)
    .map(({ id }) => `${id === old ? 'the old instance' : id} runs outside of the group`);
}

for (const scenario of SCENARIOS) {
  test(`law 3: a fresh daemon gives everything back when the store of a swap ${scenario.name} is lost`, async (t) => {
    const calls = await callsOf(scenario);
    const wrong: string[] = [];
    for (const [index, call] of calls.entries()) {
      const problems = await wrongAfter(scenario, index + 1);
      if (problems.length > 0) wrong.push(`before ${call} (${index + 1}): ${problems.join(', ')}`);
    }
    assert.deepEqual(wrong, []);
    t.diagnostic(`the store was lost at ${calls.length} points`);
  });
}
