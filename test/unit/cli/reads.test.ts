import assert from 'node:assert/strict';
import test from 'node:test';
import type { Command } from 'commander';
import { decisionsCommand } from '../../../src/cli/decisions.ts';
import { groupsCommand } from '../../../src/cli/groups.ts';
import type { Io } from '../../../src/cli/io.ts';
import { runsCommand } from '../../../src/cli/runs.ts';
import type { SendRequest } from '../../../src/cli/transport.ts';
import { DECISION, GROUP, RUN } from './answers.ts';
import { daemon, recorder, run } from './daemon.ts';

const [PLANNED, LAUNCHED] = RUN.steps;
/** A swap that was tried twice, and a request after it. */
const CHAIN = {
  ...{ ...RUN, action: 'swap,http', plan: null },
  actions: [
    { kind: 'swap', outcome: 'rolled_back', attempts: 2, error: RUN.error },
    { kind: 'http', outcome: 'succeeded', attempts: 1, error: null },
  ],
  steps: [PLANNED, { ...LAUNCHED, attempt: 2 }, { ...PLANNED, action: 1, name: 'call' }],
};

interface Row {
  readonly rule: string;
  readonly command: (io: Io) => Command;
  readonly words: readonly string[];
  readonly answer: unknown;
  /** The request that is made. */
  readonly url: string;
  readonly printed: string;
}

const ROWS: readonly Row[] = [
  {
    rule: 'groups are listed one a line',
    command: groupsCommand,
    words: ['ls'],
    answer: { items: [GROUP], next: null },
    url: '/api/v1/groups',
    printed: `
GROUP     REGION     ACCOUNT       DESIRED  SERVING  SPOT  ON-DEMAND  MARKETS  DIVERSITY  COST/H   RUNS  PAUSED  RESTS  POLICIES
prod-web  eu-west-1  111111111111  4        4        3     1          2        0.50       $0.3125  1     yes     yes    production, web
`,
  },
  {
    rule: 'a group is shown with all that concerns it',
    command: groupsCommand,
    words: ['get', 'prod-web', '--region', 'eu-west-1'],
    answer: GROUP,
    url: '/api/v1/groups/prod-web?region=eu-west-1',
    printed: `
group      prod-web
region     eu-west-1
account    111111111111
read at    2026-01-01T00:00:00.000Z
policies   production, web
paused     incident 12
frozen     a freeze window is open ("0 0 * * *" for 2h) until 2026-01-01 02:00 UTC, which is in 2h
rests      until 2026-01-01T01:00:00.000Z: 3 swaps failed in a row
size       4 desired (2 to 8), 4 serving
on-demand  1, floor 2, short of 1
spot       3
markets    2, largest holds 75%
diversity  0.50
cost       $0.3125/h against $0.5000/h on demand, 38% saved

Markets
MARKET                         COUNT  SHARE  UNAVAILABLE UNTIL
m5.large/eu-west-1a/spot       3      75%    2026-01-01T00:03:00.000Z
m5.large/eu-west-1a/on-demand  1      25%    -

Instances
INSTANCE  MARKET                    LIFECYCLE  HEALTH   PROTECTED  LAUNCHED                  PRICE/H
i-1       m5.large/eu-west-1a/spot  InService  Healthy  no         2025-12-31T23:00:00.000Z  -

Cooldowns
OF              PER             UNTIL
policy          group prod-web  2026-01-01T00:01:00.000Z
rule diversify  rule            2026-01-01T00:02:00.000Z

Runs in flight
RUN    STATE    ACTION  INSTANCE
run_1  running  swap    i-1
`,
  },
  {
    rule: 'decisions are listed one a line, by all filters',
    command: decisionsCommand,
    words: ['ls', '--group', 'g', '--outcome', 'failed', '--since', '1h', '--limit', '5', '--cursor', 'c'],
    answer: { items: [DECISION], next: null },
    url: '/api/v1/decisions?limit=5&cursor=c&group=g&since=1h&outcome=failed',
    printed: `
AT                        ID     RULE       GROUP     INSTANCE  OUTCOME      REASON             RUN
2026-01-01T00:00:00.000Z  dec_1  diversify  prod-web  -         not_matched  condition_unknown  -
`,
  },
  {
    rule: 'a decision is shown with its evidence',
    command: decisionsCommand,
    words: ['get', 'dec_1'],
    answer: DECISION,
    url: '/api/v1/decisions/dec_1',
    printed: `
id          dec_1
at          2026-01-01T00:00:00.000Z
rule        diversify
generation  3
event       coppice.schedule.every (evt_1) of coppice
group       prod-web
region      eu-west-1
account     111111111111
instance    -
outcome     not_matched
reason      condition_unknown
detail      group.diversityRatio is missing
run         -

Because
?  group.diversityRatio  missing     <  0.5         all[0]
✓  group.name            "prod-web"  =  "prod-web"  all[1]
`,
  },
  {
    rule: 'runs are listed one a line',
    command: runsCommand,
    words: ['ls', '--state', 'failed', '--rule', 'diversify'],
    answer: { items: [RUN], next: null },
    url: '/api/v1/runs?rule=diversify&state=failed',
    printed: `
CREATED                   ID     ACTION  RULE       GROUP     INSTANCE  STATE   ERROR               FINISHED
2026-01-01T00:00:00.000Z  run_1  swap    diversify  prod-web  i-1       failed  market_unavailable  2026-01-01T00:02:00.000Z
`,
  },
  {
    rule: 'a run is shown with its candidates, scores and rejections, and its steps',
    command: runsCommand,
    words: ['get', 'run_1'],
    answer: RUN,
    url: '/api/v1/runs/run_1',
    printed: `
id        run_1
state     failed
action    swap
rule      diversify
decision  dec_1
group     prod-web
region    eu-west-1
account   111111111111
instance  i-1
created   2026-01-01T00:00:00.000Z
finished  2026-01-01T00:02:00.000Z
error     market_unavailable: no market has capacity

Candidates
   MARKET                    PRICE    COST  STABILITY  DIVERSITY  TOTAL  REJECTED
*  m5.large/eu-west-1b/spot  $0.0401  1.00  0.80       0.88       0.90
   c5.large/eu-west-1a/spot  -        -     -          -          -      no_price: its price is unknown

Steps
STEP    STATE   ATTEMPT  STARTED                   FINISHED                  ERROR
plan    done    1        2026-01-01T00:00:00.000Z  2026-01-01T00:00:01.000Z  -
launch  failed  1        2026-01-01T00:00:01.000Z  2026-01-01T00:02:00.000Z  market_unavailable: no market has capacity
`,
  },
  {
    rule: 'a run of several actions is shown with how each ended, how often it was tried, and whose its steps are',
    command: runsCommand,
    words: ['get', 'run_1'],
    answer: CHAIN,
    url: '/api/v1/runs/run_1',
    printed: `
id        run_1
state     failed
action    swap,http
rule      diversify
decision  dec_1
group     prod-web
region    eu-west-1
account   111111111111
instance  i-1
created   2026-01-01T00:00:00.000Z
finished  2026-01-01T00:02:00.000Z
error     market_unavailable: no market has capacity

Actions
ACTION  OUTCOME      ATTEMPTS  ERROR
swap    rolled_back  2         market_unavailable: no market has capacity
http    succeeded    1         -

Steps
ACTION  STEP    STATE   ATTEMPT  STARTED                   FINISHED                  ERROR
swap    plan    done    1        2026-01-01T00:00:00.000Z  2026-01-01T00:00:01.000Z  -
swap    launch  failed  2        2026-01-01T00:00:01.000Z  2026-01-01T00:02:00.000Z  market_unavailable: no market has capacity
http    call    done    1        2026-01-01T00:00:00.000Z  2026-01-01T00:00:01.000Z  -
`,
  },
];

for (const row of ROWS) {
  test(row.rule, async (context) => {
    const { url, asked } = await daemon(context, () => ({ body: row.answer }));
    const io = recorder();
    await run(row.command(io), ...row.words, '--server', url);
    assert.equal(io.stdout(), row.printed.slice(1));
    assert.deepEqual([io.stderr(), io.code(), asked[0]?.url], ['', 0, row.url]);
  });

  test(`${row.rule}: as JSON it is what the daemon said`, async (context) => {
    const { url } = await daemon(context, () => ({ body: row.answer }));
    const io = recorder();
    await run(row.command(io), ...row.words, '--server', url, '-o', 'json');
    assert.deepEqual(JSON.parse(io.stdout()), row.answer);
  });
}

test('without a word the list is meant', async (context) => {
  const { url, asked } = await daemon(context, () => ({ body: { items: [], next: null } }));
  const io = recorder({ env: { COPPICE_SERVER: url } });
  await run(runsCommand(io), '-o', 'json');
  assert.equal(asked[0]?.url, '/api/v1/runs');
});

test('COPPICE_SERVER names the daemon, --server goes before it, and an empty one is none', async (context) => {
  const { url, asked } = await daemon(context, () => ({ body: { items: [], next: null } }));
  await run(runsCommand(recorder({ env: { COPPICE_SERVER: url } })), 'ls');
  await run(runsCommand(recorder({ env: { COPPICE_SERVER: 'http://127.0.0.1:1' } })), 'ls', '--server', url);
  assert.equal(asked.length, 2);
  const io = recorder({ env: { COPPICE_SERVER: '' } });
  const urls: string[] = [];
  const record: SendRequest = async (asked) => {
    urls.push(asked.href);
    return { status: 200, contentType: null, location: null, text: '{"items":[],"next":null}' };
  };
  await run(runsCommand(io, { send: record }), 'ls');
  assert.deepEqual(urls, ['http://127.0.0.1:8080/api/v1/runs']);
});

test('a longer list says on stderr how to go on, so that stdout stays data', async (context) => {
  const { url } = await daemon(context, () => ({ body: { items: [RUN], next: 'abc' } }));
  const io = recorder();
  await run(runsCommand(io), 'ls', '--server', url, '-o', 'json');
  assert.equal(io.stderr(), "there is more: --cursor 'abc'\n");
  JSON.parse(io.stdout());
});

test('a name with slashes stays one part of the path', async (context) => {
  const { url, asked } = await daemon(context, () => ({ body: GROUP }));
  await run(groupsCommand(recorder()), 'get', '1/eu-west-1/a b', '--server', url);
  assert.equal(asked[0]?.url, '/api/v1/groups/1%2Feu-west-1%2Fa%20b');
});

test('an error of the daemon is told on stderr with its detail, and is exit code 2', async (context) => {
  const body = { error: 'ambiguous_group', detail: '2 groups are named prod-web' };
  const { url } = await daemon(context, () => ({ status: 409, body }));
  const io = recorder();
  await run(groupsCommand(io), 'get', 'prod-web', '--server', url);
  assert.deepEqual([io.stdout(), io.code()], ['', 2]);
  assert.match(io.stderr(), /^coppice: .* 409: ambiguous_group: 2 groups are named prod-web\n$/);
});

test('a cost is unknown while a price is missing', async (context) => {
  const answer = { ...GROUP, hourlyCost: null, onDemandHourlyCost: 0.5, savingsRatio: null };
  const { url } = await daemon(context, () => ({ body: answer }));
  const io = recorder();
  await run(groupsCommand(io), 'get', 'prod-web', '--server', url);
  assert.match(io.stdout(), /^cost {7}unknown against \$0\.5000\/h on demand$/m);
});

test('an answer of another version is an error, not half a table', async (context) => {
  const { url } = await daemon(context, () => ({ body: { items: [{ id: 'run_1' }], next: null } }));
  const io = recorder();
  await run(runsCommand(io), 'ls', '--server', url);
  assert.deepEqual([io.stdout(), io.code()], ['', 2]);
  assert.match(io.stderr(), /not understood \(items\.0\.state: .*another version/);
});

test('an interrupt is exit code 130', async () => {
  const io = recorder();
  const hanging: SendRequest = (_url, { signal }) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')));
      io.interrupt();
    });
  await run(runsCommand(io, { send: hanging }), 'ls');
  assert.equal(io.code(), 130);
});

for (const words of [['ls', '-o', 'xml'], ['ls', '--nope'], ['get']]) {
  test(`wrong usage (${words.join(' ')}) is thrown for main to answer, and told on stderr`, async () => {
    const io = recorder();
    await assert.rejects(run(runsCommand(io), ...words), { name: 'CommanderError' });
    assert.match(io.stderr(), /^error: /);
  });
}
