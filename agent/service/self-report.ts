import { VERSION } from '../../os/service/process.ts';
import { isFailure } from '../../protocol/failure.ts';
import type { Report } from '../../protocol/tunnel/report.ts';

/** While the tunnel is up, a failure is reported after this long, with those that followed it. */
const REPORT_AFTER_MS = 60_000;

/** What the agent reports to the fabric on itself: its version, and the code of the last failure. */
export interface SelfReport {
  /** Keeps a failure for the next report; an error that is no Failure has no code and is left out. */
  note(failure: unknown): void;
  current(): Report;
  /** Nothing is reported any more. */
  close(): void;
}

/** `steadyMs` is a monotonic clock; `send` is called when there is news for a fabric that has a report already. */
export function keepSelfReport(steadyMs: () => number, send: () => void): SelfReport {
  let last: { readonly code: string; readonly ms: number } | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    note(failure) {
      if (!isFailure(failure)) return;
      last = { code: failure.code, ms: steadyMs() };
      timer ??= setTimeout(() => {
        timer = undefined;
        send();
      }, REPORT_AFTER_MS);
    },
    current: () => ({
      version: VERSION,
      ...(last && { failure: { code: last.code, seconds: (steadyMs() - last.ms) / 1_000 } }),
    }),
    close: () => clearTimeout(timer),
  };
}
