import assert from 'node:assert/strict';
import { isOver, type Run } from '../../src/actions/run.ts';
import type { InstanceSnapshot } from '../../src/cloud/simulated/snapshot.ts';
import type { SwapSpec } from '../../src/engine/rule.ts';
import { Fuse } from './swap-fuse.ts';
import { Site, type SiteOptions } from './swap-site.ts';

/** AWS says no, and will go on saying no. */
export const denied = { code: 'AccessDenied', status: 403 };

/** Lets a second pass at a time, and looks after each, until all the runs are over. */
export async function watched(
  site: Site,
  runIds: readonly string[],
  look: () => void,
): Promise<readonly Run[]> {
  for (let second = 0; second < 7200; second++) {
    const runs = await Promise.all(runIds.map((id) => site.store.run(id)));
    const over = runs.flatMap((run) => (run !== null && isOver(run.state) ? [run] : []));
    if (over.length === runIds.length) return over;
    await site.clock.advance(1000);
    look();
  }
  assert.fail('the runs take too long');
}

/** Orders one swap of the first member and lets it end. */
export async function swappedOn(
  site: Site,
  swap: Partial<SwapSpec> = {},
): Promise<{ run: Run; old: string }> {
  const old = site.member(0);
  await site.process();
  return { run: await site.ended(await site.order(old, swap)), old };
}

/** How many members serve, as the group sees it. */
export function servingOn(site: Site): number {
  const serves = site
    .web()
    .members.filter(
      ({ lifecycleState, healthStatus }) => lifecycleState === 'InService' && healthStatus === 'Healthy',
    );
  return serves.length;
}

/** Instances that Coppice has launched and that still run. */
export function oursOn(site: Site): readonly InstanceSnapshot[] {
  return site.cloud.snapshot().instances.filter(({ tags }) => 'coppice:run' in tags);
}

/** Desired, minimum and maximum of the group, and how many members it has. */
export function sizesOf(site: Site): readonly number[] {
  const { desired, min, max, members } = site.web();
  return [desired, min, max, members.length];
}

/** What a process lives by. Once it is cut no call of its ports comes back, and none takes effect. */
export class Mains {
  #cut = false;

  cut(): void {
    this.#cut = true;
  }

  wrap<T extends object>(port: T): T {
    return new Proxy(port, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) =>
          this.#cut ? new Promise(() => {}) : Promise.resolve(Reflect.apply(member, target, args));
      },
    });
  }
}

/**
 * A site whose process is lost right after its first write of that name, e.g. `cloud.attach`. Where that is in the order
 * of the writes is found by playing the same swap whole.
 */
export async function lostAfter(
  write: string,
  options: SiteOptions,
  swap: Partial<SwapSpec> = {},
): Promise<{ site: Site; id: string; old: string }> {
  const whole = new Site(options);
  const counting = new Fuse();
  await whole.process({ store: counting.store(whole), cloud: counting.cloud(whole) });
  await whole.ended(await whole.order(whole.member(0), swap));
  const at = counting.writes.indexOf(write) + 1;
  assert.ok(at > 0, `no ${write} in ${counting.writes.join(', ')}`);

  const site = new Site(options);
  const old = site.member(0);
  const fuse = new Fuse({ at, when: 'after' });
  await site.process({ store: fuse.store(site), cloud: fuse.cloud(site) });
  const id = await site.order(old, swap);
  await site.clock.advanceUntil(() => fuse.lost, 3_600_000);
  assert.ok(fuse.lost);
  return { site, id, old };
}
