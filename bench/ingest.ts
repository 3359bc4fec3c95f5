import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';
import { type Child, startChild, startDaemon, startEcho } from './children.ts';
import { notifications, post } from './load.ts';
import type { Figure } from './main.ts';

const WEBHOOK = '/api/v1/webhook/alertmanager';
const POSTS = 60_000;
/** Both sides take turns, so that a busy moment of the machine hits both. */
const ROUNDS = 2;
/** As many as the bench's cloud has instances: each alert leads to a run of its own. */
const RUNS = 20_000;

/** (a) Durable posts of one alert, against a bare echo of the same bodies. */
export async function ingestAgainstEcho(): Promise<readonly Figure[]> {
  const echo = await startEcho();
  const daemon = await startDaemon('bench/quiet.yaml');
  try {
    const rates = { echo: 0, daemon: 0, others: 0 };
    for (let round = 1; round <= ROUNDS; round++) {
      const about = (n: number): { instance: string; n: number } => ({
        instance: 'i-0123456789abcdef0',
        n: round * POSTS + n,
      });
      const bodies = notifications('Nobody', POSTS, about);
      const bare = await post(echo.url + WEBHOOK, bodies);
      const real = await post(daemon.url + WEBHOOK, bodies);
      rates.echo += bare.perSecond / ROUNDS;
      rates.daemon += real.perSecond / ROUNDS;
      rates.others += real.others;
      await drained(daemon);
    }
    const detail = `${round(rates.daemon)} against ${round(rates.echo)} a second, ${rates.others} not answered 200`;
    return [figure('(a) durable webhook posts / bare fastify echo', rates.daemon / rates.echo, 0.4, detail)];
  } finally {
    await Promise.all([echo.stop(), daemon.stop()]);
  }
}

/** (b) The same, until each alert has its decision and its recorded run. */
export async function throughRunsAgainstEcho(): Promise<readonly Figure[]> {
  const echo = await startEcho();
  const daemon = await startChild(
    ({ port, folder }) => [process.execPath, 'bench/large-fleet.ts', String(port), folder, String(RUNS)],
    '/-/ready',
  );
  try {
    const bodies = notifications('Swap', RUNS, (n) => ({ instance: instanceName(n), n }));
    const bare = await post(echo.url + WEBHOOK, bodies);
    const real = await post(daemon.url + WEBHOOK, bodies);
    await drained(daemon);
    const perSecond = (RUNS / (performance.now() - real.startedAt)) * 1000;
    const runs = await count(
      daemon,
      'coppice_decisions_total{rule="swap",outcome="dispatched",reason="matched"}',
    );
    const detail = `${round(perSecond)} against ${round(bare.perSecond)} a second, ${runs} runs recorded of ${RUNS}`;
    return [
      figure('(b) the same through decision and recorded run', perSecond / bare.perSecond, 0.2, detail),
    ];
  } finally {
    await Promise.all([echo.stop(), daemon.stop()]);
  }
}

/** Id of the nth instance of the bench's cloud. */
export function instanceName(n: number): string {
  return `i-${n.toString(16).padStart(17, '0')}`;
}

/** Resolves when every event has been decided. */
export async function drained(daemon: Child): Promise<void> {
  for (;;) {
    const answer = await fetch(`${daemon.url}/api/v1/status`);
    const { inbox } = (await answer.json()) as { inbox: { depth: number } };
    if (inbox.depth === 0) return;
    await wait(10);
  }
}

async function count(daemon: Child, series: string): Promise<number> {
  const text = await (await fetch(`${daemon.url}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(series));
  return Number(line?.split(' ').at(-1) ?? 0);
}

function figure(what: string, value: number, atLeast: number, detail: string): Figure {
  return { what, value, unit: '', aim: { atLeast }, detail };
}

function round(value: number): string {
  return Math.round(value).toLocaleString('en');
}
