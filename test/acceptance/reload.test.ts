import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type App, startApp } from '../../src/app.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { demoWorld } from '../../src/cloud/simulated/demo-world.ts';
import { SimulatedCloud } from '../../src/cloud/simulated/simulated-cloud.ts';

/** One file for each mistake that a rule file can have; those that are only warnings are loaded all the same. */
const MISTAKES = join(import.meta.dirname, '..', 'unit', 'config', 'testdata', 'mistakes');

const GOOD = `
rules:
  - name: good
    on: { alert: Good }
    then: [{ swap: { urgent: true } }]
policies:
  - { name: all, groups: { names: ["*"] } }
`;

interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly severity: string;
}

function start(rules: readonly string[], statePath: string): Promise<App> {
  const clock = new ManualClock();
  const random = seededRandom(1);
  const cloud = new SimulatedCloud({ clock, random, world: demoWorld() });
  return startApp(
    {
      ...{ version: 'test', http: { host: '127.0.0.1', port: 0 }, grpc: { host: '127.0.0.1', port: 0 } },
      ...{ rules, pollIntervalMs: 30_000, debounceMs: 200, shadow: false, statePath },
      ...{ cloud: { kind: 'given', cloud }, retentionMs: 86_400_000, dedupWindowMs: 600_000 },
      ...{ inboxLimit: 1000, concurrency: 1, log: { level: 'silent', format: 'json' } },
    },
    { clock, random },
  );
}

describe('a running daemon whose rule file is broken', () => {
  let folder = '';
  let app: App | undefined;
  const ask = async (path: string, method = 'GET'): Promise<Response> => {
    assert.ok(app !== undefined);
    return fetch(`http://127.0.0.1:${app.http.port}${path}`, { method });
  };
  const gauge = async (): Promise<string | undefined> => {
    const metrics = await (await ask('/metrics')).text();
    return /^coppice_config_last_reload_successful (\S+)$/m.exec(metrics)?.[1];
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coppice-reload-'));
    await writeFile(join(folder, 'good.yaml'), GOOD);
    app = await start([folder], ':memory:');
  });

  after(async () => {
    await app?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('goes on with its rules, tells every problem with its place and sets the gauge, whatever the mistake', async () => {
    const inForce = (await (await ask('/api/v1/status')).json()) as { ruleset: { hash: string } };
    let broken = 0;
    for (const name of await readdir(MISTAKES)) {
      const path = join(folder, 'broken.yaml');
      await writeFile(path, await readFile(join(MISTAKES, name)));
      const answer = await ask('/-/reload', 'POST');
      if (answer.status === 200) {
        // Only warnings: put the good state back.
        await rm(path);
        assert.equal((await ask('/-/reload', 'POST')).status, 200);
        continue;
      }
      broken++;
      assert.equal(answer.status, 422, name);
      const { problems } = (await answer.json()) as { problems: readonly Problem[] };
      assert.ok(
        problems.some(({ severity }) => severity === 'error'),
        name,
      );
      for (const { file, line, column } of problems) {
        assert.ok(file === path && line >= 1 && column >= 1, `${name}: ${file}:${line}:${column}`);
      }
      assert.equal(await gauge(), '0', name);
      const now = (await (await ask('/api/v1/status')).json()) as typeof inForce;
      assert.equal(now.ruleset.hash, inForce.ruleset.hash, name);
      await rm(path);
      assert.equal((await ask('/-/reload', 'POST')).status, 200);
      assert.equal(await gauge(), '1', `${name}: mended`);
    }
    assert.ok(broken > 50, `only ${broken} files were refused`);
  });
});

describe('a daemon that is started again after a bad push', () => {
  let folder = '';
  let rules = '';
  let state = '';
  let app: App | undefined;
  const restart = async (paths = [rules]): Promise<App> => {
    await app?.stop();
    app = undefined;
    app = await start(paths, state);
    return app;
  };
  const ask = async (path: string, method = 'GET'): Promise<Response> =>
    fetch(`http://127.0.0.1:${app?.http.port ?? 0}${path}`, { method });
  const json = async (path: string): Promise<Record<string, unknown>> =>
    (await (await ask(path)).json()) as Record<string, unknown>;
  const gauge = async (): Promise<string | undefined> =>
    /^coppice_config_last_reload_successful (\S+)$/m.exec(await (await ask('/metrics')).text())?.[1];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coppice-restart-'));
    rules = join(folder, 'rules.yaml');
    state = join(folder, 'state.db');
    await writeFile(rules, GOOD);
    await restart();
  });

  after(async () => {
    await app?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('goes on with the last good rules, and shows that it does', async () => {
    const first = await json('/api/v1/status');
    await writeFile(rules, 'rulez: []\n');
    await restart();
    const { items } = await json('/api/v1/rules');
    assert.deepEqual(
      (items as { name: string }[]).map(({ name }) => name),
      ['good'],
    );
    const { ruleset } = await json('/api/v1/status');
    const { hash } = first['ruleset'] as { hash: string };
    const { source, errors, hash: now } = ruleset as { source: string; errors: number; hash: string };
    assert.deepEqual({ source, errors, now }, { source: 'kept', errors: 1, now: hash });
    assert.equal((await ask('/-/ready')).status, 200);
    assert.equal(await gauge(), '0');
  });

  test('still has them after a second restart', async () => {
    await restart();
    assert.equal((await json('/api/v1/rules'))['next'], null);
    assert.equal(await gauge(), '0');
  });

  test('does not take them for other paths', async () => {
    await assert.rejects(restart([join(folder, 'rulez.yaml')]), {
      name: 'Failure',
      message: `the rules cannot be loaded, and the rules that are kept come from other paths: ${rules}`,
    });
  });

  test('takes the files as soon as they are good', async () => {
    await restart();
    await writeFile(rules, GOOD.replace('name: good', 'name: better'));
    const answer = await ask('/-/reload', 'POST');
    assert.deepEqual(
      [answer.status, ((await answer.json()) as { outcome: string }).outcome],
      [200, 'applied'],
    );
    assert.equal(await gauge(), '1');
    const { source, errors } = (await json('/api/v1/status'))['ruleset'] as {
      source: string;
      errors: number;
    };
    assert.deepEqual({ source, errors }, { source: 'files', errors: 0 });
  });
});
