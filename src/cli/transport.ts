import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import type { ClientTls } from '../grpc/client.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string | null;
  /** Where a redirect leads, which is not followed: credentials go to nobody but whom they were meant for. */
  readonly location: string | null;
  readonly text: string;
}

/** Sends a request and reads its whole answer. Rejects with Node's own errors, also when the signal aborts. */
export type SendRequest = (url: URL, request: HttpRequest) => Promise<HttpAnswer>;

/** Sends over HTTP and HTTPS. Not `fetch`, which takes neither an authority nor a client certificate. */
export function createTransport({ ca, cert, key }: ClientTls): SendRequest {
  const tls = { ...(ca !== null && { ca }), ...(cert !== null && { cert }), ...(key !== null && { key }) };
  return (url, { method, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const options: RequestOptions = { method, headers, signal };
      const call =
        url.protocol === 'https:' ? httpsRequest(url, { ...options, ...tls }) : httpRequest(url, options);
      call.once('error', reject);
      call.once('response', (response) => {
        const { statusCode: status = 0, headers: told } = response;
        text(response).then(
          (read) =>
            resolve({
              ...{ status, text: read },
              contentType: told['content-type'] ?? null,
              location: told.location ?? null,
            }),
          reject,
        );
      });
      call.end(body ?? undefined);
    });
}
