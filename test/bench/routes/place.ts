import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ownName } from '../../namespaces.ts';
import type { Daemon, Node } from './daemons.ts';

/** Three nodes on one link, each with a fresh daemon, and devices behind the first. */

export const NODES: readonly Node[] = ['a', 'b', 'c'].map((name, i) => ({
  name,
  address: `fd99::${i + 1}`,
  routerId: `10.0.0.${i + 1}`,
}));

/** A program in a namespace, and the lines that it says. */
export interface Program {
  readonly child: ChildProcess;
  send(line: string): void;
  /** The next line that it says, parsed. */
  said<T>(): Promise<T>;
}

export interface Place {
  /** A role of child.ts in a node, or among its devices. */
  start(where: string, ...role: readonly string[]): Promise<Program>;
  startDaemon(node: string): Promise<void>;
  /** Kills its process that speaks BGP. */
  killDaemon(node: string): void;
  /** CPU that its processes have used, ms, and what they have in memory, bytes. */
  used(node: string): { readonly cpuMs: number; readonly rss: number };
  cut(node: string, off: boolean): void;
  run(where: string, ...command: readonly string[]): { readonly ok: boolean; readonly out: string };
  /** How many IPv6 routes its kernel has, without reading them all. */
  routes(node: string): number;
  close(): void;
}

export const devicesOf = (node: string): string => `d${node}`;

export function openPlace(daemon: Daemon): Place {
  const own = ownName('routes');
  const folder = mkdtempSync(join(tmpdir(), 'enf-routes-'));
  spawnSync('chmod', ['755', folder]);
  const space = (where: string): string => `enf-${own}-${where}`;
  const spaces = ['lan', ...NODES.flatMap(({ name }) => [name, devicesOf(name)])];
  const daemons = new Map<string, ChildProcess[]>();
  const programs: ChildProcess[] = [];
  const run = (where: string, ...command: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync('ip', ['netns', 'exec', space(where), ...command], {
      encoding: 'utf8',
    });
    return { ok: status === 0, out: status === 0 ? stdout : stderr };
  };
  const must = (where: string, ...command: readonly string[]): void => {
    const { ok, out } = run(where, ...command);
    if (!ok) throw new Error(`${command.join(' ')}: ${out}`);
  };
  for (const each of spaces) {
    spawnSync('ip', ['netns', 'add', space(each)]);
    must(each, 'sysctl', '-qw', 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0');
    must(each, 'ip', 'link', 'set', 'lo', 'up');
  }
  must('lan', 'ip', 'link', 'add', 'br0', 'type', 'bridge');
  must('lan', 'ip', 'link', 'set', 'br0', 'up');
  for (const { name, address } of NODES) {
    const devices = devicesOf(name);
    must(name, 'sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1', 'net.ipv6.route.max_size=2147483647');
    must(
      'lan',
      'ip',
      'link',
      'add',
      `port-${name}`,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      space(name),
    );
    must('lan', 'ip', 'link', 'set', `port-${name}`, 'master', 'br0', 'up');
    must(name, 'ip', 'link', 'set', 'eth0', 'addrgenmode', 'none');
    must(name, 'ip', 'link', 'set', 'eth0', 'up');
    must(
      name,
      'ip',
      '-6',
      'addr',
      'add',
      `${address.replace('fd99::', 'fe80::9:')}/64`,
      'dev',
      'eth0',
      'nodad',
    );
    must(name, 'ip', '-6', 'addr', 'add', `${address}/64`, 'dev', 'eth0', 'nodad');
    must(name, 'ip', 'link', 'add', 'tun0', 'type', 'veth', 'peer', 'name', 'd0', 'netns', space(devices));
    must(name, 'ip', 'link', 'set', 'tun0', 'up');
    must(name, 'ip', '-6', 'addr', 'add', 'fe80::1/64', 'dev', 'tun0', 'nodad');
    must(devices, 'ip', 'link', 'set', 'd0', 'up');
    must(devices, 'ip', '-6', 'route', 'add', 'default', 'via', 'fe80::1', 'dev', 'd0');
    if (daemon.table !== 254)
      must(name, 'ip', '-6', 'rule', 'add', 'priority', '8380', 'table', String(daemon.table));
  }

  return {
    async start(where, ...role) {
      const command = ['netns', 'exec', space(where), process.execPath, process.argv[1]!, 'child', ...role];
      const child = spawn('ip', command, { stdio: ['pipe', 'pipe', 'inherit'] });
      programs.push(child);
      const lines: string[] = [];
      const waiting: ((line: string) => void)[] = [];
      createInterface({ input: child.stdout! }).on('line', (line) => {
        const next = waiting.shift();
        if (next === undefined) lines.push(line);
        else next(line);
      });
      const said = async <T>(): Promise<T> => {
        const line = lines.shift() ?? (await new Promise<string>((resolve) => waiting.push(resolve)));
        return JSON.parse(line) as T;
      };
      await said();
      return { child, send: (line) => void child.stdin!.write(`${line}\n`), said };
    },
    async startDaemon(node) {
      const mine = NODES.find(({ name }) => name === node)!;
      const files = join(folder, node);
      mkdirSync(files, { recursive: true });
      const known = daemons.get(node) ?? [];
      const running: ChildProcess[] = [];
      for (const [i, command] of daemon
        .commands(
          files,
          mine,
          NODES.filter((each) => each !== mine),
        )
        .entries()) {
        const former = known[i];
        if (former !== undefined && former.exitCode === null && former.signalCode === null) {
          running.push(former);
          continue;
        }
        running.push(spawn('ip', ['netns', 'exec', space(node), ...command], { stdio: 'ignore' }));
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      daemons.set(node, running);
    },
    killDaemon: (node) => void daemons.get(node)!.at(-1)!.kill('SIGKILL'),
    used(node) {
      let [cpuMs, rss] = [0, 0];
      for (const { pid } of daemons.get(node)!) {
        const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
          .replace(/^.*\) /, '')
          .split(' ');
        cpuMs += (Number(fields[11]) + Number(fields[12])) * 10;
        rss += Number(fields[21]) * 4_096;
      }
      return { cpuMs, rss };
    },
    cut: (node, off) =>
      must('lan', 'ip', 'link', 'set', `port-${node}`, ...(off ? ['nomaster'] : ['master', 'br0'])),
    run,
    // The fourth of the hexadecimal numbers: entries.
    routes: (node) => Number.parseInt(run(node, 'cat', '/proc/net/rt6_stats').out.split(' ')[3]!, 16),
    close() {
      for (const child of [...programs, ...[...daemons.values()].flat()]) child.kill('SIGKILL');
      for (const each of spaces) spawnSync('ip', ['netns', 'del', space(each)]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
