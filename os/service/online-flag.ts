import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from './log.ts';

/**
 * Publishes to the rest of the machine whether this device is online: exactly one of the empty files `online` and `offline`
 * is in $RUNTIME_DIRECTORY, which systemd's path units turn into enf-online.target. Without that variable the returned
 * function does nothing. A file that cannot be written is logged once and tried again at the next change.
 */
export function openOnlineFlag(log: Log): (online: boolean) => void {
  const folder = process.env.RUNTIME_DIRECTORY?.split(':')[0];
  let shown: boolean | undefined;
  let warned = false;
  return (online) => {
    if (folder === undefined || folder === '' || online === shown) return;
    const [file, other] = online ? ['online', 'offline'] : ['offline', 'online'];
    try {
      // In this order: for a moment neither exists, but never both.
      rmSync(join(folder, other), { force: true });
      writeFileSync(join(folder, file), '');
      shown = online;
      warned = false;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
      if (!warned)
        log(
          'warning',
          `cannot write ${join(folder, file)} (${code}): enf-online.target does not follow the agent's state`,
        );
      warned = true;
    }
  };
}
