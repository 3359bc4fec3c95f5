import { startDaemon } from './children.ts';
import type { Figure } from './main.ts';

const STARTS = 9;

/** (e) From the start of the process to the first 200 of /-/ready; the median of several starts. */
export async function coldStart(): Promise<readonly Figure[]> {
  const times: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    const daemon = await startDaemon('rules');
    times.push(daemon.readyAfterMs);
    await daemon.stop();
  }
  const sorted = times.toSorted((a, b) => a - b);
  const detail = `median of ${STARTS}: ${sorted.map((ms) => ms.toFixed(0)).join(' ')} ms`;
  return [
    {
      what: '(e) cold start to ready',
      value: sorted[(STARTS - 1) / 2] ?? 0,
      unit: ' ms',
      aim: { atMost: 800 },
      detail,
    },
  ];
}
