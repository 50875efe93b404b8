import { VERSION } from '../../os/service/process.ts';
import { isFailure } from '../../protocol/failure.ts';
import type { Report } from '../../protocol/tunnel/report.ts';

/** While the tunnel stands, a failure is told after this long, with whatever followed it. */
const TELL_AFTER_MS = 60_000;

/** What the agent tells the fabric of itself: its version, and the code of what went wrong last. */
export interface SelfReport {
  /** Something went wrong; what is no Failure has no code and is not told. */
  note(failure: unknown): void;
  current(): Report;
  /** Nothing is told any more. */
  close(): void;
}

/** `steadyMs` is a monotonic clock; `tell` is called when there is news for a fabric that was told already. */
export function keepSelfReport(steadyMs: () => number, tell: () => void): SelfReport {
  let last: { readonly code: string; readonly ms: number } | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    note(failure) {
      if (!isFailure(failure)) return;
      last = { code: failure.code, ms: steadyMs() };
      timer ??= setTimeout(() => {
        timer = undefined;
        tell();
      }, TELL_AFTER_MS);
    },
    current: () => ({
      version: VERSION,
      ...(last && { failure: { code: last.code, seconds: (steadyMs() - last.ms) / 1_000 } }),
    }),
    close: () => clearTimeout(timer),
  };
}
