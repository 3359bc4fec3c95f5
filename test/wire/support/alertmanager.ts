import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { answers, type Child, freePort, startChild } from './child.ts';
import { pathOf } from './program.ts';

export interface Alertmanager extends Child {
  readonly url: string;
  /** Sends alerts as Prometheus does; each fires for `firingMs` from now unless it is sent again. */
  post(alerts: readonly PostedAlert[]): Promise<void>;
  /** Notifications sent so far, and how many of them failed. */
  notifications(): Promise<{ readonly sent: number; readonly failed: number }>;
}

export interface PostedAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly startsAt?: Date;
}

export interface AlertmanagerOptions {
  readonly webhookUrls: readonly string[];
}

/**
 * Starts an Alertmanager on free ports and in a folder of its own, without cluster, that notifies the webhooks at once
 * and repeats an unchanged notification after some seconds.
 */
export async function startAlertmanager({ webhookUrls }: AlertmanagerOptions): Promise<Alertmanager> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-alertmanager-'));
  const config = join(folder, 'alertmanager.yml');
  // JSON is YAML.
  await writeFile(config, JSON.stringify(configuration(webhookUrls)));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = await startChild({
    path: pathOf('prometheus-alertmanager'),
    args: [
      `--config.file=${config}`,
      `--storage.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--cluster.listen-address=',
    ],
    ready: () => answers(`${url}/-/ready`),
  });
  return {
    ...child,
    url,
    post: (alerts) => postAlerts(url, alerts),
    notifications: () => notifications(url),
    async stop() {
      await child.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** One group an alert, so that each is notified by itself. The repeat is the second, identical notification. */
function configuration(webhookUrls: readonly string[]): object {
  return {
    route: {
      receiver: 'coppice',
      group_by: ['...'],
      group_wait: '0s',
      group_interval: '1s',
      repeat_interval: '2s',
    },
    receivers: [
      {
        name: 'coppice',
        webhook_configs: webhookUrls.map((url) => ({ url, send_resolved: true, max_alerts: 0 })),
      },
    ],
  };
}

async function postAlerts(url: string, alerts: readonly PostedAlert[]): Promise<void> {
  const response = await fetch(`${url}/api/v2/alerts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(alerts),
  });
  if (!response.ok) throw new Error(`Alertmanager refused: ${response.status} ${await response.text()}`);
}

async function notifications(url: string): Promise<{ readonly sent: number; readonly failed: number }> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return {
    sent: sample(text, 'alertmanager_notifications_total'),
    failed: sample(text, 'alertmanager_notifications_failed_total'),
  };
}

function sample(text: string, name: string): number {
  const rows = text.matchAll(new RegExp(`^${name}\\{[^}]*integration="webhook"[^}]*\\} (\\S+)$`, 'gm'));
  return [...rows].reduce((sum, [, value]) => sum + Number(value), 0);
}
