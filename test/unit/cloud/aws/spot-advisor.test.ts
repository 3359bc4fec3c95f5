import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Failure } from '../../../../src/base/failure.ts';
import { ManualClock } from '../../../../src/base/manual-clock.ts';
import { createSpotAdvisor, feedReader, type SpotAdvisor } from '../../../../src/cloud/aws/spot-advisor.ts';
import { type Log, silentLog } from '../../../../src/telemetry/log.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;

/** As AWS publishes it, but for two types. */
function feedOf(r: unknown): object {
  return {
    global_rate: '<10%',
    instance_types: { 'm5.large': { emr: true, cores: 2, ram_gb: 8 } },
    ranges: [{ index: 0, label: '<5%', dots: 0, max: 5 }],
    spot_advisor: {
      'eu-west-1': { Linux: { 'm5.large': { s: 60, r }, 'm6i.large': { s: 61, r: 0 } }, Windows: {} },
      'xx-new-1': { Linux: 'in another shape' },
    },
  };
}

interface World {
  readonly advisor: SpotAdvisor;
  readonly clock: ManualClock;
  readonly warnings: string[];
  /** What the feed holds from now on. */
  feed: unknown;
  /** How often it was read. */
  reads: number;
  /** Asks, lets what was begun end, and asks again. */
  band(): Promise<number | undefined>;
}

function world(feed: unknown): World {
  const clock = new ManualClock();
  const warnings: string[] = [];
  const log: Log = {
    ...silentLog,
    child: () => log,
    warn: (fields: object) => void warnings.push(JSON.stringify(fields)),
  };
  const read = (): Promise<unknown> => {
    made.reads++;
    return made.feed instanceof Failure ? Promise.reject(made.feed) : Promise.resolve(made.feed);
  };
  const advisor = createSpotAdvisor({ read, regions: ['eu-west-1'], clock, log });
  const ask = (): number | undefined => advisor.bands('eu-west-1', 'Linux/UNIX').get('m5.large');
  const made: World = {
    ...{ advisor, clock, warnings, feed, reads: 0 },
    async band() {
      ask();
      await new Promise((resolve) => setImmediate(resolve));
      return ask();
    },
  };
  return made;
}

test('without a feed nothing is known', () => {
  const options = { read: null, regions: ['eu-west-1'], clock: new ManualClock(), log: silentLog };
  assert.equal(createSpotAdvisor(options).bands('eu-west-1', 'Linux/UNIX').size, 0);
});

test('the first to ask waits for nothing; the next one knows', async () => {
  const { advisor, band } = world(feedOf(4));
  assert.equal(advisor.bands('eu-west-1', 'Linux/UNIX').get('m5.large'), undefined);
  assert.equal(await band(), 4);
});

test('those who ask while it is read do not begin another reading', async () => {
  const made = world(feedOf(4));
  for (let time = 0; time < 5; time++) made.advisor.bands('eu-west-1', 'Linux/UNIX');
  await made.band();
  assert.equal(made.reads, 1);
});

test('a region that the feed has in a shape of its own, and that nobody asks for, does no harm', async () => {
  const { advisor, band } = world(feedOf(1));
  assert.equal(await band(), 1);
  assert.equal(advisor.bands('xx-new-1', 'Linux/UNIX').size, 0);
});

test('it is read again after twelve hours', async () => {
  const made = world(feedOf(1));
  assert.equal(await made.band(), 1);
  made.feed = feedOf(2);
  await made.clock.advance(12 * HOUR - 1);
  assert.equal(await made.band(), 1);
  await made.clock.advance(1);
  assert.equal(await made.band(), 2);
});

const BROKEN: readonly (readonly [rule: string, feed: unknown])[] = [
  ['a feed that cannot be read', new Failure('timeout', 'retry', 'no answer within 30 s')],
  ['JSON of another shape', []],
  ['a band that there is not', feedOf(5)],
  ['a band that is no number', feedOf('1')],
];
for (const [rule, feed] of BROKEN) {
  test(`pitfall 36: ${rule} is told in the log with the age of what holds on, and tried again after ten minutes`, async () => {
    const made = world(feedOf(1));
    assert.equal(await made.band(), 1);
    made.feed = feed;
    await made.clock.advance(12 * HOUR);
    assert.equal(await made.band(), 1);
    assert.equal(await made.band(), 1);
    assert.equal(made.warnings.length, 1);
    assert.match(made.warnings[0] ?? '', /"age":"12h"/);
    made.feed = feedOf(3);
    await made.clock.advance(10 * MINUTE);
    assert.equal(await made.band(), 3);
  });
}

test('a path is read as a file, and what is wrong with it is told', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-feed-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const read = feedReader(join(folder, 'feed.json'), new ManualClock());
  await assert.rejects(read(), { code: 'unavailable', message: /ENOENT/ });
  await writeFile(join(folder, 'feed.json'), '<html>');
  await assert.rejects(read(), { code: 'invalid_request', message: 'it is no JSON' });
  await writeFile(join(folder, 'feed.json'), '{"a":1}');
  assert.deepEqual(await read(), { a: 1 });
});

test('an address is read over HTTP', async (context) => {
  const server = createServer((_request, response) => response.end('{"a":1}'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/feed.json`;
  assert.deepEqual(await feedReader(url, new ManualClock())(), { a: 1 });
});
