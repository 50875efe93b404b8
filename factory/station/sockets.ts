import { type Failure, isFailure } from '../../protocol/failure.ts';
import { openTpm, type Tpm } from '../../tpm/context.ts';
import { memberNameOf } from '../device/member.ts';

/** Something that happened at a socket; sockets are numbered from 1. */
export type SocketEvent =
  | { readonly event: 'waiting'; readonly socket: number }
  | { readonly event: 'chip'; readonly socket: number }
  | { readonly event: 'step'; readonly socket: number; readonly step: string }
  | {
      readonly event: 'pass';
      readonly socket: number;
      readonly member: string;
      readonly serial: string | undefined;
      /** It was in the batch before. */
      readonly again: boolean;
    }
  | {
      readonly event: 'fail';
      readonly socket: number;
      readonly code: string;
      readonly message: string;
      readonly action: string | undefined;
    }
  /** A socket that cannot be used as it is: said once, and tried again. */
  | { readonly event: 'problem'; readonly socket: number; readonly code: string; readonly message: string };

/** A device that has passed. */
export interface Passed {
  readonly member: string;
  readonly serial?: string | undefined;
  readonly again: boolean;
}

export interface SocketRun {
  /** How to reach the chip in each socket. */
  readonly sockets: readonly string[];
  /** Ends after so many devices that were not in the batch before. */
  readonly count?: number | undefined;
  /** Makes a device of the chip, and its entry in the journal. */
  readonly personalise: (tpm: Tpm, progress: (step: string) => void) => Promise<Passed>;
  /** Makes the entry of a chip that failed; `member` if it has a key. */
  readonly recordFailure: (failure: Failure, member: string | undefined) => Promise<void>;
  readonly emit: (event: SocketEvent) => void;
  /** No new chip is begun any more. */
  readonly signal: AbortSignal;
  /** A person says that the chip in a socket that shows no change is the next one; `keyless`: it would show none, having no key of ours. */
  readonly isNext?: (socket: number, keyless: boolean) => boolean;
  readonly pollMs: number;
}

/** Failures after which no chip would fare better: the run ends with them. */
const FATAL: readonly string[] = [
  'factory.batch-closed',
  'factory.key-mismatch',
  'factory.no-serial',
  'factory.trust-too-large',
  'os.disk-full',
  'os.write-failed',
];
/** For a socket without a chip. */
const EMPTY: readonly string[] = ['tpm.absent', 'tpm.failed', 'tpm.lost', 'tpm.timeout', 'tpm.busy'];
const LOOK = { timeoutMs: 5_000, retryMs: 500 };

/**
 * Makes devices of the chips that are put into sockets, side by side, until there are `count`, the signal is given, or a failure would meet every chip.
 * Returns how many became devices. @throws Failure one of `FATAL`, when the chips in the other sockets are done
 */
export async function runSockets(run: SocketRun): Promise<number> {
  const progress: Progress = { made: 0, begun: 0, fatal: undefined };
  // Those who work are waited for, also when something goes wrong at another socket: they use what the caller takes away afterwards.
  const serve = (tcti: string, i: number): Promise<void> =>
    serveSocket(run, progress, tcti, i + 1).catch((error: unknown) => {
      progress.fatal ??= error;
    });
  await Promise.all(run.sockets.map(serve));
  if (progress.fatal !== undefined) throw progress.fatal;
  return progress.made;
}

interface Progress {
  made: number;
  /** Chips that may become devices. */
  begun: number;
  fatal: unknown;
}

async function serveSocket(run: SocketRun, progress: Progress, tcti: string, socket: number): Promise<void> {
  const { emit, count = Number.POSITIVE_INFINITY, signal, pollMs } = run;
  const over = (): boolean => signal.aborted || progress.fatal !== undefined || progress.made >= count;
  while (!over()) {
    emit({ event: 'waiting', socket });
    if (!(await chipThere(run, tcti, socket, over))) return;
    // The others may make all that are wanted.
    while (progress.made + progress.begun >= count && !over()) await sleep(pollMs);
    if (over()) return;
    emit({ event: 'chip', socket });
    progress.begun++;
    const done = await attempt(run, progress, tcti, socket);
    progress.begun--;
    if (done.again === false) progress.made++;
    await removed(run, tcti, socket, done.member, over);
  }
}

/** Waits for a chip. False if the run was over before. */
async function chipThere(
  run: SocketRun,
  tcti: string,
  socket: number,
  over: () => boolean,
): Promise<boolean> {
  let said: string | undefined;
  for (; !over(); await sleep(run.pollMs)) {
    const found = await look(tcti);
    if (!('failure' in found)) return true;
    const { code, message } = found.failure;
    if (EMPTY.includes(code) || code === said) continue;
    said = code;
    run.emit({ event: 'problem', socket, code, message });
  }
  return false;
}

/** The key of the chip in a socket, or why there is none. */
async function look(
  tcti: string,
): Promise<{ readonly member: string | undefined } | { readonly failure: Failure }> {
  try {
    const tpm = await openTpm(tcti, LOOK);
    try {
      return { member: await memberNameOf(tpm) };
    } finally {
      await tpm.close();
    }
  } catch (failure) {
    if (!isFailure(failure)) throw failure;
    return { failure };
  }
}

/** What became of a chip: its key, if it has one, and whether it was in the batch before; undefined for a failure. */
interface Attempt {
  readonly member: string | undefined;
  readonly again: boolean | undefined;
}

async function attempt(run: SocketRun, progress: Progress, tcti: string, socket: number): Promise<Attempt> {
  let member: string | undefined;
  try {
    const tpm = await openTpm(tcti);
    try {
      const done = await run.personalise(tpm, (step) => run.emit({ event: 'step', socket, step }));
      run.emit({ event: 'pass', socket, member: done.member, serial: done.serial, again: done.again });
      return done;
    } catch (error) {
      member = await memberNameOf(tpm).catch(() => undefined);
      throw error;
    } finally {
      await tpm.close();
    }
  } catch (error) {
    await failed(run, progress, socket, member, error);
    return { member, again: undefined };
  }
}

async function failed(
  run: SocketRun,
  progress: Progress,
  socket: number,
  member: string | undefined,
  error: unknown,
): Promise<void> {
  if (!isFailure(error)) {
    progress.fatal ??= error;
    return;
  }
  const { code, message, action } = error;
  // The person who would type it has ended the run.
  if (code === 'factory.no-serial' && run.signal.aborted) return;
  run.emit({ event: 'fail', socket, code, message, action });
  if (FATAL.includes(code)) {
    progress.fatal ??= error;
    return;
  }
  await run.recordFailure(error, member).catch((cause: unknown) => {
    progress.fatal ??= cause;
  });
}

/** Waits until the chip with this key is taken out, or another is in its place. One without a key of ours shows no difference to the next such. */
async function removed(
  run: SocketRun,
  tcti: string,
  socket: number,
  member: string | undefined,
  over: () => boolean,
): Promise<void> {
  for (; !over(); await sleep(run.pollMs)) {
    if (run.isNext?.(socket, member === undefined)) return;
    const now = await look(tcti);
    if ('failure' in now) {
      if (EMPTY.includes(now.failure.code)) return;
      continue;
    }
    if (member !== undefined && now.member !== member) return;
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
