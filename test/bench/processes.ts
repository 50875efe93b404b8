import { readdirSync, readFileSync } from 'node:fs';

/**
 * What processes have cost, from /proc. A process group is one end of a tunnel: everything a command has started.
 * The kernel accounts its work to the process it interrupts or serves: system calls, the TUN and TCP done for a tunnel,
 * and the softirqs that run in them are in that process's system time. Softirqs of ksoftirqd are nobody's.
 */

/** Clock ticks per second of /proc, 100 on every Linux this runs on. */
const TICKS = 100;

/** The fields of /proc/PID/stat that count here. Seconds; `reaped` is of children that have ended and were waited for. */
export interface Stat {
  readonly group: number;
  readonly own: number;
  readonly reaped: number;
}

/** Parses /proc/PID/stat; the name in parentheses may hold anything. */
export function parseStat(text: string): Stat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = (first: number): number => (Number(fields[first]) + Number(fields[first + 1])) / TICKS;
  return { group: Number(fields[2]), own: ticks(11), reaped: ticks(13) };
}

/** Seconds all processors together were busy or taken away by the hypervisor, from /proc/stat. */
export function parseBusy(text: string): { busy: number; stolen: number } {
  const fields = /^cpu +(.*)$/m.exec(text)![1]!.split(' ').map(Number);
  const [user, nice, system, , , irq, softirq, steal] = fields as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return { busy: (user + nice + system + irq + softirq) / TICKS, stolen: steal / TICKS };
}

/** Megabytes (10^6 bytes), from /proc/PID/smaps_rollup. */
export function parseMemory(text: string): Memory {
  const field = (name: string): number =>
    (Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024) / 1e6;
  return { rssMb: field('Rss'), pssMb: field('Pss') };
}

export interface Memory {
  readonly rssMb: number;
  readonly pssMb: number;
}

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined; // it has just ended
  }
};

/** All processes of the groups. */
function members(groups: readonly number[]): { pid: string; stat: Stat }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const text = read(`/proc/${pid}/stat`);
      if (text === undefined) return [];
      const stat = parseStat(text);
      return groups.includes(stat.group) ? [{ pid, stat }] : [];
    });
}

/** CPU seconds that the groups have used so far, in user and system mode, their ended children included. */
export function cpuSeconds(groups: readonly number[]): number {
  return members(groups).reduce((sum, { stat }) => sum + stat.own + stat.reaped, 0);
}

/** Memory of one process; nothing if it has ended. */
export const memoryOfProcess = (pid: number | string): Memory =>
  parseMemory(read(`/proc/${pid}/smaps_rollup`) ?? '');

/** CPU seconds of one process in user and system mode so far, its threads included. */
export const cpuOfProcess = (pid: number): number => {
  const text = read(`/proc/${pid}/stat`);
  return text === undefined ? 0 : parseStat(text).own;
};

/** Memory of the group's processes together. */
export function memoryOf(group: number): Memory {
  let [rssMb, pssMb] = [0, 0];
  for (const { pid } of members([group])) {
    const memory = memoryOfProcess(pid);
    rssMb += memory.rssMb;
    pssMb += memory.pssMb;
  }
  return { rssMb, pssMb };
}

/** How much of the machine others used over a time, 0 to 1. */
export interface NoiseMeter {
  share(): number;
}

/** Starts measuring; `groups` names the process groups that are ours beside this process and its children. */
export function measureNoise(groups: () => readonly number[], processors: number): NoiseMeter {
  const look = (): { at: number; foreign: number } => {
    const { busy, stolen } = parseBusy(read('/proc/stat')!);
    const self = parseStat(read('/proc/self/stat')!);
    return {
      at: performance.now() / 1_000,
      foreign: busy + stolen - self.own - self.reaped - cpuSeconds(groups()),
    };
  };
  const before = look();
  return {
    share() {
      const after = look();
      const share = (after.foreign - before.foreign) / ((after.at - before.at) * processors);
      return Math.min(1, Math.max(0, share));
    },
  };
}
