import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { ADDON, outcome } from '../child.ts';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Compiles a C program of the tests, once per change; `sources` are paths beside this file. */
export function tool(name: string, ...sources: readonly string[]): string {
  const built = here(`../../../.cache/${name}`);
  const inputs = sources.map(here);
  const native = here('../../../native/');
  const headers = ['client', 'dataplane', 'packet', 'transport'].flatMap((folder) =>
    readdirSync(join(native, folder))
      .filter((file) => file.endsWith('.h'))
      .map((file) => join(native, folder, file)),
  );
  const changed = Math.max(...[...inputs, ...headers].map((file) => statSync(file).mtimeMs));
  if (existsSync(built) && statSync(built).mtimeMs > changed) return built;
  mkdirSync(dirname(built), { recursive: true });
  const flags = [
    '-std=gnu11',
    '-O2',
    '-g',
    '-D_GNU_SOURCE',
    '-Wall',
    '-Wextra',
    '-Wno-deprecated-declarations',
  ];
  const fresh = `${built}.${process.pid}`;
  execFileSync(
    process.env.CC ?? 'gcc',
    [...flags, '-iquote', native, '-o', fresh, ...inputs, '-lssl', '-lcrypto', '-lpthread'],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  renameSync(fresh, built);
  return built;
}

/** The data plane's core without JavaScript and without a thread of its own. */
export function coreSources(): string[] {
  return ['client', 'dataplane', 'packet', 'transport'].flatMap((folder) =>
    readdirSync(here(`../../../native/${folder}`))
      .filter((file) => file.endsWith('.c') && !(folder === 'client' && /^(napi|thread)\.c$/.test(file)))
      .map((file) => `../../../native/${folder}/${file}`),
  );
}

export interface WorldOptions {
  /** What the far end chooses; `none` is a C peer. */
  readonly wire: 'enf/2' | 'enf/1' | 'none';
  /** How much offload each end asks its kernel for. */
  readonly near: 0 | 1 | 2;
  readonly far: 0 | 1 | 2;
  /** JavaScript that the near end's main thread runs once the tunnel is up. */
  readonly whenUp?: string;
}

/** Inner addresses: fd00::1 and 10.98.0.1 at the near end, fd00::2 and 10.98.0.2 at the far one. */
export interface World {
  /** Runs a program of the near or far namespace to its end; its output. @throws Error if it fails */
  run(where: 'near' | 'far', program: string, ...argv: readonly string[]): Promise<string>;
  /** Starts one and waits for its first line, "ready"; `end` is the rest of its output. */
  start(
    where: 'near' | 'far',
    program: string,
    ...argv: readonly string[]
  ): Promise<{ readonly end: Promise<string> }>;
  /** Checksum errors that both kernels have counted. */
  checksumErrors(): Promise<number>;
  /** Has the far end change the keys of both directions, unless it is in the middle of a record; `keyUpdates` counts. */
  updateKeys(): void;
  /** Ends both ends; their counters. */
  stop(): Promise<{ near: Record<string, number>; far: Record<string, number> }>;
}

/** Two namespaces with a tunnel between them: the addon's data plane at the near end, the C peer at the far one. */
export async function openWorld(options: WorldOptions): Promise<World> {
  const peer = tool('peer', 'peer.c', ...coreSources());
  const tag = `${process.pid % 100_000}${Math.floor(performance.now()) % 10_000}`;
  const names = { near: `enf-n${tag}`, far: `enf-f${tag}` };
  const folder = mkdtempSync(join(tmpdir(), 'enf-tunnel-'));
  const children: ChildProcess[] = [];
  onTestFinished(() => {
    for (const child of children) child.kill('SIGKILL');
    for (const name of Object.values(names)) quietly('ip', 'netns', 'del', name);
    rmSync(folder, { recursive: true });
  });
  makeNamespaces(names);
  makeIdentities(folder);
  const begin = (where: 'near' | 'far', program: string, argv: readonly string[]): ChildProcess => {
    const child = spawn('ip', ['netns', 'exec', names[where], program, ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    return child;
  };
  const run: World['run'] = async (where, program, ...argv) => {
    const { code, stdout, stderr } = await outcome(begin(where, program, argv));
    if (code !== 0) throw new Error(`${program} ${argv.join(' ')}: ${stderr}`);
    return stdout;
  };
  const start: World['start'] = async (where, program, ...argv) => {
    const child = begin(where, program, argv);
    const end = outcome(child);
    await new Promise<void>((resolve) => child.stdout!.once('data', () => resolve()));
    return { end: end.then(({ stdout }) => stdout.split('\n').slice(1).join('\n')) };
  };
  const far = begin('far', peer, [
    'tun0',
    '4443',
    join(folder, 'far.pem'),
    join(folder, 'far.key'),
    options.wire,
    String(options.far),
  ]);
  const farEnd = outcome(far);
  await new Promise<void>((resolve) => far.stdout!.once('data', () => resolve()));
  const near = begin('near', process.execPath, [
    '-e',
    NEAR_END,
    ADDON,
    folder,
    String(options.near),
    options.whenUp ?? '',
  ]);
  const nearEnd = outcome(near);
  const up = new Promise<void>((resolve) => near.stdout!.once('data', () => resolve()));
  await raise(run, 'far', 'fd00::2', '10.98.0.2', 'fd00::1', '10.98.0.1');
  await up;
  await raise(run, 'near', 'fd00::1', '10.98.0.1', 'fd00::2', '10.98.0.2');
  await run(
    'near',
    'sh',
    '-c',
    'for i in 1 2 3 4 5 6 7 8 9 10; do ping -6 -c1 -W1 fd00::2 && exit 0; done; exit 1',
  );
  return {
    run,
    start,
    async checksumErrors() {
      const texts = await Promise.all(
        (['near', 'far'] as const).map((where) => run(where, 'cat', '/proc/net/snmp6', '/proc/net/snmp')),
      );
      return texts.reduce((sum, text) => sum + countChecksumErrors(text), 0);
    },
    updateKeys: () => void far.kill('SIGUSR1'),
    async stop() {
      near.kill('SIGTERM');
      const nearText = (await nearEnd).stdout;
      far.kill('SIGTERM');
      const farText = (await farEnd).stdout;
      return { near: lastJson(nearText), far: lastJson(farText) };
    },
  };
}

/** The near end: addon, folder and offload as arguments; "up" when the tunnel's TLS is up, counters at the end. */
const NEAR_END = `
const { readFileSync } = require('node:fs');
const [addonPath, folder, offload, whenUp] = process.argv.slice(1);
const addon = require(addonPath);
const own = new Uint8Array(16); own[0] = 0xfd; own[15] = 1;
const device = addon.dataplaneTun('tun0', Number(offload));
const dataplane = addon.dataplaneStart(device.fd, device.offload, own, true, 60000, 60000, (...event) => console.error(event));
const socket = addon.socketOpen(4, 0, 0);
addon.socketConnect(socket, '10.77.7.2', 4443, (error) => {
  if (error) throw error;
  const read = (name, how) => readFileSync(folder + '/' + name, how);
  addon.dataplaneConnect(dataplane, 1, addon.socketTake(socket), 10000, read('far.pem', 'utf8'), new Uint8Array(read('near.der')), read('near.key', 'utf8'), true);
  const wait = setInterval(() => {
    if (addon.dataplaneCounters(dataplane).connections === 0) return;
    clearInterval(wait);
    console.log('up');
    if (whenUp) setTimeout(() => eval(whenUp), 1000);
  }, 5);
});
process.on('SIGTERM', () => { console.log(JSON.stringify(addon.dataplaneCounters(dataplane))); addon.dataplaneClose(dataplane); process.exit(0); });
`;

function quietly(program: string, ...argv: readonly string[]): void {
  try {
    execFileSync(program, argv, { stdio: 'ignore' });
  } catch {}
}

function makeNamespaces({ near, far }: { near: string; far: string }): void {
  const ip = (...argv: string[]): void =>
    void execFileSync('ip', argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  for (const name of [near, far]) {
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  ip('-n', near, 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', far);
  for (const [name, last] of [
    [near, 1],
    [far, 2],
  ] as const) {
    ip('-n', name, 'addr', 'add', `10.77.7.${last}/24`, 'dev', 'wire');
    ip('-n', name, 'link', 'set', 'wire', 'up');
  }
}

function makeIdentities(folder: string): void {
  const openssl = (...argv: string[]): void =>
    void execFileSync('openssl', argv, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const self = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '30',
  ];
  for (const name of ['near', 'far'])
    openssl(...self, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`);
  openssl('x509', '-in', 'near.pem', '-outform', 'DER', '-out', 'near.der');
}

async function raise(
  run: World['run'],
  where: 'near' | 'far',
  six: string,
  four: string,
  far6: string,
  far4: string,
): Promise<void> {
  const commands = [
    'ip link set tun0 addrgenmode none',
    'ip link set tun0 mtu 1280 gso_max_size 65000 up',
    `ip addr add ${six}/128 dev tun0 nodad`,
    `ip addr add ${four}/32 dev tun0`,
    `ip route add ${far6}/128 dev tun0`,
    `ip route add ${far4}/32 dev tun0`,
  ];
  await run(where, 'sh', '-ec', commands.join('; '));
}

function countChecksumErrors(text: string): number {
  let errors = 0;
  for (const match of text.matchAll(/^\w*InCsumErrors\s+(\d+)$/gm)) errors += Number(match[1]);
  const lines = text.split('\n');
  for (let i = 0; i + 1 < lines.length; i++) {
    const [keys, values] = [lines[i]!.split(' '), lines[i + 1]!.split(' ')];
    const at = keys.indexOf('InCsumErrors');
    if (at > 0 && keys[0] === values[0]) errors += Number(values[at]);
  }
  return errors;
}

function lastJson(text: string): Record<string, number> {
  const line = text.trim().split('\n').at(-1)!;
  return JSON.parse(line) as Record<string, number>;
}
