import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuOfProcess, memoryOfProcess } from '../processes.ts';
import { PROGRAM } from './command.ts';

/** Who uses less than this of a core has nothing to do. */
const IDLE = 0.1;
/** A million devices take some ten seconds. */
const LONGEST_MS = 120_000;

/** Resolves once the fabric has read what it reads after its start: to how long that took, in seconds. @throws Error if it goes on for minutes */
export async function settled({ cpu }: Serving): Promise<number> {
  const begun = performance.now();
  for (let quiet = begun; performance.now() < begun + LONGEST_MS; ) {
    const before = cpu();
    await sleep(1_000);
    if (cpu() - before > IDLE) quiet = performance.now();
    else if (performance.now() - quiet > 2_000) return (quiet - begun) / 1_000;
  }
  throw new Error(`the fabric is busy for ${LONGEST_MS / 1_000} s after its start`);
}

/** A fabric that serves in a process of its own. */
export interface Serving {
  /** From its start until it was ready. */
  readonly seconds: number;
  /** Megabytes (10^6 bytes), now. */
  residentMb(): number;
  /** CPU seconds so far. */
  cpu(): number;
  /** Of one that is watched: what `work` resolves to, and the longest time that the event loop of the fabric stood still meanwhile, in milliseconds. */
  during<T>(work: () => Promise<T>): Promise<{ result: T; stallMs: number }>;
  stop(): Promise<void>;
}

/**
 * Loaded before the program: says at every SIGUSR2 how long its event loop stood still at most since the one before. The time in which the
 * main thread could have run and the system ran others (the second number of schedstat) is left out: it is not the program's.
 */
const WATCH = `
import { readFileSync } from 'node:fs';
const look = () => ({
  at: performance.now(),
  waited: Number(readFileSync('/proc/self/task/' + process.pid + '/schedstat', 'latin1').split(' ')[1]) / 1e6,
});
let [last, longest] = [look(), 0];
setInterval(() => {
  const now = look();
  longest = Math.max(longest, now.at - last.at - (now.waited - last.waited));
  last = now;
}, 1).unref();
process.on('SIGUSR2', () => {
  process.stderr.write('stall ' + longest + '\\n');
  longest = 0;
});`;

/** `watched`: how long its event loop stands still is looked at all the time, which takes some hundredths of a core. */
export async function serve(data: string, watched: boolean): Promise<Serving> {
  const listen = ['--identity-listen', '127.0.0.1:0', '--tunnel-listen', '127.0.0.1:0', '--tun', 'none'];
  const watch = watched ? ['--import', `data:text/javascript,${encodeURIComponent(WATCH)}`] : [];
  const begun = performance.now();
  const child = spawn(process.execPath, [...watch, PROGRAM, 'serve', '--json', '--data', data, ...listen], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  const ready = once(child.stdout, 'data').then(() => (performance.now() - begun) / 1_000);
  const early = ended.then(([code]): never => {
    throw new Error(`serve ended with ${code}`);
  });
  const seconds = await Promise.race([ready, early]);
  early.catch(() => {});

  const stalls: ((ms: number) => void)[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    const ms = /^stall ([\d.]+)$/.exec(line)?.[1];
    if (ms !== undefined) stalls.shift()?.(Number(ms));
  });
  const stall = (): Promise<number> =>
    new Promise((resolve) => {
      stalls.push(resolve);
      child.kill('SIGUSR2');
    });

  return {
    seconds,
    residentMb: () => memoryOfProcess(child.pid!).rssMb,
    cpu: () => cpuOfProcess(child.pid!),
    async during(work) {
      await stall();
      const result = await work();
      return { result, stallMs: await stall() };
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
