import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { program } from '../e2e/world.ts';
import { handshake, inSoftware, type Member, readMember } from './client.ts';
import type { ClientTimes } from './clientmain.ts';
import { cpuOfProcess } from './processes.ts';
import { AS_SERVICE } from './service.ts';
import { median } from './statistics.ts';

/**
 * Handshakes with a real `enf-fabric serve` in a process of its own, over loopback: what one costs the server and the
 * client. What many devices at once cost is measured by `npm run bench:admit`.
 */

export interface HandshakeFigures {
  /** CPU of the server's process. */
  readonly server_ms: number;
  /** CPU of the client's process, run as the service is, without what happens inside the TPM on a device that has one. */
  readonly client_ms: number;
  readonly latency_ms: number;
}

/** @param count handshakes of one device, one after the other: at most 299, since a fabric refuses more of one chip at once */
export async function measureHandshakes(count: number): Promise<HandshakeFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'enf-bench-'));
  try {
    const member = await makeMember(folder);
    const fabric = await serve(join(folder, 'fabric'));
    try {
      await handshake(fabric.port, member, inSoftware(member)); // the group's tables, warm code
      const before = cpuOfProcess(fabric.pid);
      const { clientMs, latencyMs } = handshakesOf(fabric.port, folder, count);
      const server = ((cpuOfProcess(fabric.pid) - before) / count) * 1e3;
      return { server_ms: server, client_ms: median(clientMs)!, latency_ms: median(latencyMs)! };
    } finally {
      await fabric.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In a process of its own, run as the service runs the agent: there V8 does not compile. */
function handshakesOf(port: number, folder: string, count: number): ClientTimes {
  const bundle = program('agent')[1]!.replace('enf-agent', 'bench-client');
  const output = execFileSync(
    process.execPath,
    [...AS_SERVICE.node, bundle, String(port), folder, String(count)],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  return JSON.parse(output) as ClientTimes;
}

/** A fabric with a group, and one member of it. */
export async function makeMember(folder: string): Promise<Member> {
  const data = join(folder, 'fabric');
  const at = (name: string): string => join(folder, name);
  const network = 'fd00:e4f:8::/64';
  const trust = join(data, 'trust.json');
  await run([...program('fabric'), 'init', '--data', data]);
  const group = ['--name', 'Bench', '--basename', 'bench', '--out', at('group')];
  await run([...program('factory'), 'group', 'create', ...group]);
  await run([...program('fabric'), 'network', 'add', network, '--data', data]);
  const label = ['--label', join(at('group'), 'label.txt'), '--network', network];
  await run([...program('fabric'), 'group', 'add', ...label, '--data', data]);
  const personal = ['--group', at('group'), '--trust', trust, '--software', at('device')];
  await run([...program('factory'), 'device', 'personalise', ...personal]);
  return readMember(folder);
}

/** Runs one of our programs to its end. @throws Error with what it said */
function run(command: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${command[2]}: ${said}`))));
  });
}

/** `enf-fabric serve` on loopback. */
export async function serve(data: string): Promise<{ pid: number; port: number; stop(): Promise<void> }> {
  const port = await freePort();
  const listen = [
    '--identity-listen',
    `127.0.0.1:${port}`,
    '--tunnel-listen',
    '127.0.0.1:0',
    '--tun',
    'none',
  ];
  const [node, ...script] = program('fabric');
  const child = spawn(node!, [...script, 'serve', ...listen, '--data', data], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const atExit = (): void => void child.kill('SIGKILL');
  process.once('exit', atExit);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const ready = new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  await Promise.race([ready, exited]);
  if (child.exitCode !== null) throw new Error(`enf-fabric serve ended with ${child.exitCode}`);
  return {
    pid: child.pid!,
    port,
    async stop() {
      child.kill('SIGTERM');
      await exited;
      process.off('exit', atExit);
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
