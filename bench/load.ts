import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const CONNECTIONS = 32;
const STATUS = 'HTTP/1.1 200 ';

/** Answers of 200 a second, and how many there were of each other kind. */
export interface Load {
  readonly perSecond: number;
  readonly answered: number;
  readonly others: number;
  /** ms, as performance.now() counts. */
  readonly startedAt: number;
}

/**
 * Posts prepared requests on 32 connections, one after the other on each, and waits for all answers. Requests are made
 * before the clock starts and answers are only counted, so that the sender costs as little as it can: it shares the
 * machine with what is measured.
 */
export async function post(url: string, bodies: readonly string[]): Promise<Load> {
  const { hostname, port, pathname } = new URL(url);
  const requests = bodies.map((body) => requestOf(`${hostname}:${port}`, pathname, body));
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(hostname, Number(port))));
  const startedAt = performance.now();
  const total = { next: 0, answered: 0, others: 0 };
  await Promise.all(sockets.map((socket) => feed(socket, requests, total)));
  const seconds = (performance.now() - startedAt) / 1000;
  for (const socket of sockets) socket.destroy();
  return { perSecond: total.answered / seconds, answered: total.answered, others: total.others, startedAt };
}

function requestOf(host: string, path: string, body: string): Buffer {
  const length = Buffer.byteLength(body);
  const head = `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
  return Buffer.from(head + body);
}

async function open(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, 'connect');
  return socket;
}

/** Sends the next request when the answer to the last has come. Both servers answer in one packet. */
function feed(
  socket: Socket,
  requests: readonly Buffer[],
  total: { next: number; answered: number; others: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const send = (): void => {
      const request = requests[total.next++];
      if (request === undefined) resolve();
      else socket.write(request);
    };
    socket.on('data', (answer) => {
      if (answer.toString('latin1', 0, STATUS.length) === STATUS) total.answered++;
      else total.others++;
      send();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the server closed a connection')));
    send();
  });
}

/** Alertmanager notifications of one firing alert each, about instances by number. */
export function notifications(
  alertname: string,
  count: number,
  about: (n: number) => { readonly instance: string; readonly n: number },
): string[] {
  return Array.from({ length: count }, (_, position) => {
    return notification(alertname, [about(position)]);
  });
}

/** One notification with an alert about each of the instances. */
export function notification(
  alertname: string,
  about: readonly { readonly instance: string; readonly n: number }[],
): string {
  return JSON.stringify({
    version: '4',
    groupKey: `{}:{alertname="${alertname}"}`,
    truncatedAlerts: 0,
    status: 'firing',
    receiver: 'coppice',
    groupLabels: { alertname },
    commonLabels: { alertname },
    commonAnnotations: {},
    externalURL: 'http://alertmanager.example',
    alerts: about.map(({ instance, n }) => ({
      status: 'firing',
      labels: { alertname, instance_id: instance, severity: 'warning', cluster: 'bench', n: String(n) },
      annotations: { summary: 'one of many' },
      startsAt: '2026-01-01T00:00:00.123456789Z',
      endsAt: '0001-01-01T00:00:00Z',
      generatorURL: 'http://prometheus.example/graph?g0.expr=up',
      fingerprint: n.toString(16).padStart(16, '0'),
    })),
  });
}
