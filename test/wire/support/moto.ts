import { answers, type Child, freePort, startChild } from './child.ts';
import { pathOf } from './program.ts';

/** The emulator of AWS. Its account is always 123456789012. */
export interface Moto extends Child {
  readonly endpoint: string;
  /** Credentials and endpoint by the SDK's own conventions, for a process of its own or `process.env`. */
  readonly env: Readonly<Record<string, string>>;
  /** Forgets everything that was created. */
  reset(): Promise<void>;
}

export const MOTO_ACCOUNT = '123456789012';

/** Starts moto on a free port. */
export async function startMoto(): Promise<Moto> {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const child = await startChild({
    path: pathOf('moto_server'),
    args: ['-H', '127.0.0.1', '-p', String(port)],
    ready: () => answers(`${endpoint}/moto-api/data.json`),
  });
  return {
    ...child,
    endpoint,
    env: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    async reset() {
      const response = await fetch(`${endpoint}/moto-api/reset`, { method: 'POST' });
      if (!response.ok) throw new Error(`moto did not reset: ${response.status}`);
    },
  };
}
