import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { birdConfig } from '../../../fabric/bgp/bird.ts';
import { bundle } from '../../bundle.ts';
import { ownName } from '../../namespaces.ts';

/** Nodes of a fabric in namespaces, each with BIRD, on one link; what is behind each one's "TUN" is a namespace, too, which stands for its devices. */
export interface Nodes {
  readonly names: readonly string[];
  /** Runs a command in a node, and it must succeed. */
  must(node: string, ...command: readonly string[]): string;
  /** True if it succeeds. */
  try(node: string, ...command: readonly string[]): boolean;
  /** The device has its tunnel at this node: it answers to the address. */
  answers(node: string, address: string, does: boolean): void;
  /** Runs a command among the devices of a node, and it must succeed; true if it does. */
  behind(node: string, ...command: readonly string[]): string;
  tryBehind(node: string, ...command: readonly string[]): boolean;
  /** Gives the node one more link, at whose other end, outside, somebody has this address. */
  attach(node: string, link: string, address: string): void;
  /** Runs a command there; true if it succeeds. */
  outside(...command: readonly string[]): boolean;
  /** Runs a command where the link is, with an interface `port-NODE` for each node, and it must succeed. */
  onLink(...command: readonly string[]): string;
  /** Has the node's process do something with its routes (node-child.ts). */
  order(node: string, order: object): Promise<Record<string, unknown>>;
  /** What the node's process has logged. */
  log(node: string): readonly string[];
  /** Starts the node's process, or once more. */
  start(node: string): Promise<void>;
  /** Kills the node's process (SIGKILL). */
  kill(node: string): Promise<void>;
  startBird(node: string): Promise<void>;
  killBird(node: string): Promise<void>;
  birdPid(node: string): number;
  birdc(node: string, ...words: readonly string[]): string;
  /** Where BIRD of the node listens for birdc. */
  socket(node: string): string;
  /** Takes the node off the link, or puts it back; its interface notices nothing. */
  cut(node: string, off: boolean): void;
  /** What `ip -6 route get` says of the address. */
  way(node: string, address: string): string;
  close(): void;
}

export const TABLE = 100;
export const PROTOCOL = 77;
export const numberOf = (node: string): number => node.charCodeAt(0) - 96;
/** The address of a node on the link, or at the end of its tunnels to the others. */
export const addressOf = (node: string): string => `fd99::${numberOf(node)}`;

/** `source`: the program of a node; `outer`: its address on the link, if that is not what BIRD knows it by. */
export async function createNodes(
  name: string,
  names: readonly string[] = ['a', 'b', 'c'],
  source = 'node-child.ts',
  outer = addressOf,
): Promise<Nodes> {
  const own = ownName(name);
  const folder = mkdtempSync(join(tmpdir(), `enf-${name}-`));
  const space = (each: string): string => `enf-${own}-${each}`;
  const lan = space('lan');
  const spaces = [lan, ...names.flatMap((node) => [space(node), space(`d${node}`)])];
  const daemons = new Map<string, ChildProcess>();
  const children = new Map<string, ChildProcess>();
  const waiting = new Map<string, ((answer: Record<string, unknown>) => void)[]>();
  const logs = new Map<string, string[]>(names.map((node) => [node, []]));
  const run = (where: string, command: readonly string[]) =>
    spawnSync('ip', ['netns', 'exec', where, ...command], { encoding: 'utf8' });
  const must = (where: string, ...command: readonly string[]): string => {
    const { status, stdout, stderr } = run(where, command);
    if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr || stdout}`);
    return stdout;
  };
  const ip = (...args: readonly string[]): void => {
    const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
  };
  const ended = (child: ChildProcess): Promise<void> =>
    child.exitCode !== null || child.signalCode !== null
      ? Promise.resolve()
      : new Promise((resolve) => child.once('exit', () => resolve()));
  const close = (): void => {
    for (const child of [...daemons.values(), ...children.values()]) child.kill('SIGKILL');
    for (const each of spaces) spawnSync('ip', ['netns', 'del', each]);
    rmSync(folder, { recursive: true, force: true });
  };

  try {
    for (const each of spaces) {
      ip('netns', 'add', each);
      must(each, 'sysctl', '-qw', 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0');
      must(each, 'ip', 'link', 'set', 'lo', 'up');
    }
    must(lan, 'ip', 'link', 'add', 'br0', 'type', 'bridge');
    must(lan, 'ip', 'link', 'set', 'br0', 'up');
    for (const node of names) {
      const [here, devices] = [space(node), space(`d${node}`)];
      must(here, 'sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1');
      must(lan, 'ip', 'link', 'add', `port-${node}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', here);
      must(lan, 'ip', 'link', 'set', `port-${node}`, 'master', 'br0', 'up');
      must(here, 'ip', 'link', 'set', 'eth0', 'up');
      must(here, 'ip', '-6', 'addr', 'add', `${outer(node)}/64`, 'dev', 'eth0', 'nodad');
      must(here, 'ip', 'link', 'add', 'tun0', 'type', 'veth', 'peer', 'name', 'd0', 'netns', devices);
      must(here, 'ip', 'link', 'set', 'tun0', 'up');
      must(here, 'ip', '-6', 'addr', 'add', 'fe80::1/64', 'dev', 'tun0', 'nodad');
      must(devices, 'ip', 'link', 'set', 'd0', 'up');
      must(devices, 'ip', '-6', 'route', 'add', 'default', 'via', 'fe80::1', 'dev', 'd0');
      mkdirSync(join(folder, node));
      const peers = names
        .filter((each) => each !== node)
        .map((each) => ({ name: each, address: addressOf(each) }));
      const routerId = `10.0.0.${numberOf(node)}`;
      const text = birdConfig({ routerId, as: 64_512, peers, table: TABLE, protocol: PROTOCOL });
      writeFileSync(join(folder, node, 'bird.conf'), patient(text));
    }
    await bundle(new URL(source, import.meta.url), bundled(own));
  } catch (error) {
    close();
    throw error;
  }

  const socket = (node: string): string => join(folder, node, 'bird.ctl');
  const nodes: Nodes = {
    names,
    must: (node, ...command) => must(space(node), ...command),
    try: (node, ...command) => run(space(node), command).status === 0,
    answers: (node, address, does) =>
      void must(
        space(`d${node}`),
        'ip',
        '-6',
        'addr',
        does ? 'add' : 'del',
        `${address}/128`,
        'dev',
        'd0',
        ...(does ? ['nodad'] : []),
      ),
    behind: (node, ...command) => must(space(`d${node}`), ...command),
    tryBehind: (node, ...command) => run(space(`d${node}`), command).status === 0,
    attach(node, link, address) {
      const here = space(node);
      must(here, 'ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'out0', 'netns', lan);
      must(here, 'ip', 'link', 'set', link, 'up');
      must(here, 'ip', '-6', 'addr', 'add', 'fd98::1/64', 'dev', link, 'nodad');
      must(lan, 'ip', 'link', 'set', 'out0', 'up');
      must(lan, 'ip', '-6', 'addr', 'add', 'fd98::2/64', 'dev', 'out0', 'nodad');
      must(lan, 'ip', '-6', 'addr', 'add', `${address}/128`, 'dev', 'lo');
      must(lan, 'ip', '-6', 'route', 'add', 'fd00:1::/64', 'via', 'fd98::1');
    },
    outside: (...command) => run(lan, command).status === 0,
    onLink: (...command) => must(lan, ...command),
    order(node, order) {
      return new Promise((resolve) => {
        waiting.get(node)!.push(resolve);
        children.get(node)!.stdin!.write(`${JSON.stringify(order)}\n`);
      });
    },
    log: (node) => logs.get(node)!,
    async start(node) {
      const command = [
        'netns',
        'exec',
        space(node),
        process.execPath,
        bundled(own),
        'tun0',
        String(TABLE),
        String(PROTOCOL),
      ];
      const child = spawn('ip', command, {
        env: { ...process.env, ENF_ADDON: ADDON },
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      children.set(node, child);
      waiting.set(node, []);
      await new Promise<void>((resolve, reject) => {
        child.once('exit', () => reject(new Error(`the process of ${node} has ended`)));
        createInterface({ input: child.stdout! }).on('line', (line) => {
          const said = JSON.parse(line) as { ready?: true; log?: string; done?: Record<string, unknown> };
          if (said.log !== undefined) logs.get(node)!.push(said.log);
          if (said.ready) resolve();
          if (said.done !== undefined) waiting.get(node)!.shift()!(said.done);
        });
      });
    },
    async kill(node) {
      const child = children.get(node)!;
      child.kill('SIGKILL');
      await ended(child);
    },
    async startBird(node) {
      const command = [
        'netns',
        'exec',
        space(node),
        'bird',
        '-f',
        '-c',
        join(folder, node, 'bird.conf'),
        '-s',
        socket(node),
        '-P',
        join(folder, node, 'pid'),
      ];
      daemons.set(node, spawn('ip', command, { stdio: ['ignore', 'ignore', 'inherit'] }));
    },
    async killBird(node) {
      const child = daemons.get(node)!;
      child.kill('SIGKILL');
      await ended(child);
    },
    birdPid: (node) => daemons.get(node)!.pid!,
    birdc: (node, ...words) => must(space(node), 'birdc', '-s', socket(node), ...words),
    socket,
    cut: (node, off) =>
      void must(lan, 'ip', 'link', 'set', `port-${node}`, ...(off ? ['nomaster'] : ['master', 'br0'])),
    way: (node, address) => must(space(node), 'ip', '-6', 'route', 'get', address).trim(),
    close() {
      close();
      rmSync(bundled(own), { force: true });
    },
  };
  return nodes;
}

/** On a busy machine a process waits longer for its turn than the 300 ms after which BFD gives a node up: here it takes 3 s. */
function patient(config: string): string {
  const [before, after, ...others] = config.split('multiplier 3;');
  if (after === undefined || others.length > 0)
    throw new Error('the configuration does not say when BFD gives up');
  return `${before}multiplier 30;${after}`;
}

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const ADDON = process.env.ENF_ADDON ?? join(ROOT, 'dist/enf.node');
/** Inside the project, so that it finds the packages. */
const bundled = (own: string): string => join(ROOT, '.cache', `node-child-${own}.mjs`);
