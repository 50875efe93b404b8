import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseTrust } from '../../../protocol/identity/trust.ts';
import { parseMemory, parseStat } from '../processes.ts';
import type { BenchGroup } from './fleet.ts';

/** The program as it is shipped, beside the bundle of the benchmark. */
const PROGRAM = fileURLToPath(new URL('./enf-fabric.mjs', import.meta.url));

/** A fabric founded for the benchmark, with these groups. */
export interface BenchFabric {
  /** A folder for what is needed meanwhile; it goes with the fabric. */
  readonly folder: string;
  /** Its own folder, with the registry. */
  readonly data: string;
  readonly root: Uint8Array;
  serve(cores: string, ...options: string[]): Promise<Serving>;
  /** Another node of it, of this name: with the same keys, on the same registry, which is on a server. */
  another(name: string): BenchFabric;
  /** The same with these words before the program, e.g. for a network namespace, on all addresses. */
  serveAs(before: readonly string[], ...options: string[]): Promise<Serving>;
  /** Devices admitted so far. */
  devices(): number;
  remove(): void;
}

/** The fabric at work in processes of its own. */
export interface Serving {
  /** Of its first process, which has the router's threads. */
  readonly pid: number;
  readonly port: number;
  readonly tunnelPort: number;
  readonly arithmetic: { readonly ecdaa: string; readonly curves: string };
  /** CPU seconds of all its processes and threads so far. */
  cpu(): number;
  /** CPU seconds of each of its processes. */
  cpuOfEach(): number[];
  /** Resident bytes of the first process. */
  resident(): number;
  stop(): Promise<void>;
}

const fabric = (...words: string[]): string =>
  execFileSync(process.execPath, [PROGRAM, ...words], { encoding: 'utf8', maxBuffer: 1 << 30 });

/** `registry`: a file with the address of an empty database, to which the registry is moved. */
export function found(groups: readonly BenchGroup[], registry?: string): BenchFabric {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: run "npm run build"`);
  const folder = mkdtempSync(join(tmpdir(), 'enf-admit-'));
  const data = join(folder, 'fabric');
  fabric('init', '--data', data);
  fabric('network', 'add', 'fd00:8f80:8000:1::/64', '--data', data);
  for (const [i, group] of groups.entries()) {
    const label = join(folder, `label-${i}`);
    writeFileSync(label, group.label);
    fabric('group', 'add', '--label', label, '--network', 'fd00:8f80:8000:1::/64', '--data', data);
  }
  if (registry !== undefined) fabric('registry', 'move', registry, '--data', data);
  return fabricIn(folder);
}

/** `config`: its own file of settings, if it has one. */
function fabricIn(folder: string, config: readonly string[] = []): BenchFabric {
  const data = join(folder, 'fabric');
  return {
    folder,
    data,
    root: parseTrust(readFileSync(join(data, 'trust.json'), 'utf8')).xttRoot,
    serve: (cores, ...options) =>
      serve(data, ['taskset', '-c', cores], '127.0.0.1:0', [...config, ...options]),
    serveAs: (before, ...options) => serve(data, before, '[::]:0', [...config, ...options]),
    another(name) {
      const other = mkdtempSync(join(tmpdir(), 'enf-admit-'));
      cpSync(data, join(other, 'fabric'), { recursive: true });
      const file = join(other, 'fabric.toml');
      writeFileSync(file, `[node]\nname = "${name}"\n`);
      return fabricIn(other, ['--config', file]);
    },
    devices: () => (JSON.parse(fabric('device', 'list', '--json', '--data', data)) as unknown[]).length,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function serve(
  data: string,
  before: readonly string[],
  address: string,
  options: readonly string[],
): Promise<Serving> {
  const listen = ['--identity-listen', address, '--tunnel-listen', address, '--tun', 'none'];
  const words = ['serve', '--json', '--data', data, ...listen, ...options];
  const [command, ...rest] = [...before, process.execPath, PROGRAM, ...words];
  const child: ChildProcess = spawn(command!, rest, {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'exit');
  const line = await new Promise<string>((resolve, reject) => {
    let out = '';
    child.stdout!.on('data', (chunk) => {
      out += chunk;
      if (out.includes('\n')) resolve(out);
    });
    ended.then(([code]) => reject(new Error(`serve ended with ${code}`)), reject);
  });
  const { ready } = JSON.parse(line) as {
    ready: { identity: string; tunnel: string; arithmetic: Serving['arithmetic'] };
  };
  const pids = (): number[] => [child.pid!, ...childrenOf(child.pid!)];
  const cpuOfEach = (): number[] =>
    pids().map((pid) => parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1')).own);
  return {
    pid: child.pid!,
    port: portOf(ready.identity),
    tunnelPort: portOf(ready.tunnel),
    arithmetic: ready.arithmetic,
    cpuOfEach,
    cpu: () => cpuOfEach().reduce((sum, each) => sum + each, 0),
    resident: () => parseMemory(readFileSync(`/proc/${child.pid}/smaps_rollup`, 'latin1')).rssMb * 1e6,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

const portOf = (listening: string): number => Number(listening.split(':').at(-1));

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
}
