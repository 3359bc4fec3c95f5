import { startDaemon } from './children.ts';
import { drained } from './ingest.ts';
import { notifications, post } from './load.ts';
import type { Figure } from './main.ts';

const EVENTS = 200_000;
const PARTS = 10;

/** (d) Peak resident memory of the daemon over 200,000 events, and how much it grew over the second half. */
export async function memoryOverEvents(): Promise<readonly Figure[]> {
  const daemon = await startDaemon('rules');
  try {
    const peaks: number[] = [];
    for (let part = 0; part < PARTS; part++) {
      const about = (n: number): { instance: string; n: number } => ({
        instance: 'web',
        n: part * EVENTS + n,
      });
      const bodies = notifications('SpotInstanceTooExpensive', EVENTS / PARTS, about);
      await post(`${daemon.url}/api/v1/webhook/alertmanager`, bodies);
      await drained(daemon);
      peaks.push(daemon.memory().peak);
    }
    const [half = 0, last = 0] = [peaks[PARTS / 2 - 1], peaks.at(-1)];
    const detail = `peaks after each tenth: ${peaks.map((peak) => peak.toFixed(0)).join(' ')} MB`;
    return [
      { what: '(d) peak memory over 200,000 events', value: last, unit: ' MB', aim: { atMost: 250 }, detail },
      {
        what: '    growth of the peak in the second half',
        value: last / half,
        unit: '',
        aim: { atMost: 1.1 },
        detail: 'last / half',
      },
    ];
  } finally {
    await daemon.stop();
  }
}
