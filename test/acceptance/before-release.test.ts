import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createHttpSender, type HttpAnswer, type HttpRequest } from '../../src/actions/http/sender.ts';
import { isOver, type Run } from '../../src/actions/run.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import type { ChainedSpec, SwapOrder, SwapSpec } from '../../src/engine/rule.ts';
import { oursOn, servingOn, sizesOf } from './pitfall-watch.ts';
import { Fuse } from './swap-fuse.ts';
import { Site, type SiteOptions, stepsOf } from './swap-site.ts';

const FULL = { min: 4, max: 4 };
const ORDERS: readonly SwapOrder[] = ['launch-first', 'detach-first'];

function ask(url: string, bearerTokenFile: string | null = null): ChainedSpec {
  return { kind: 'http', http: { url, headers: {}, bearerTokenFile } };
}

const DRAIN = [ask('http://drainer.test/'), ask('http://pager.test/')];

/** A site whose other systems answer as `answer` says; the old instance is the first member. */
function siteWith(
  answer: (request: HttpRequest, site: Site) => HttpAnswer['status'],
  spec: SiteOptions['spec'] = FULL,
): Site {
  const site: Site = new Site({
    spec,
    sendHttp: (request) => Promise.resolve({ status: answer(request, site), text: 'so' }),
  });
  return site;
}

async function swapped(
  site: Site,
  swap: Partial<SwapSpec>,
): Promise<{ readonly run: Run; readonly old: string }> {
  const old = site.member(0);
  await site.process();
  const run = await site.ended(await site.order(old, { beforeRelease: DRAIN, ...swap }));
  await site.clock.advance(300_000);
  return { run, old };
}

function serves(site: Site, id: string): boolean {
  return site.web().members.some((one) => one.instanceId === id && one.lifecycleState === 'InService');
}

for (const order of ORDERS) {
  const replaced = order === 'launch-first';

  test(`${order}: the other systems are asked in order, while the old instance serves${replaced ? ' and so does the new one' : ''}`, async () => {
    const asked: string[] = [];
    const site = siteWith(({ url, body }, at) => {
      asked.push(url);
      assert.ok(serves(at, old));
      assert.equal(servingOn(at), replaced ? 5 : 4);
      const { replacement } = body as { replacement: string | null };
      assert.deepEqual([replacement ?? 'none'], oursOn(at).length === 0 ? ['none'] : [oursOn(at)[0]?.id]);
      assert.equal(replacement === null, !replaced);
      return 200;
    });
    const old = site.member(0);
    const { run } = await swapped(site, { order });
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.deepEqual(asked, ['http://drainer.test/', 'http://pager.test/']);
    assert.deepEqual(sizesOf(site), [4, 4, 4, 4]);
  });

  test(`${order}: a system that does not agree keeps the old instance in the group, as it was`, async () => {
    const asked: string[] = [];
    const site = siteWith(({ url }) => {
      asked.push(url);
      return 403;
    });
    const { run, old } = await swapped(site, { order });
    assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'refused_elsewhere']);
    assert.equal(run.error?.message, 'http://drainer.test/ answered 403: so');
    assert.deepEqual(asked, ['http://drainer.test/'], 'the second one is not asked');
    const gone = site.cloud.history.filter(
      ({ operation, args }) => operation === 'detach' && args[1] === old,
    );
    assert.deepEqual(gone, [], 'the old one was never detached');
    assert.ok(serves(site, old));
    assert.deepEqual(sizesOf(site), [4, 4, 4, 4]);
    assert.deepEqual(oursOn(site), []);
    assert.deepEqual(site.leftBehind(), []);
  });

  test(`${order}: a system that is never done holds the swap up for as long as the rule says, and then it is undone`, async () => {
    const asked: number[] = [];
    const site = siteWith((_, at) => {
      asked.push(at.clock.now());
      return 202;
    });
    const { run, old } = await swapped(site, { order, waits: { beforeReleaseMs: 60_000 } });
    assert.deepEqual([run.state, run.error?.reason], ['rolled_back', 'timeout']);
    const [first = 0] = asked;
    const last = asked.at(-1) ?? 0;
    assert.ok(asked.length > 3 && last - first >= 60_000 && last - first < 90_000, `${last - first} ms`);
    assert.ok(serves(site, old));
    assert.deepEqual(site.leftBehind(), []);
  });

  test(`${order}: a system that is away for a while is asked again`, async () => {
    let answers = 0;
    const site = siteWith(() => (answers++ < 3 ? 503 : 200));
    const { run } = await swapped(site, { order });
    assert.equal(run.state, 'succeeded', run.error?.message);
    assert.equal(answers, 5);
  });

  for (const [when, repeats] of [
    ['before', 'is asked again, with the same key'],
    ['after', 'is not asked again'],
  ] as const) {
    test(`${order}: a process that is lost right ${when} it has written the first answer down: the first system ${repeats}`, async () => {
      const at = await writeOfFirstAnswer(order);
      const asked: string[] = [];
      const site = siteWith(({ url, headers }) => {
        asked.push(`${url} ${headers['idempotency-key']}`);
        return 200;
      });
      const fuse = new Fuse({ at, when });
      await site.process({ store: fuse.store(site), cloud: fuse.cloud(site) });
      const id = await site.order(site.member(0), { beforeRelease: DRAIN, order });
      assert.ok(await site.clock.advanceUntil(() => fuse.lost, 600_000));
      assert.equal(asked.length, 1);
      await site.process();
      assert.equal((await site.ended(id)).state, 'succeeded');
      const [first = ''] = asked;
      assert.match(first, /^http:\/\/drainer\.test\/ run_/);
      assert.match(asked.at(-1) ?? '', /^http:\/\/pager\.test\/ run_/);
      assert.deepEqual(asked.slice(0, -1), when === 'before' ? [first, first] : [first]);
    });
  }
}

/** Position of the write that says that the first system has agreed; found by playing the same swap whole. */
async function writeOfFirstAnswer(order: SwapOrder): Promise<number> {
  const counting = new Fuse();
  let before = 0;
  const site = siteWith(({ url }) => {
    if (url === 'http://drainer.test/') before = counting.writes.length;
    return 200;
  });
  await site.process({ store: counting.store(site), cloud: counting.cloud(site) });
  await site.ended(await site.order(site.member(0), { beforeRelease: DRAIN, order }));
  return before + 1;
}

test('the old instance may die while another system is asked: the swap goes on', async () => {
  const site = siteWith((_, at) => {
    if (at.runs(old)) at.cloud.byHand.terminate(old);
    return at.clock.now() < at.before.at + 300_000 ? 202 : 200;
  });
  const old = site.member(0);
  const { run } = await swapped(site, {});
  assert.equal(run.state, 'succeeded', run.error?.message);
  await site.clock.advance(600_000);
  assert.deepEqual(sizesOf(site), [4, 4, 4, 4]);
});

test('steps of a swap without chained actions say that there were none', async () => {
  const { run } = await swapped(new Site(), { beforeRelease: [] });
  assert.ok(stepsOf(run).includes('before-release skipped'));
});

const SECRET = 's3cr3t-t0ken';
let folder: string;
let server: Server;
let url: string;
let answer: RequestListener;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'coppice-before-release-'));
  server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

after(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const LEAKS: readonly (readonly [rule: string, text: string, answer: RequestListener])[] = [
  [
    'the answer sends it back',
    SECRET,
    ({ headers }, response) => void response.writeHead(403).end(`refused: ${headers.authorization}`),
  ],
  ['it cannot be sent at all', `${SECRET}\nx`, (_, response) => void response.end()],
];

for (const [rule, text, answers] of LEAKS) {
  test(`a bearer token reaches nothing that is written down, also when ${rule}`, async () => {
    answer = answers;
    const path = join(folder, 'token');
    writeFileSync(path, text);
    const site = new Site({ spec: FULL, sendHttp: createHttpSender(new ManualClock()) });
    const { told } = await site.process();
    const id = await site.order(site.member(0), { beforeRelease: [ask(url, path)], order: 'detach-first' });
    // The answer comes by a real socket, of which the clock knows nothing.
    for (let turn = 0; turn < 2000; turn++) {
      const run = await site.store.run(id);
      if (run !== null && isOver(run.state)) break;
      await site.clock.advance(1000);
    }
    const run = await site.store.run(id);
    assert.equal(run?.state, 'rolled_back');
    assert.ok(JSON.stringify(run).includes(path), 'the file is named');
    assert.ok(!JSON.stringify([run, told]).includes(SECRET), run.error?.message);
  });
}
