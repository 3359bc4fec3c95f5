import { formatDuration } from '../base/duration.ts';
import type { LintWarning, Problem } from './problem.ts';
import { type ActionSpec, HTTP_WITHIN_MS, RETRY_AFTER_MS } from './rule.ts';

/** A new instance is seldom launched, in service and healthy sooner. */
const SHORT_FOR_SWAP_MS = 60_000;

type Path = Problem['path'];

/** What looks unwise of how a chain takes its actions; `at` leads to the chain. */
export function inChainProblems(then: readonly ActionSpec[], at: Path): readonly Problem[] {
  return then.flatMap((action, index) => {
    const path = [...at, index];
    const isLast = index === then.length - 1;
    return [
      ...(isLast ? pointlessContinue(action, path) : []),
      ...timeoutProblems(action, path),
      ...retriesProblems(action, path),
    ];
  });
}

function pointlessContinue({ onFailure }: ActionSpec, at: Path): readonly Problem[] {
  if (onFailure === undefined) return [];
  return [warning('no-effect', 'no action comes after this one, so none can go on', [...at, 'onFailure'])];
}

function timeoutProblems({ kind, timeoutMs, retries = 0 }: ActionSpec, at: Path): readonly Problem[] {
  if (timeoutMs === undefined) return [];
  const path = [...at, 'timeout'];
  if (kind === 'swap' && timeoutMs < SHORT_FOR_SWAP_MS) {
    const message = `a swap takes minutes: within ${formatDuration(timeoutMs)} hardly one is done, and the others are undone`;
    return [warning('short-timeout', message, path)];
  }
  if (kind !== 'http' || timeoutMs < HTTP_WITHIN_MS || retries > 0) return [];
  const message = `an answer is waited for ${formatDuration(HTTP_WITHIN_MS)} at most, whatever the timeout`;
  return [warning('no-effect', message, path)];
}

function retriesProblems({ timeoutMs, retries = 0 }: ActionSpec, at: Path): readonly Problem[] {
  if (retries === 0 || timeoutMs === undefined || timeoutMs > RETRY_AFTER_MS) return [];
  const message = `an action is tried again after ${formatDuration(RETRY_AFTER_MS)} at the earliest, when its timeout has passed`;
  return [warning('no-effect', message, [...at, 'retries'])];
}

function warning(code: LintWarning, message: string, path: Path): Problem {
  return { severity: 'warning', code, message, path };
}
