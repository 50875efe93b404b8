import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type BenchFabric, found, type Serving } from '../admit/fabric.ts';
import { type BenchGroup, makeGroup } from '../admit/fleet.ts';
import { compile } from '../compile.ts';

/** A fabric whose devices share one router thread, and the program of its devices (sharing.c). */
export interface Place {
  readonly fabric: BenchFabric;
  readonly group: BenchGroup;
  /** Starts the fabric, does the work and stops it. */
  serving<T>(work: (start: Start) => Promise<T>): Promise<T>;
}

/** Starts the program in a mode, with a list of devices. */
export type Start = (mode: string, list: string, seconds: number, rate?: number) => ChildProcess;

const ALL_CORES = '0-1023';

/** Founds a fabric for the work and removes it. */
export async function withPlace<T>(
  options: readonly string[],
  work: (place: Place) => Promise<T>,
): Promise<T> {
  const group = makeGroup('bench');
  const fabric = found([group]);
  try {
    const program = await compile('hostile/sharing', fabric.folder, ['-lssl', '-lcrypto', '-lpthread']);
    const start =
      ({ tunnelPort }: Serving): Start =>
      (mode, list, seconds, rate) => {
        const words = [mode, tunnelPort, list, seconds, ...(rate === undefined ? [] : [rate])].map(String);
        return spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] });
      };
    return await work({
      fabric,
      group,
      async serving(inside) {
        const serving = await fabric.serve(ALL_CORES, '--router-threads', '1', ...options);
        try {
          return await inside(start(serving));
        } finally {
          await serving.stop();
        }
      },
    });
  } finally {
    fabric.remove();
  }
}

/** How many of a hundred packets came, once a program that counts them has ended well. */
export async function percentReceived(program: ChildProcess): Promise<number> {
  let said = '';
  program.stdout!.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = (await once(program, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the devices ended with ${code}`);
  const { sent, received } = JSON.parse(said) as { sent: number; received: number };
  return (received / sent) * 100;
}

/** Ends an attack. It must have gone on until now. */
export async function end(attack: ChildProcess): Promise<void> {
  if (attack.exitCode !== null) throw new Error(`the attack ended with ${attack.exitCode}`);
  attack.kill();
  await once(attack, 'exit');
}
