import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { newToken, tokenDigest } from '../src/access/token.ts';
import { EVENT_HANDLER, loadDefinitions, serviceOf } from '../src/grpc/definitions.ts';
import { messageV2 } from '../src/grpc/messages.ts';
import { newAuthority } from '../test/certificates.ts';
import { type Child, freePort, startChild, startDaemon } from './children.ts';
import { callByClients } from './grpc-clients.ts';
import { callAll, type Target } from './grpc-load.ts';
import { drained } from './ingest.ts';
import type { Figure } from './main.ts';

const CALLS = 30_000;
/** Not counted: either side is faster once its code is compiled. */
const WARM_UP = 5_000;
/** Both sides take turns, so that a busy moment of the machine hits both. */
const ROUNDS = 2;

const PLAIN = { path: '/proto.EventHandler/Handle', authorization: null, tls: null };

/**
 * Events of Hollowtrees v2 over gRPC, each acknowledged when it is on disk, against a bare grpc-js that answers alike, by clients
 * of grpc-js: (i) both in plain text, (j) the daemon behind mutual TLS and a bearer token; and (k) as (i) by a client that
 * costs next to nothing, which compares the processor time of the servers alone.
 */
export async function grpcAgainstEcho(): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'coppice-bench-'));
  const echoPort = await freePort();
  const echo = await startChild(
    ({ port }) => [process.execPath, 'bench/grpc-echo.ts', String(port), String(echoPort)],
    '/',
  );
  try {
    const bare = { ...PLAIN, port: echoPort };
    const { flags, shown } = lockIn(folder);
    const open = { bare, flags: [], shown: PLAIN };
    const what = '(i) durable gRPC v2 events / bare grpc-js echo';
    return [
      await ratio(what, 0.5, { ...open, load: callByClients }),
      await ratio('(j) the same with mutual TLS and a token', 0.35, {
        bare,
        flags,
        shown,
        load: callByClients,
      }),
      await ratio('(k) as (i), by a client of bare frames', 0.35, { ...open, load: callAll }),
    ];
  } finally {
    await echo.stop();
    rmSync(folder, { recursive: true });
  }
}

type Shown = Omit<Target, 'port'>;

/** The files of a lock, and what opens it. */
function lockIn(folder: string): { readonly flags: readonly string[]; readonly shown: Shown } {
  const authority = newAuthority();
  const own = authority.issue({ commonName: 'localhost', names: ['DNS:localhost'] });
  const token = newToken();
  const access = `tokens:\n  - { name: bench, sha256: ${tokenDigest(token)}, scopes: [ingest] }\n`;
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const flags = [
    ...['--grpc.auth.file', write('access.yaml', access), '--grpc.tls.cert', write('cert.pem', own.cert)],
    ...['--grpc.tls.key', write('key.pem', own.key), '--grpc.tls.clientCa', write('ca.pem', authority.cert)],
    ...['--grpc.tls.clientCertificates', 'required'],
  ];
  const tls = { ca: authority.cert, ...authority.issue({ commonName: 'bench' }) };
  return { flags, shown: { ...PLAIN, authorization: `Bearer ${token}`, tls } };
}

interface Sides {
  readonly bare: Target;
  /** Of the daemon, beside those of every bench. */
  readonly flags: readonly string[];
  readonly shown: Shown;
  readonly load: typeof callAll;
}

async function ratio(what: string, atLeast: number, { bare, flags, shown, load }: Sides): Promise<Figure> {
  const port = await freePort();
  const daemon = await startDaemon('bench/quiet.yaml', ['--grpc.listen', `127.0.0.1:${port}`, ...flags]);
  try {
    const rates = await takeTurns({ echo: bare, target: { ...shown, port }, daemon }, load);
    const [of, against] = [rates.daemon, rates.echo].map((rate) => Math.round(rate).toLocaleString('en'));
    const detail = `${of} against ${against} a second, ${rates.refused} refused`;
    return { what, value: rates.daemon / rates.echo, unit: '', aim: { atLeast }, detail };
  } finally {
    await daemon.stop();
  }
}

async function takeTurns(
  { echo, target, daemon }: { readonly echo: Target; readonly target: Target; readonly daemon: Child },
  load: typeof callAll,
): Promise<{ readonly echo: number; readonly daemon: number; readonly refused: number }> {
  const serialize = serviceOf(await loadDefinitions(), EVENT_HANDLER)['Handle']?.requestSerialize;
  if (serialize === undefined) throw new Error('the service has no Handle');
  const rates = { echo: 0, daemon: 0, refused: 0 };
  const messagesOf = (round: number, calls: number): readonly Buffer[] =>
    Array.from({ length: calls }, (_, n) => serialize(eventOf(round * CALLS + n)));
  for (const side of [echo, target]) await load(side, messagesOf(0, WARM_UP));
  for (let round = 1; round <= ROUNDS; round++) {
    const messages = messagesOf(round, CALLS);
    const bare = await load(echo, messages);
    const real = await load(target, messages);
    rates.echo += bare.perSecond / ROUNDS;
    rates.daemon += real.perSecond / ROUNDS;
    rates.refused += bare.refused + real.refused;
    await drained(daemon);
  }
  return rates;
}

/** As large as the alerts of the HTTP bench, and each an incident of its own. */
function eventOf(n: number): object {
  const alertname = 'Nobody';
  return messageV2({
    id: '00000000-0000-4000-8000-000000000000',
    type: `prometheus.server.alert.${alertname}`,
    source: 'http://prometheus.example/graph?g0.expr=up',
    time: '2026-01-01 00:00:00.123 +0000 UTC',
    labels: {
      ...{ alertname, instance_id: 'i-0123456789abcdef0', severity: 'warning', cluster: 'bench' },
      n: String(n),
    },
  });
}
