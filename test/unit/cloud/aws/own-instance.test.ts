import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { Clock } from '../../../../src/base/clock.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { Failure } from '../../../../src/base/failure.ts';
import {
  askOwnInstance,
  findOwnInstance,
  type MetadataService,
  type OwnInstanceChoice,
} from '../../../../src/cloud/aws/own-instance.ts';
import type { Log } from '../../../../src/telemetry/log.ts';

const ID = 'i-0123456789abcdef0';

/** What the metadata service answers; undefined is no answer at all. */
interface Told {
  readonly token?: (response: ServerResponse) => void;
  readonly id?: (response: ServerResponse) => void;
}

interface Service {
  readonly service: MetadataService;
  /** Method, path and the one header that counts of each request. */
  readonly asked: string[];
}

/** A metadata service on a free port, healthy unless told otherwise. */
async function metadata(context: TestContext, told: Told = {}): Promise<Service> {
  const { token = say(200, 'a-token'), id = say(200, ID) } = told;
  const asked: string[] = [];
  const server = createServer(({ method, url, headers }, response) => {
    const ttl = headers['x-aws-ec2-metadata-token-ttl-seconds'];
    const proof = headers['x-aws-ec2-metadata-token'];
    asked.push(`${method} ${url} ${String(ttl ?? proof)}`);
    if (method === 'PUT' && url === '/latest/api/token') token(response);
    else if (method === 'GET' && url === '/latest/meta-data/instance-id') id(response);
    else say(404)(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { service: at(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), asked };
}

function at(endpoint: string | undefined): MetadataService {
  return { disabled: undefined, endpoint, mode: undefined };
}

function say(status: number, body = ''): (response: ServerResponse) => void {
  return (response) => void response.writeHead(status).end(body);
}

const silence = (): void => undefined;

/** Time that passes at once, so that whoever waits for an answer has waited in vain. */
const impatient: Clock = {
  now: () => 0,
  after: (_, wake) => systemClock.after(20, wake),
};

describe('askOwnInstance', () => {
  it('takes a token first and shows it for the id', async (t) => {
    const { service, asked } = await metadata(t);
    assert.deepEqual(await askOwnInstance(service, systemClock), { kind: 'known', id: ID });
    assert.deepEqual(asked, ['PUT /latest/api/token 60', 'GET /latest/meta-data/instance-id a-token']);
  });

  it('asks a second time after a failure, and no third time', async (t) => {
    let failures = 1;
    const flaky = await metadata(t, {
      token: (response) => (failures-- > 0 ? say(503)(response) : say(200, 'a-token')(response)),
    });
    assert.equal((await askOwnInstance(flaky.service, systemClock)).kind, 'known');
    const broken = await metadata(t, { token: say(503) });
    assert.equal((await askOwnInstance(broken.service, systemClock)).kind, 'unknown');
    assert.equal(broken.asked.length, 2);
  });

  const SUSPECT: readonly [rule: string, told: Told][] = [
    ['a service that is switched off for the instance', { token: say(403) }],
    ['an id that is refused', { id: say(401) }],
    ['an answer that is no instance id', { id: say(200, '<html>sign in</html>') }],
    ['an empty answer', { id: say(200, '') }],
  ];
  for (const [rule, told] of SUSPECT) {
    it(`knows nothing, but that this most likely is an instance, from ${rule}`, async (t) => {
      const { service } = await metadata(t, told);
      const found = await askOwnInstance(service, systemClock);
      assert.ok(found.kind === 'unknown' && found.onInstance === true, JSON.stringify(found));
    });
  }

  const ABSENT: readonly [rule: string, told: Told][] = [
    ['a hop limit that lets no token through', { token: silence }],
    ['an id that never comes', { id: silence }],
    ['a body that never ends', { id: (response) => void response.writeHead(200).write('i-') }],
    ['a token that no header can carry', { token: say(200, 'two\nlines\u0000') }],
  ];
  for (const [rule, told] of ABSENT) {
    it(`gives up on ${rule}`, async (t) => {
      const { service } = await metadata(t, told);
      const found = await askOwnInstance(service, impatient);
      assert.ok(found.kind === 'unknown' && found.onInstance === undefined, JSON.stringify(found));
    });
  }

  it('does not follow an answer that sends it elsewhere, even where somebody would tell an id', async (t) => {
    const other = await metadata(t, { id: say(200, 'i-0ffffffffffffffff') });
    const location = `${other.service.endpoint}/latest/meta-data/instance-id`;
    const { service } = await metadata(t, {
      id: (response) => void response.writeHead(307, { location }).end(),
    });
    assert.equal((await askOwnInstance(service, systemClock)).kind, 'unknown');
    assert.deepEqual(other.asked, []);
  });

  it('knows nothing where nobody listens', async () => {
    const found = await askOwnInstance(at('http://127.0.0.1:1'), systemClock);
    assert.ok(found.kind === 'unknown' && found.onInstance === undefined);
    assert.match(found.because, /metadata service: .*ECONNREFUSED|metadata service: bad port/);
  });

  it('allows a second for each request and asks no more than four, so that a start is late by seconds at most', async (t) => {
    const waits: number[] = [];
    const clock: Clock = {
      now: () => 0,
      after(ms, wake) {
        waits.push(ms);
        return systemClock.after(20, wake);
      },
    };
    const { service } = await metadata(t, { id: silence });
    await askOwnInstance(service, clock);
    assert.deepEqual(waits, [1000, 1000, 1000, 1000]);
  });

  const OFF: readonly [disabled: string, asks: boolean][] = [
    ['true', false],
    ['TRUE', false],
    ['1', false],
    ['false', true],
    ['False', true],
    ['', true],
  ];
  for (const [disabled, asks] of OFF) {
    it(`AWS_EC2_METADATA_DISABLED=${disabled} ${asks ? 'lets it ask' : 'keeps it from asking'}`, async (t) => {
      const { service, asked } = await metadata(t);
      const found = await askOwnInstance({ ...service, disabled }, systemClock);
      assert.equal(found.kind, asks ? 'known' : 'unknown');
      assert.equal(asked.length, asks ? 2 : 0);
    });
  }

  it('an endpoint may have a path, and goes before the mode', async (t) => {
    const { service, asked } = await metadata(t);
    await askOwnInstance({ ...service, endpoint: `${service.endpoint}/mock/`, mode: 'IPv6' }, systemClock);
    assert.equal(asked[0], 'PUT /mock/latest/api/token 60');
  });

  for (const wrong of [{ ...at(undefined), mode: 'IPv5' }, at('not a url'), at('ftp://169.254.169.254')]) {
    it(`refuses variables that make no sense: ${JSON.stringify(wrong)}`, async () => {
      await assert.rejects(askOwnInstance(wrong, impatient), (thrown) => {
        assert.ok(thrown instanceof Failure);
        assert.equal(thrown.code, 'invalid_request');
        assert.match(thrown.message, /^AWS_EC2_METADATA_SERVICE_ENDPOINT/);
        return true;
      });
    });
  }
});

describe('findOwnInstance', () => {
  /** Level and message of everything that is logged. */
  async function found(
    choice: OwnInstanceChoice,
    clock: Clock = systemClock,
  ): Promise<{ id: string | null; levels: string[] }> {
    const levels: string[] = [];
    const log: Log = {
      debug: () => void levels.push('debug'),
      info: () => void levels.push('info'),
      warn: () => void levels.push('warn'),
      error: () => void levels.push('error'),
      child: () => log,
    };
    return { id: await findOwnInstance(choice, { clock, log }), levels };
  }

  it('takes a given id without asking', async () => {
    assert.deepEqual(await found({ kind: 'known', id: ID }), { id: ID, levels: ['info'] });
  });

  it('says once that the protection is missing, quietly where nobody answers', async () => {
    const service = at('http://127.0.0.1:1');
    assert.deepEqual(await found({ kind: 'ask', service }), { id: null, levels: ['info'] });
    assert.deepEqual(await found({ kind: 'unknown', because: 'none' }), { id: null, levels: ['info'] });
  });

  it('warns where a metadata service is there and does not tell', async (t) => {
    const { service } = await metadata(t, { token: say(403) });
    assert.deepEqual(await found({ kind: 'ask', service }), { id: null, levels: ['warn'] });
  });

  it('takes what the metadata service tells', async (t) => {
    const { service } = await metadata(t);
    assert.deepEqual(await found({ kind: 'ask', service }), { id: ID, levels: ['info'] });
  });
});
