import autocannon from 'autocannon';

const CONNECTIONS = 32;

/** Answers of 200 a second, and how many there were of each other kind. */
export interface Load {
  readonly perSecond: number;
  readonly answered: number;
  readonly others: number;
  readonly startedAt: number;
}

/** Posts bodies, each made by `body(n)`, on 32 connections, one after the other on each. */
export async function post(
  url: string,
  body: (n: number) => string,
  bound: { readonly amount: number } | { readonly duration: number },
): Promise<Load> {
  let n = 0;
  const startedAt = performance.now();
  const result = await autocannon({
    url,
    connections: CONNECTIONS,
    ...bound,
    requests: [
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        setupRequest: (request) => ({ ...request, body: body(n++) }),
      },
    ],
  });
  const seconds = (performance.now() - startedAt) / 1000;
  const { '2xx': answered, non2xx, errors } = result;
  return { perSecond: answered / seconds, answered, others: non2xx + errors, startedAt };
}

/** An Alertmanager notification of one firing alert about the instance. */
export function notification(alertname: string, instance: string, n: number): string {
  const labels = { alertname, instance_id: instance, severity: 'warning', cluster: 'bench', n: String(n) };
  return JSON.stringify({
    version: '4',
    groupKey: `{}:{alertname="${alertname}"}`,
    truncatedAlerts: 0,
    status: 'firing',
    receiver: 'coppice',
    groupLabels: { alertname },
    commonLabels: labels,
    commonAnnotations: {},
    externalURL: 'http://alertmanager.example',
    alerts: [
      {
        status: 'firing',
        labels,
        annotations: { summary: 'one of many' },
        startsAt: '2026-01-01T00:00:00.123456789Z',
        endsAt: '0001-01-01T00:00:00Z',
        generatorURL: 'http://prometheus.example/graph?g0.expr=up',
        fingerprint: n.toString(16).padStart(16, '0'),
      },
    ],
  });
}
