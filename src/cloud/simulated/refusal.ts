import type { AwsFault } from '../fault.ts';

/** Why AWS would refuse a request, in AWS' own words. */
export type Refusal = Pick<AwsFault, 'code' | 'message' | 'status'>;

/** Auto Scaling says almost everything with one code. */
export function invalid(message: string): Refusal {
  return { code: 'ValidationError', message, status: 400 };
}

/** A refusal of EC2, which has a code for everything. */
export function refusal(code: string, message: string, status = 400): Refusal {
  return { code, message, status };
}
