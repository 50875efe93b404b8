import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { toHex } from '../../../protocol/bytes.ts';
import { encodeFrame } from '../../../protocol/tunnel/frame.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import { udp } from '../../fabric/packets.ts';
import { found, type Serving } from '../admit/fabric.ts';
import { makeGroup } from '../admit/fleet.ts';
import { compile } from '../compile.ts';
import { type Enrolled, enrol } from '../router/devices.ts';
import type { Attack, Effort, Row } from './attack.ts';

/** The modes of flood.c. */
const FLOODS = [
  ['keys', 'key updates'],
  ['bytes', 'records of one byte'],
  ['segments', 'frames for 1,250 packets'],
] as const;

const ALL_CORES = '0-1023';
/** So long the flood is under way before anything is measured. */
const AHEAD_SECONDS = 1;

/** What a device that sends something expensive costs others of its router thread: one thread has them all. */
export const threadDelay: Attack = {
  id: 'A1',
  title: 'one device floods its router thread',
  async measure(effort, say) {
    const group = makeGroup('bench');
    const fabric = found([group]);
    try {
      const program = await compile('hostile/flood', fabric.folder, ['-lssl', '-lcrypto']);
      const [honest, hostile, target] = await enrol(fabric, group, 3);
      const serving = await fabric.serve(ALL_CORES, '--router-threads', '1');
      favour(serving.pid);
      try {
        const devices = { honest: honest!, hostile: hostile!, target: target! };
        return await measureAll(program, serving, devices, effort, say);
      } finally {
        await serving.stop();
      }
    } finally {
      fabric.remove();
    }
  },
};

/** A flood comes from other machines: what it takes of this one's processors must not count as the router's delay. */
function favour(pid: number): void {
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const name = readFileSync(`/proc/${pid}/task/${task}/comm`, 'latin1');
    if (name.startsWith('enf-router-')) execFileSync('chrt', ['--fifo', '--pid', '1', task]);
  }
}

interface Devices {
  readonly honest: Enrolled;
  readonly hostile: Enrolled;
  readonly target: Enrolled;
}

async function measureAll(
  program: string,
  { tunnelPort }: Serving,
  { honest, hostile, target }: Devices,
  { seconds }: Effort,
  say: (line: string) => void,
): Promise<Row[]> {
  const start = (mode: string, device: Enrolled, packet: Uint8Array, forSeconds: number): ChildProcess =>
    spawn(program, [mode, String(tunnelPort), device.file, toHex(encodeFrame(packet)), String(forSeconds)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  const probe = (): Promise<number> => p99(start('probe', honest, heartbeat(honest.address), seconds));
  const rows: Row[] = [];
  for (const [mode, what] of FLOODS) {
    say(what);
    const without = await probe();
    const long = AHEAD_SECONDS + seconds + AHEAD_SECONDS;
    const packet =
      mode === 'segments' ? udp(hostile.address, target.address, 1, 100) : heartbeat(hostile.address);
    const others = [
      start('drain', target, heartbeat(target.address), long),
      start(mode, hostile, packet, long),
    ];
    for (const { pid } of others) setPriority(pid!, constants.priority.PRIORITY_LOW);
    await new Promise((resolve) => setTimeout(resolve, AHEAD_SECONDS * 1_000));
    const under = await probe();
    for (const other of others) other.kill();
    await Promise.all(others.map((other) => other.exitCode ?? other.signalCode ?? once(other, 'exit')));
    rows.push({
      what: `delay of another tunnel, p99: ${what}`,
      unit: 'ms',
      without,
      with: under,
      must: { atMost: 5 },
    });
  }
  return rows;
}

/** What the probe says, once it has ended well. */
async function p99(probe: ChildProcess): Promise<number> {
  let said = '';
  probe.stdout!.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = (await once(probe, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the probe ended with ${code}`);
  return (JSON.parse(said) as { p99_ms: number }).p99_ms;
}
