import { readdirSync, readFileSync } from 'node:fs';
import { cpuOfProcess, memoryOfProcess } from '../processes.ts';

/** What one process holds and has used at a moment, from /proc. Megabytes are 10^6 bytes. */
export interface Sample {
  /** The same process as before; another one has begun at zero. */
  readonly pid: number;
  readonly rssMb: number;
  readonly pssMb: number;
  /** The part of rssMb that no file stands behind: heaps and stacks, but not pages of a program that were touched. */
  readonly anonMb: number;
  readonly descriptors: number;
  readonly threads: number;
  /** Bytes it made the kernel write to storage so far. */
  readonly writtenBytes: number;
  /** Seconds of CPU so far. */
  readonly cpu: number;
}

/** @throws Error if there is no such process */
export function sampleProcess(pid: number): Sample {
  const field = (file: string, name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/${file}`, 'latin1'))![1]);
  return {
    pid,
    ...memoryOfProcess(pid),
    anonMb: (field('status', 'RssAnon') * 1024) / 1e6,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: field('status', 'Threads'),
    writtenBytes: field('io', 'write_bytes'),
    cpu: cpuOfProcess(pid),
  };
}

/** Several looks at one process within a minute as one: memory is their mean, the rest is the last. */
export function together(looks: readonly Sample[]): Sample {
  const last = looks.at(-1)!;
  const own = looks.filter(({ pid }) => pid === last.pid);
  const mean = (of: (look: Sample) => number): number =>
    own.reduce((sum, each) => sum + of(each), 0) / own.length;
  return {
    ...last,
    rssMb: mean(({ rssMb }) => rssMb),
    pssMb: mean(({ pssMb }) => pssMb),
    anonMb: mean(({ anonMb }) => anonMb),
  };
}
