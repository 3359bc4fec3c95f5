import { once } from 'node:events';
import { createServer } from 'node:http';

/** What the fake answers; `cut` closes the connection without an answer. */
export type FakeAnswer = { readonly status: number; readonly body: string; readonly type?: string } | 'cut';

export interface FakeAws {
  readonly endpoint: string;
  /** The form bodies of the requests so far, in order. */
  readonly requests: readonly URLSearchParams[];
  close(): Promise<void>;
}

/** An HTTP server on the loopback that answers the AWS query protocol as it is told. */
export async function startFakeAws(answer: (request: URLSearchParams) => FakeAnswer): Promise<FakeAws> {
  const requests: URLSearchParams[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      const parameters = new URLSearchParams(body);
      requests.push(parameters);
      const told = answer(parameters);
      if (told === 'cut') {
        request.socket.destroy();
        return;
      }
      response.writeHead(told.status, { 'content-type': told.type ?? 'text/xml' });
      response.end(told.body);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    requests,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** An error of EC2. */
export function ec2Error(status: number, code: string): FakeAnswer {
  const error = `<Error><Code>${code}</Code><Message>told so</Message></Error>`;
  return { status, body: `<Response><Errors>${error}</Errors><RequestID>r</RequestID></Response>` };
}

/** An error of Auto Scaling. */
export function autoScalingError(status: number, code: string): FakeAnswer {
  const error = `<Error><Type>Sender</Type><Code>${code}</Code><Message>told so</Message></Error>`;
  return { status, body: `<ErrorResponse>${error}<RequestId>r</RequestId></ErrorResponse>` };
}
