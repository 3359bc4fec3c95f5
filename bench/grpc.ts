import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { newToken, tokenDigest } from '../src/access/token.ts';
import { EVENT_HANDLER, loadDefinitions, serviceOf } from '../src/grpc/definitions.ts';
import { messageV2 } from '../src/grpc/messages.ts';
import { newAuthority } from '../test/certificates.ts';
import { type Child, freePort, startChild, startDaemon } from './children.ts';
import { callAll, type Target } from './grpc-load.ts';
import { drained } from './ingest.ts';
import type { Figure } from './main.ts';

const CALLS = 20_000;
/** Both sides take turns, so that a busy moment of the machine hits both. */
const ROUNDS = 2;

const PLAIN = { path: '/proto.EventHandler/Handle', authorization: null, tls: null };

/**
 * Events of Hollowtrees v2 over gRPC, each acknowledged when it is on disk, against a bare grpc-js that answers alike:
 * (f) both in plain text, (g) the daemon behind mutual TLS and a bearer token.
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
    return [
      await ratio('(f) durable gRPC v2 events / bare grpc-js echo', 0.5, { bare, flags: [], shown: PLAIN }),
      await ratio('(g) the same with mutual TLS and a token', 0.35, { bare, flags, shown }),
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
}

async function ratio(what: string, atLeast: number, { bare, flags, shown }: Sides): Promise<Figure> {
  const port = await freePort();
  const daemon = await startDaemon('bench/quiet.yaml', ['--grpc.listen', `127.0.0.1:${port}`, ...flags]);
  try {
    const rates = await takeTurns(bare, { ...shown, port }, daemon);
    const [of, against] = [rates.daemon, rates.echo].map((rate) => Math.round(rate).toLocaleString('en'));
    const detail = `${of} against ${against} a second, ${rates.refused} refused`;
    return { what, value: rates.daemon / rates.echo, unit: '', aim: { atLeast }, detail };
  } finally {
    await daemon.stop();
  }
}

async function takeTurns(
  echo: Target,
  target: Target,
  daemon: Child,
): Promise<{ readonly echo: number; readonly daemon: number; readonly refused: number }> {
  const serialize = serviceOf(await loadDefinitions(), EVENT_HANDLER)['Handle']?.requestSerialize;
  if (serialize === undefined) throw new Error('the service has no Handle');
  const rates = { echo: 0, daemon: 0, refused: 0 };
  for (let round = 1; round <= ROUNDS; round++) {
    const messages = Array.from({ length: CALLS }, (_, n) => serialize(eventOf(round * CALLS + n)));
    const bare = await callAll(echo, messages);
    const real = await callAll(target, messages);
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
