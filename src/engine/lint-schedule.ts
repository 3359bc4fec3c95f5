import { parseCron } from './cron.ts';
import type { Problem } from './problem.ts';
import { timeZoneProblem } from './time-zone.ts';

/** A cron expression and its time zone, with the places where they were written. */
export interface WrittenSchedule {
  readonly cron: string;
  readonly timezone: string;
  readonly at: { readonly cron: Problem['path']; readonly timezone: Problem['path'] };
}

/** What is wrong with the zone, with the expression, or with both: where the zone is none, the expression is read in UTC. */
export function scheduleProblems({ cron, timezone, at }: WrittenSchedule): readonly Problem[] {
  const zone = timeZoneProblem(timezone);
  const times = parseCron(cron, zone === null ? timezone : 'UTC');
  return [
    ...(times.ok ? [] : [error('bad-cron', times.message, at.cron)]),
    ...(zone === null ? [] : [error('bad-timezone', zone, at.timezone)]),
  ];
}

function error(code: 'bad-cron' | 'bad-timezone', message: string, path: Problem['path']): Problem {
  return { severity: 'error', code, message, path };
}
