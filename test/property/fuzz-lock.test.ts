import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MethodDefinition, status } from '@grpc/grpc-js';
import type { AccessRule } from '../../src/access/scope.ts';
import { ACTION, loadDefinitions, serviceOf } from '../../src/grpc/definitions.ts';
import { temporaryDirectory } from '../unit/config/temp-directory.ts';
import { FUZZ_TIMEOUT_MS, fuzz, type Shot, type Target } from './fuzz.ts';
import { call, framed, headersTo, KeptSession } from './fuzz-calls.ts';
import { type Shown, shownBy, tokenFor, writeAccessFile } from './fuzz-credentials.ts';
import { bytesOf, Lines } from './fuzz-lines.ts';
import type { Draw } from './fuzz-mutation.ts';

/** What an answer means, over HTTP and gRPC alike. Nothing else is ever said. */
type Meaning = 'let in' | 'forbidden' | 'unauthorized' | 'unreadable' | 'busy';

const definitions = await loadDefinitions();
const HANDLE_ALERT = serviceOf(definitions, ACTION)['HandleAlert'] as MethodDefinition<object, object>;
const lines = new Lines();
const kept = new KeptSession();

const LABELS = { alertname: 'Watched', org_id: '7', cluster_id: '42' };
const NO_BODY = { method: 'GET', body: '' };
interface Route {
  readonly path: string;
  readonly access: AccessRule;
  readonly method: string;
  readonly body: string;
}

const ROUTES: readonly [Route, ...Route[]] = [
  { path: '/api/v2/alerts', access: 'ingest', method: 'POST', body: JSON.stringify([{ labels: LABELS }]) },
  { path: '/api/v1/status', access: 'read', ...NO_BODY },
  { path: '/metrics', access: 'read', ...NO_BODY },
  { path: '/api/v1/resume', access: 'act', method: 'POST', body: '{}' },
  { path: '/readyz', access: 'public', ...NO_BODY },
];

const EVENT = { eventType: 'prometheus.server.alert.Watched', data: LABELS };
const CALLS = {
  ingest: { path: HANDLE_ALERT.path, body: framed(HANDLE_ALERT.requestSerialize(EVENT)) },
  // An empty message.
  public: { path: '/grpc.health.v1.Health/Check', body: framed(Buffer.alloc(0)) },
};

const HTTP_MEANINGS: Readonly<Record<number, Meaning>> = {
  200: 'let in',
  400: 'unreadable',
  401: 'unauthorized',
  403: 'forbidden',
  431: 'unreadable',
  503: 'busy',
};
const GRPC_MEANINGS: Readonly<Record<number, Meaning>> = {
  [status.OK]: 'let in',
  [status.UNAUTHENTICATED]: 'unauthorized',
  [status.PERMISSION_DENIED]: 'forbidden',
  [status.UNAVAILABLE]: 'busy',
};

function wrongWith(access: AccessRule, shown: Shown, meaning: Meaning | undefined): string | null {
  return meaning !== undefined && meaningsOf(access, shown).includes(meaning)
    ? null
    : `${meaning} for what opens ${shown.opens.join(', ') || 'nothing'}, and ${access} is asked for`;
}

/** What may be said to whoever shows that. */
function meaningsOf(access: AccessRule, { opens, isWhole }: Shown): readonly Meaning[] {
  const refused = ['unauthorized', 'unreadable', 'busy'] as const;
  if (access === 'public') return ['let in', 'unreadable'];
  if (opens.length === 0) return refused;
  const right = opens.includes(access) ? 'let in' : 'forbidden';
  return isWhole ? [right] : [right, ...refused];
}

async function shootHttp({ http }: Target, draw: Draw): Promise<Shot> {
  const shown = shownBy(draw);
  const { access, body, ...route } = draw.one(ROUTES);
  const headers: [name: string, value: string][] = [['Content-Type', 'application/json']];
  if (shown.header !== null) headers.push(['Authorization', shown.header]);
  // The first one counts: nobody adds a good one to that of somebody else.
  if (shown.header !== null && draw.chance(0.05)) headers.push(['Authorization', tokenFor('read')]);
  const bytes = bytesOf({ ...route, headers, body: Buffer.from(body), cuts: null });
  const answer = await lines.ask(http, bytes);
  const wrong = wrongWith(access, shown, HTTP_MEANINGS[answer.status]);
  return { wrong, answer: String(answer.status), sent: () => bytes };
}

async function shootGrpc({ grpc }: Target, draw: Draw): Promise<Shot> {
  const shown = shownBy(draw);
  const access = draw.one(['ingest', 'public'] as const);
  const { path, body } = CALLS[access];
  // Other bytes Node's client does not send.
  const authorization = shown.header?.replace(/[^\x20-\x7e]/g, '?');
  const headers = { ...headersTo(path), ...(authorization !== undefined && { authorization }) };
  const { code } = await call(kept.to(grpc), { headers, body });
  const wrong = wrongWith(access, shown, GRPC_MEANINGS[code ?? status.UNKNOWN]);
  const answer = status[code ?? status.UNKNOWN] ?? String(code);
  return { wrong, answer, sent: () => `${path} ${authorization ?? ''}` };
}

test('nothing but a credential opens a lock, and nothing that is shown breaks it', {
  timeout: FUZZ_TIMEOUT_MS,
}, async (context) => {
  context.after(() => {
    lines.end();
    kept.end();
  });
  const accessFile = await writeAccessFile(await temporaryDirectory(context));
  await fuzz(context, {
    ...{ seed: 3, bodies: { ci: 5000, elsewhere: 1000 }, accessFile },
    shoot: (target, draw) => (draw.chance(0.7) ? shootHttp(target, draw) : shootGrpc(target, draw)),
    async proveAlive({ http }, unique) {
      const body = Buffer.from(JSON.stringify([{ labels: { alertname: 'Watched', unique } }]));
      const headers = [
        ['Content-Type', 'application/json'],
        ['Authorization', tokenFor('ingest')],
      ] as const;
      const request = { method: 'POST', path: '/api/v2/alerts', headers, body, cuts: null };
      const { status: answered, text } = await lines.ask(http, bytesOf(request));
      assert.deepEqual([answered, JSON.parse(text)], [200, { accepted: 1, duplicates: 0, rejected: [] }]);
    },
  });
});
