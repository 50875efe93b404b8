import { Failure } from '../protocol/failure.ts';

/** `skipped`: it does not apply here, or cannot be checked while another check fails. */
export type Outcome = 'ok' | 'warning' | 'skipped' | 'failed';

export interface Finding {
  readonly outcome: Outcome;
  /** What was found. */
  readonly message: string;
  /** What to do about a warning or a failure. */
  readonly remedy?: string;
}

/** One thing that a program needs; `Probes` is what checks may ask. */
export interface Check<Probes> {
  readonly id: string;
  /** What is checked, in a few words. */
  readonly about: string;
  run(probes: Probes): Promise<Finding>;
}

export const ok = (message: string): Finding => ({ outcome: 'ok', message });
export const skipped = (message: string): Finding => ({ outcome: 'skipped', message });
export const warning = (message: string, remedy: string): Finding => ({
  outcome: 'warning',
  message,
  remedy,
});
export const failed = (message: string, remedy: string): Finding => ({ outcome: 'failed', message, remedy });

/** A failure of something that was tried, as a finding. Mistakes in the program stay errors. */
export function failing(error: unknown): Finding {
  if (!(error instanceof Failure)) throw error;
  return {
    outcome: 'failed',
    message: `${error.message} [${error.code}]`,
    ...(error.action !== undefined && { remedy: error.action }),
  };
}
