import { addon } from '../../native/index.ts';

/** Ends this process with exit code 0 after so long, even if its event loop, a thread or its end hangs. */
export function endWithin(ms: number): void {
  addon().exitWithin(ms);
}

/**
 * Tells the service manager about this service, as sd_notify(3): `READY=1`, `STATUS=…`, `WATCHDOG=1`, several separated
 * by newlines. Does nothing without $NOTIFY_SOCKET. A message that cannot be delivered is not an error here: the
 * service manager notices its absence and acts.
 */
export function notify(state: string): void {
  const path = process.env.NOTIFY_SOCKET;
  if (path === undefined || path === '') return;
  const native = addon();
  try {
    native.notifySend(path, state);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}
