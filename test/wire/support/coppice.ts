import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { answers, type Child, freePort, startChild } from './child.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');

export interface Coppice extends Child {
  readonly url: string;
  readonly grpc: string;
  /** GET of a JSON document, e.g. `/api/v1/runs`. */
  get(path: string): Promise<unknown>;
}

export interface CoppiceOptions {
  /** Rule files by name. */
  readonly rules: Readonly<Record<string, string>>;
  /** Further settings of `serve`, by their dotted names. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts `bin/coppice serve` on free loopback ports, with rules and state in a folder of its own. */
export async function startCoppice({ rules, settings = {}, env = {} }: CoppiceOptions): Promise<Coppice> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-wire-'));
  for (const [name, text] of Object.entries(rules)) await writeFile(join(folder, name), text);
  const http = `127.0.0.1:${await freePort()}`;
  const grpc = `127.0.0.1:${await freePort()}`;
  const all = {
    'http.listen': http,
    'grpc.listen': grpc,
    rules: folder,
    'state.url': `sqlite:${join(folder, 'coppice.db')}`,
    ...settings,
  };
  const child = await startChild({
    path: join(ROOT, 'bin', 'coppice'),
    args: ['serve', ...Object.entries(all).flatMap(([name, value]) => [`--${name}`, value])],
    env,
    ready: () => answers(`http://${http}/-/ready`),
  });
  return {
    ...child,
    url: `http://${http}`,
    grpc,
    async get(path) {
      const response = await fetch(`http://${http}${path}`);
      if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
      return response.json();
    },
    async stop() {
      await child.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
