import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { seededRandom } from '../../src/base/random.ts';
import { type Coppice, startCoppice } from './support/coppice.ts';
import { eventually } from './support/eventually.ts';

const RULES = `
rules:
  - name: watched
    on: { alert: Burst }
    mode: shadow
    cooldown: { for: 1s, per: [labels.n] }
    then:
      - swap: { to: auto, urgent: true }
policies:
  - name: all
    groups: { names: ["*"] }
`;

/** Alerts a second, as the promise is stated. */
const RATE = 200;
const ROUNDS = 3;
const AFTER_KILL_MS = 100;
const DECIDED_MS = 30_000;

test(`kill -9 under ${RATE} alerts a second: every acknowledged event has its decision, and none has two`, async (t) => {
  const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
  t.diagnostic(`SEED=${seed}`);
  const random = seededRandom(seed);
  const folder = await mkdtemp(join(tmpdir(), 'coppice-kill-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const acknowledged = new Set<string>();
  let sent = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const coppice = await start(folder);
    const posts: Promise<void>[] = [];
    const startedAt = performance.now();
    const lastsMs = 500 + 1500 * random.next();
    const killed = wait(lastsMs).then(() => coppice.kill());
    // Goes on a little after the kill, so that it falls between a request and its answer.
    for (let elapsed = 0; elapsed < lastsMs + AFTER_KILL_MS; elapsed = performance.now() - startedAt) {
      // By the clock, not by counting waits: a slow turn is made up for, so that the rate is kept.
      while (posts.length < (elapsed * RATE) / 1000) {
        posts.push(post(coppice, `http://burst/${sent++}`, acknowledged));
      }
      await wait(2);
    }
    await killed;
    await Promise.all(posts);
  }
  const coppice = await start(folder);
  t.after(() => coppice.stop());
  await eventually('every event is decided', DECIDED_MS, async () =>
    (await depth(coppice)) === 0 ? true : undefined,
  );
  const decisions = await allDecisions(coppice);
  t.diagnostic(
    `${ROUNDS} kills, ${sent} sent, ${acknowledged.size} acknowledged, ${decisions.length} decisions`,
  );
  assert.ok(acknowledged.size > 100, 'the burst must have been acknowledged in part');
  const bySource = Map.groupBy(decisions, (source) => source);
  assert.deepEqual(
    [...bySource].filter(([, all]) => all.length > 1),
    [],
    'decided twice',
  );
  assert.deepEqual(
    [...acknowledged].filter((source) => !bySource.has(source)),
    [],
    'acknowledged and lost',
  );
});

function start(folder: string): Promise<Coppice> {
  return startCoppice({
    rules: { 'rules.yaml': RULES },
    settings: { cloud: 'simulated', 'state.url': `sqlite:${join(folder, 'coppice.db')}` },
  });
}

/** Posts one alert; notes it when it was acknowledged. A connection that is cut by the kill acknowledges nothing. */
async function post(coppice: Coppice, source: string, acknowledged: Set<string>): Promise<void> {
  const alert = {
    labels: { alertname: 'Burst', asg_name: 'web', n: source },
    annotations: {},
    startsAt: '2026-01-01T00:00:00Z',
    generatorURL: source,
  };
  try {
    const response = await fetch(`${coppice.url}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([alert]),
    });
    const receipt = (await response.json()) as { accepted: number };
    if (response.ok && receipt.accepted === 1) acknowledged.add(source);
  } catch {
    // Cut off: the sender does not know, and would send it again.
  }
}

async function depth(coppice: Coppice): Promise<number> {
  const { inbox } = (await coppice.get('/api/v1/status')) as { inbox: { depth: number } };
  return inbox.depth;
}

/** The sources of all decisions on bursts. */
async function allDecisions(coppice: Coppice): Promise<string[]> {
  const sources: string[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const next: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page = (await coppice.get(`/api/v1/decisions?limit=1000${next}`)) as {
      items: { event: { source: string } }[];
      next: string | null;
    };
    sources.push(
      ...page.items.map(({ event }) => event.source).filter((source) => source.startsWith('http://burst/')),
    );
    cursor = page.next;
  }
  return sources;
}
