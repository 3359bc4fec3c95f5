import { setTimeout as wait } from 'node:timers/promises';

import type { AwsError } from './answer.ts';
import type { AwsRequest } from './request.ts';

/** What is to go wrong with the next requests of an action. */
export interface Fault {
  readonly action: string;
  /** How many requests it befalls; 1 unless it is said. */
  readonly times?: number;
  /** Where given, only requests whose parameters it holds for. */
  readonly when?: (parameters: URLSearchParams) => boolean;
  readonly kind: FaultKind;
}

export type FaultKind =
  /** Answers with an error; nothing takes effect. */
  | { readonly error: AwsError }
  /** It takes effect, and its answer is lost. */
  | 'drop-answer'
  /** It is lost on the way: no effect, no answer. */
  | 'drop-request'
  /** It takes effect so much later. */
  | { readonly delayMs: number };

/** The faults that are still to come. */
export interface Faults {
  inject(fault: Fault): void;
  /** Drops all that are still to come. */
  clear(): void;
  /** What befalls this request; each call uses up one time of the fault. A delay is waited for here. */
  befalls(request: AwsRequest): Promise<Exclude<FaultKind, { readonly delayMs: number }> | null>;
}

export function createFaults(): Faults {
  let pending: { readonly fault: Fault; left: number }[] = [];
  return {
    inject(fault) {
      pending.push({ fault, left: fault.times ?? 1 });
    },
    clear() {
      pending = [];
    },
    async befalls({ action, parameters }) {
      const next = pending.find(
        ({ fault, left }) => left > 0 && fault.action === action && (fault.when?.(parameters) ?? true),
      );
      if (next === undefined) return null;
      next.left -= 1;
      const { kind } = next.fault;
      if (typeof kind === 'string' || 'error' in kind) return kind;
      await wait(kind.delayMs);
      return null;
    },
  };
}
