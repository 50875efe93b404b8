import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ip } from '../../../os/linux/iproute.ts';
import { Failure } from '../../../protocol/failure.ts';
import { eventually } from '../../e2e/process.ts';
import { DEVICE_ADDRESS, FAR_ADDRESS, OUTSIDE, type Path } from './path.ts';

/** A program that runs in its own process group until it is stopped. */
export interface Program {
  /** The process group's number, too. */
  readonly pid: number;
  readonly ended: boolean;
  /** What it has said so far, stdout and stderr. */
  output(): string;
}

/**
 * Two network namespaces and what runs in them: the device's and the far end's, joined by nothing but the path under
 * measurement. Nothing it starts or makes outlives it.
 */
export interface Testbed {
  readonly device: string;
  readonly far: string;
  /** A folder for keys and logs, removed at the end. */
  readonly folder: string;
  /** Makes both namespaces anew, with the path between them. `wan` is the emulator, `seed` its dice. */
  build(path: Path, wan: string, seed: number): Promise<void>;
  start(namespace: string, command: readonly string[], environment?: Record<string, string>): Program;
  /** Runs a command to its end and returns its stdout. @throws Failure `bench.command-failed` */
  run(
    namespace: string | undefined,
    command: readonly string[],
    timeoutMs?: number,
    input?: string,
  ): Promise<string>;
  /** @throws Failure `bench.stopped` once it was closed */
  ensureOpen(): void;
  /** Process groups that run now. */
  groups(): readonly number[];
  /** Stops all programs and removes the namespaces. */
  clear(): Promise<void>;
  /** For good; safe to call twice. Whatever is still measuring fails. */
  close(): Promise<void>;
}

const DEVICE = 'enf-bench-device';
const FAR = 'enf-bench-far';
const UNDER = 'under0';
const STOP_MS = 3_000;

/** @throws Failure `bench.not-root`, `bench.already-running` */
export async function openTestbed(): Promise<Testbed> {
  if (process.getuid?.() !== 0) {
    throw new Failure('bench.not-root', 'operator', 'network namespaces and TUN devices need root', {
      action: 'Run it with sudo, or in a root shell.',
    });
  }
  const lock = await takeLock();
  const folder = mkdtempSync(join(tmpdir(), 'enf-bench-'));
  const programs = new Set<Started>();
  const commands = new Set<ChildProcess>();
  let closed = false;

  const killAll = (): void => {
    for (const each of programs) signal(each.pid, 'SIGKILL');
    for (const each of commands) each.kill('SIGKILL');
  };
  process.once('exit', killAll);

  const ensureOpen = (): void => {
    if (closed) throw new Failure('bench.stopped', 'operator', 'the benchmark was stopped');
  };

  const testbed: Testbed = {
    device: DEVICE,
    far: FAR,
    folder,
    async build(path, wan, seed) {
      ensureOpen();
      await removeNamespaces(); // left behind by a killed run
      for (const each of [DEVICE, FAR]) {
        await ip('netns', 'add', each);
        await ip('-n', each, 'link', 'set', 'lo', 'up');
      }
      if (path.limits === undefined) {
        await ip('-n', DEVICE, 'link', 'add', UNDER, 'type', 'veth', 'peer', 'name', UNDER, 'netns', FAR);
      } else {
        const { oneWayMs, dropPercent, mbit, queueMs } = path.limits;
        const numbers = [oneWayMs, dropPercent, mbit, queueMs, seed].map(String);
        const emulator = testbed.start(DEVICE, [wan, DEVICE, UNDER, FAR, UNDER, ...numbers]);
        await eventually(
          'the WAN emulator',
          async () => emulator.output().includes('up') || undefined,
          5_000,
        );
      }
      for (const [each, address] of [
        [DEVICE, DEVICE_ADDRESS],
        [FAR, FAR_ADDRESS],
      ] as const) {
        await ip('-n', each, 'addr', 'add', `${address}/24`, 'dev', UNDER);
        await ip('-n', each, 'link', 'set', UNDER, 'mtu', '1500', 'up');
        const setting = '/proc/sys/net/ipv4/tcp_congestion_control';
        const attempts = OUTSIDE.map((name) => `echo ${name} > ${setting} 2>/dev/null`);
        await testbed.run(each, ['sh', '-c', attempts.join(' || ')]);
      }
    },
    start(namespace, command, environment = {}) {
      ensureOpen();
      const log = join(folder, `${programs.size}-${command[0]!.split('/').pop()}.log`);
      const started = launch(namespace, command, environment, log);
      programs.add(started);
      return started;
    },
    run(namespace, command, timeoutMs = 60_000, input) {
      ensureOpen();
      const all = namespace === undefined ? command : ['ip', 'netns', 'exec', namespace, ...command];
      return new Promise((resolve, reject) => {
        const child = execFile(all[0]!, all.slice(1), { timeout: timeoutMs }, (error, stdout, stderr) => {
          commands.delete(child);
          if (error === null) resolve(stdout);
          else reject(commandFailed(command, stderr || stdout || String(error)));
        });
        commands.add(child);
        child.stdin?.end(input);
      });
    },
    ensureOpen,
    groups: () => [...programs].filter((each) => !each.ended).map((each) => each.pid),
    async clear() {
      const all = [...programs].reverse();
      programs.clear();
      await Promise.all(all.map(stop));
      await removeNamespaces();
    },
    async close() {
      if (closed) return;
      closed = true;
      for (const each of commands) each.kill('SIGKILL');
      await testbed.clear();
      process.off('exit', killAll);
      rmSync(folder, { recursive: true, force: true });
      lock.close();
    },
  };
  return testbed;
}

interface Started extends Program {
  readonly exited: Promise<void>;
}

function launch(
  namespace: string,
  command: readonly string[],
  environment: Record<string, string>,
  log: string,
): Started {
  const out = openSync(log, 'w', 0o600);
  // `ip netns exec` becomes the program; detached: it leads a process group of its own.
  const child = spawn('ip', ['netns', 'exec', namespace, ...command], {
    stdio: ['ignore', out, out],
    env: { ...process.env, ...environment },
    detached: true,
  });
  closeSync(out);
  let ended = false;
  const exited = new Promise<void>((resolve) => {
    const end = (): void => {
      ended = true;
      resolve();
    };
    child.once('exit', end);
    child.once('error', end);
  });
  return {
    pid: child.pid ?? -1,
    exited,
    get ended() {
      return ended;
    },
    output: () => readFileSync(log, 'utf8'),
  };
}

async function stop(program: Started): Promise<void> {
  signal(program.pid, 'SIGTERM');
  const patience = setTimeout(() => signal(program.pid, 'SIGKILL'), STOP_MS);
  await program.exited;
  clearTimeout(patience);
  signal(program.pid, 'SIGKILL'); // what it had started and left
}

function signal(group: number, name: NodeJS.Signals): void {
  if (group <= 0) return;
  try {
    process.kill(-group, name);
  } catch {} // it is gone
}

async function removeNamespaces(): Promise<void> {
  const present = (await ip('netns', 'list')).split('\n').map((line) => line.split(' ')[0]);
  for (const each of [DEVICE, FAR]) if (present.includes(each)) await ip('netns', 'del', each);
}

/** Two runs at once would measure each other: an abstract socket, which the kernel gives back however we end. */
function takeLock(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (cause) =>
      reject(
        new Failure('bench.already-running', 'operator', 'another tunnel benchmark runs on this machine', {
          action: 'Wait until it is done.',
          cause,
        }),
      ),
    );
    server.listen('\0enf-bench-tunnel', () => {
      server.unref();
      resolve(server);
    });
  });
}

export function commandFailed(command: readonly string[], said: string): Failure {
  const last = said.trim().split('\n').slice(-3).join(' / ').slice(0, 300);
  return new Failure('bench.command-failed', 'operator', `${command.slice(0, 3).join(' ')}: ${last}`, {
    action: 'Check that the command works by itself; see --help for what it needs.',
  });
}
