import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';

/** The version the bundle was built from. */
export const VERSION = process.env.ENF_VERSION ?? 'development';

/** What the program runs on, e.g. "Node 22.4.0 on linux arm64". */
export const PLATFORM = `Node ${process.versions.node} on ${process.platform} ${process.arch}`;

/** The clocks of this machine and the time of the build (0 if unknown), in milliseconds. */
export const systemClocks = {
  wallMs: (): number => Date.now(),
  /** Does not run while the machine sleeps. */
  steadyMs: (): number => performance.now(),
  builtMs: Number(process.env.ENF_BUILT ?? 0) * 1_000,
};

/** Memory of this process that is not swapped out. */
export const residentBytes = (): number => process.memoryUsage.rss();

/** What `globalThis.gc` takes besides what Node's types say. */
const collectHarder = globalThis.gc as ((how: Record<string, string>) => void) | undefined;

/**
 * Frees what is no longer used, if Node was started with `--expose-gc`: V8 by itself collects only when its heap has grown, so
 * that the memory of an idle program grows for hours. Stops the event loop for some ten milliseconds.
 */
export function collectGarbage(): void {
  if (globalThis.gc === undefined) return;
  // What is freed goes back to the system, and bytecode, most of which ran only once, is freed, too. Of a flag that it does not know V8 writes a line.
  for (const flag of ['--compact-on-every-full-gc', '--bytecode-old-age=0']) setFlagsFromString(flag);
  globalThis.gc();
  // V8 of Node 22 and later keeps the pages that the first has freed, and gives them back in this one; that of Node 20 knows no flavor.
  collectHarder?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/**
 * Resolves at the first SIGTERM or SIGINT; later ones have their default effect again, so that a second Ctrl-C ends a shutdown that hangs. SIGHUP
 * never ends the program: it calls `onHangup`, for what can be read again.
 */
export function askedToStop(onHangup: () => void = () => {}): Promise<void> {
  process.on('SIGHUP', onHangup);
  return new Promise((resolve) => {
    const stop = (): void => {
      process.off('SIGTERM', stop);
      process.off('SIGINT', stop);
      resolve();
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}

/** The watchdog interval of systemd within which it expects `WATCHDOG=1`, in milliseconds; undefined if it does not watch this process. */
export function watchdogPeriodMs(): number | undefined {
  const microseconds = Number(process.env.WATCHDOG_USEC);
  const forUs = process.env.WATCHDOG_PID === undefined || Number(process.env.WATCHDOG_PID) === process.pid;
  return forUs && microseconds > 0 ? microseconds / 1_000 : undefined;
}

/** How many files and sockets this process may have open. Node raises the soft limit to the hard one by itself. */
export function descriptorLimit(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
}

/**
 * Ends the process if its output cannot be written: quietly if the reader has gone (`| head`), else with a line on stderr
 * and exit code 1, so that a full disk never looks like success.
 */
export function watchOutput(name: string): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    process.stderr.write(`${name}: the output cannot be written: ${error.message}\n`);
    process.exit(1);
  });
}

/** Writes to stdout; resolves once it takes more, so that what a slow reader has not read yet does not pile up here. */
export function printed(text: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (process.stdout.write(text)) resolve();
    else process.stdout.once('drain', resolve);
  });
}

/** Ends the process with the exit code once stdout is flushed, even if handles are still open. */
export function leave(code: number): void {
  // An error is reported by `watchOutput`, one step later.
  process.stdout.write('', (error) => setImmediate(() => process.exit(error ? 1 : code)));
}

/** The arguments after node and script. */
export function programArguments(): readonly string[] {
  return process.argv.slice(2);
}
