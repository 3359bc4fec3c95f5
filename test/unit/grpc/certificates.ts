import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  readonly ca: string;
  readonly server: Pair;
  readonly client: Pair;
}

/** An authority, a server's certificate for plugin.test, and a client's; all made now. */
export async function certificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-'));
  const openssl = (line: string): Promise<unknown> =>
    promisify(execFile)('openssl', line.split(' '), { cwd: folder });
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';
  try {
    await openssl(`req -x509 ${key} -keyout ca.key -out ca.crt -days 2 -subj /CN=ca`);
    await writeFile(join(folder, 'server.ext'), 'subjectAltName=DNS:plugin.test');
    await writeFile(join(folder, 'client.ext'), 'extendedKeyUsage=clientAuth');
    for (const name of ['server', 'client']) {
      await openssl(`req ${key} -keyout ${name}.key -out ${name}.csr -subj /CN=${name}`);
      const by = '-CA ca.crt -CAkey ca.key -CAcreateserial';
      await openssl(`x509 -req -in ${name}.csr ${by} -out ${name}.crt -days 2 -extfile ${name}.ext`);
    }
    const text = (name: string): Promise<string> => readFile(join(folder, name), 'utf8');
    const pair = async (name: string): Promise<Pair> => ({
      ...{ cert: await text(`${name}.crt`), key: await text(`${name}.key`) },
    });
    return { ca: await text('ca.crt'), server: await pair('server'), client: await pair('client') };
  } finally {
    await rm(folder, { recursive: true });
  }
}
