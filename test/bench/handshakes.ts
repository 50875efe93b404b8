import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fast from '../../os/ecdaa.ts';
import { readMessage } from '../../os/exchange.ts';
import { ecdsaSigner, generateP256, primitives } from '../../os/primitives.ts';
import type { DaaKey } from '../../protocol/crypto/daakey.ts';
import { groupId } from '../../protocol/crypto/group.ts';
import * as portable from '../../protocol/crypto/member.ts';
import { parseTrust } from '../../protocol/identity/trust.ts';
import { attest, finish, hello, identify } from '../../protocol/xtt/client.ts';
import { program } from '../e2e/world.ts';
import { dialed } from '../fabric/device.ts';
import { cpuOfProcess } from './processes.ts';
import { median } from './statistics.ts';

/**
 * Handshakes with a real `enf-fabric serve` in a process of its own, over loopback: what one costs the server and the
 * client, and how many a second it gives to many clients at once.
 */

export interface HandshakeFigures {
  /** CPU of the server's process, clients one after the other. */
  readonly server_ms: number;
  /** CPU of the client's process, without what happens inside the TPM on a device that has one. */
  readonly client_ms: number;
  readonly latency_ms: number;
  /** With many clients at once, which run on the same machine. */
  readonly per_second: number;
  readonly server_busy_ms: number;
}

/** A credential in files, as `enf-factory device personalise --software` writes it. */
interface Member {
  readonly secret: Uint8Array;
  readonly credential: Uint8Array;
  readonly gid: Uint8Array;
  readonly basename: Uint8Array;
  readonly root: Uint8Array;
}

/** How a client makes its signatures; `signs` wraps everything that a TPM would do. */
interface Signing {
  daa(message: Uint8Array): Promise<Uint8Array>;
  longterm(message: Uint8Array): Promise<Uint8Array>;
  readonly longtermKey: Uint8Array;
}

/** @param alone clients one after the other @param seconds of `crowd` clients at once */
export async function measureHandshakes(
  alone: number,
  seconds: number,
  crowd: number,
): Promise<HandshakeFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'enf-bench-'));
  try {
    const member = await makeMember(folder);
    const fabric = await serve(join(folder, 'fabric'));
    try {
      await handshake(fabric.port, member, inSoftware(member)); // the group's tables, warm code
      const before = cpuOfProcess(fabric.pid);
      const clientMs: number[] = [];
      const latencyMs: number[] = [];
      for (let i = 0; i < alone; i++) {
        const inside = { ms: 0 };
        const [at, cpu] = [performance.now(), cpuMs()];
        await handshake(fabric.port, member, asOnDevice(member, inside));
        clientMs.push(cpuMs() - cpu - inside.ms);
        latencyMs.push(performance.now() - at);
      }
      const server = ((cpuOfProcess(fabric.pid) - before) / alone) * 1e3;
      const busy = await loaded(fabric, member, seconds, crowd);
      return {
        server_ms: server,
        client_ms: median(clientMs)!,
        latency_ms: median(latencyMs)!,
        per_second: busy.perSecond,
        server_busy_ms: busy.cpuMs,
      };
    } finally {
      await fabric.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function loaded(
  fabric: { pid: number; port: number },
  member: Member,
  seconds: number,
  crowd: number,
): Promise<{ perSecond: number; cpuMs: number }> {
  const before = cpuOfProcess(fabric.pid);
  const start = performance.now();
  let done = 0;
  const client = async (): Promise<void> => {
    while (performance.now() - start < seconds * 1e3) {
      await handshake(fabric.port, member, inSoftware(member));
      done++;
    }
  };
  await Promise.all(Array.from({ length: crowd }, client));
  const took = (performance.now() - start) / 1e3;
  return { perSecond: done / took, cpuMs: ((cpuOfProcess(fabric.pid) - before) / done) * 1e3 };
}

async function handshake(port: number, member: Member, signing: Signing): Promise<void> {
  const socket = await dialed(port);
  try {
    const entropy = { dhSecret: primitives.random(32), nonce: primitives.random(32) };
    const opened = hello(primitives, 1, entropy);
    socket.write(opened.send);
    const attesting = attest(opened.next, await readMessage(socket, 20_000), [member.root]);
    const claimed = identify(attesting, {
      longtermPublicKey: signing.longtermKey,
      longtermSignature: await signing.longterm(attesting.longtermMessage),
      gid: member.gid,
      requestedIdentity: new Uint8Array(16),
      daaSignature: await signing.daa(attesting.daaMessage),
    });
    socket.write(claimed.send);
    finish(claimed.next, await readMessage(socket, 20_000));
  } finally {
    socket.destroy();
  }
}

/** As fast as this machine can, to load a server. */
function inSoftware({ secret, credential, basename }: Member): Signing {
  const key = fast.softwareDaaKey(primitives, secret);
  const longterm = generateP256();
  return {
    longtermKey: longterm.publicKey,
    longterm: ecdsaSigner(longterm.secret),
    daa: (message) => fast.sign(primitives, key, credential, message, basename),
  };
}

/** As the agent does it; `inside.ms` counts the CPU time of what the TPM would do. */
function asOnDevice({ secret, credential, basename }: Member, inside: { ms: number }): Signing {
  const apart = async <T>(work: () => Promise<T>): Promise<T> => {
    const before = cpuMs();
    const result = await work();
    inside.ms += cpuMs() - before;
    return result;
  };
  const key = portable.softwareDaaKey(primitives, secret);
  const apartKey: DaaKey = {
    publicPoint: key.publicPoint,
    commit: (base, point) =>
      apart(async () => {
        const commitment = await key.commit(base, point);
        return { ...commitment, sign: (c1) => apart(() => commitment.sign(c1)) };
      }),
  };
  const longterm = generateP256();
  const sign = ecdsaSigner(longterm.secret);
  return {
    longtermKey: longterm.publicKey,
    longterm: (message) => apart(() => sign(message)),
    daa: (message) => portable.sign(primitives, apartKey, credential, message, basename),
  };
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
};

/** A fabric with a group, and one member of it. */
async function makeMember(folder: string): Promise<Member> {
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
  const file = (name: string): Uint8Array => new Uint8Array(readFileSync(join(at('device'), name)));
  const basename = file('basename.bin');
  return {
    secret: file('daa_secretkey.bin'),
    credential: file('daa_cred.bin'),
    basename,
    gid: groupId(primitives, file('daa_gpk.bin'), basename),
    root: parseTrust(readFileSync(trust, 'utf8')).xttRoot,
  };
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
async function serve(data: string): Promise<{ pid: number; port: number; stop(): Promise<void> }> {
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
