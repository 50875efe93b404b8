import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { askRunning } from '../../fabric/operations/running.ts';
import { pathOf } from '../../fabric/pki/files.ts';
import { must } from '../e2e/batch.ts';
import { eventually, type Running, runIn } from '../e2e/process.ts';
import { createFabric, createWorld, type Fabric, program, type World } from '../e2e/world.ts';
import type { Server } from '../fabric/registry/postgres/server.ts';
import { ownName } from '../namespaces.ts';
import { type Databases, startDatabases } from './databases.ts';

/** Hosts of a fabric, in namespaces: three with routers, two with identity servers, two with PostgreSQL. Each link can be cut alone. */
export interface Place {
  readonly world: World;
  readonly databases: Databases;
  readonly nodes: readonly Node[];
  node(name: string): Node;
  /** Nodes with a router. */
  readonly routers: readonly Node[];
  /** Nodes with an identity server. */
  readonly identities: readonly Node[];
  /** `remote.hosts` of an agent: the routers, beginning with this one, and the hosts of identity servers behind them. */
  hosts(first: number): readonly string[];
  /** Where agents find a node. */
  addressOf(node: Node): string;
  /** As `Node.cut`, for the link between a database server and everybody who asks it, the other one included. */
  cutServer(server: Server, off: boolean): Promise<void>;
  /** A namespace for agents at `10.77.0.<last>`. */
  addHost(name: string, last: number): string;
  close(): Promise<void>;
}

export interface Node {
  readonly name: string;
  readonly duty: Duty;
  readonly namespace: string;
  readonly fabric: Fabric;
  /** Its address on the link between routers. */
  readonly link: string;
  /** Starts what does not run: BIRD at a router, and the fabric. */
  start(): Promise<void>;
  /** SIGKILL. */
  killFabric(): Promise<void>;
  /** SIGKILL for a process in which handshakes are computed; false if there is none. */
  killWorker(): boolean;
  killBird(): Promise<void>;
  startBird(): void;
  /** How many BGP sessions are established. */
  sessions(): Promise<number>;
  /** Takes its port out of a switch, or puts it back. The host itself sees its carrier all the while. */
  cut(link: Link, off: boolean): Promise<void>;
  /** Asks the running fabric for an operation. */
  ask<T>(operation: string, input: object): Promise<T>;
}

/** `devices`: where agents come from; `routers`: what BIRD carries; `database`: to PostgreSQL. */
export type Link = 'devices' | 'routers' | 'database';
export type Duty = 'router' | 'identity';

/** What each node is there for. */
const DUTIES: Readonly<Record<string, Duty>> = {
  a: 'router',
  b: 'router',
  c: 'router',
  d: 'identity',
  e: 'identity',
};
/** In the configuration of a node. Routers lead in what one of all nodes does for the registry. */
const sectionsOf = (duty: Duty, birdSocket: string): string =>
  duty === 'router'
    ? `serves = ["tunnels", "console"]\n\n[routes]\ninstall = true\nbird-socket = "${birdSocket}"\n\n[host]\nservices = ["icmp"]\n`
    : 'serves = ["identity"]\n\n[identity]\nprocesses = 2\n';
/** Hosts of the database. */
const SERVERS = ['db1', 'db2'] as const;
export const TABLE = 100;
/** The /64 of the link between routers. */
export const LINK = 'fd99::/64';
const FORMER_REGISTRY = 'registry.db';
const PORTS: Readonly<Record<Link, string>> = { devices: 'port', routers: 'between', database: 'db' };
const BRIDGES: Readonly<Record<Link, string>> = { devices: 'bridge0', routers: 'links', database: 'dbs' };

/** Hosts, links and the database servers, and a first node whose registry is there; nothing of the fabric runs. */
export async function createPlace(): Promise<Place> {
  const world = await createWorld(ownName('whole'));
  const switches = world.network.fabric;
  const daemons = new Set<ChildProcess>();
  const nodes: Node[] = [];
  let databases: Databases | undefined;
  const inside = (where: string, ...command: readonly string[]): Promise<string> =>
    must(runIn(where, command));
  const connect = async (host: string, link: Link, name: string, address: string): Promise<void> => {
    const port = `${PORTS[link]}-${name}`;
    const own = PORTS[link];
    await inside(switches, 'ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', own, 'netns', host);
    await inside(switches, 'ip', 'link', 'set', port, 'master', BRIDGES[link], 'up');
    await inside(host, 'ip', 'link', 'set', own, 'up');
    const no = address.includes(':') ? ['nodad'] : [];
    await inside(host, 'ip', 'addr', 'add', address, 'dev', own, ...no);
  };
  const close = async (): Promise<void> => {
    await Promise.all(nodes.map(({ fabric }) => fabric.stop('SIGKILL')));
    for (const daemon of daemons) daemon.kill('SIGKILL');
    await databases?.close();
    await world.close();
  };

  try {
    for (const bridge of [BRIDGES.routers, BRIDGES.database]) {
      await inside(switches, 'ip', 'link', 'add', bridge, 'type', 'bridge');
      await inside(switches, 'ip', 'link', 'set', bridge, 'up');
    }
    const servers = SERVERS.map((name, i) => ({
      namespace: world.network.addHost(name, `10.77.0.${200 + i}`),
      address: `10.78.0.${200 + i}`,
    }));
    for (const [i, { namespace, address }] of servers.entries())
      await connect(namespace, 'database', SERVERS[i]!, `${address}/24`);
    databases = await startDatabases([servers[0]!, servers[1]!]);
    for (const [i, [name, duty]] of Object.entries(DUTIES).entries()) {
      const namespace = world.network.addHost(name, `10.77.0.${2 + i}`);
      await connect(namespace, 'routers', name, `fd99::${1 + i}/64`);
      await connect(namespace, 'database', name, `10.78.0.${1 + i}/24`);
      nodes.push(await createNode(world, { name, duty, namespace, number: 1 + i }, daemons));
    }
    await found(world, nodes, databases);
  } catch (error) {
    await close();
    throw error;
  }
  const routers = nodes.filter(({ duty }) => duty === 'router');
  const identities = nodes.filter(({ duty }) => duty === 'identity');
  const addressOf = (each: Node): string => `10.77.0.${2 + nodes.indexOf(each)}`;
  const turned = (list: readonly Node[], by: number): readonly Node[] =>
    list.map((_, i) => list[(i + by) % list.length]!);
  return {
    ...{ world, databases, nodes, routers, identities, addressOf, close },
    node: (name) => nodes.find((each) => each.name === name)!,
    hosts: (first) => [...turned(routers, first), ...turned(identities, first)].map(addressOf),
    cutServer: ({ host }, off) =>
      cutPort(world, 'database', SERVERS.find((name) => host!.namespace.endsWith(name))!, off),
    addHost: (name, last) => world.network.addHost(name, `10.77.0.${last}`),
  };
}

async function cutPort(world: World, link: Link, host: string, off: boolean): Promise<void> {
  const port = `${PORTS[link]}-${host}`;
  const place = off ? ['nomaster'] : ['master', BRIDGES[link]];
  await must(runIn(world.network.fabric, ['ip', 'link', 'set', port, ...place]));
}

/** Makes keys and the registry, which moves to the servers, and gives all nodes the same. */
async function found(world: World, nodes: readonly Node[], databases: Databases): Promise<void> {
  const [first, ...others] = nodes;
  const servers = join(world.folder, 'servers');
  writeFileSync(servers, `${databases.urls.join('\n')}\n`, { mode: 0o600 });
  await must(first!.fabric.run('init'));
  await must(first!.fabric.run('registry', 'move', servers));
  const from = first!.fabric.data;
  for (const { fabric } of others) {
    mkdirSync(fabric.data, { mode: 0o700 });
    for (const file of readdirSync(from).filter((each) => !each.startsWith(FORMER_REGISTRY)))
      copyFileSync(join(from, file), join(fabric.data, file));
  }
}

async function createNode(
  world: World,
  { name, duty, namespace, number }: { name: string; duty: Duty; namespace: string; number: number },
  daemons: Set<ChildProcess>,
): Promise<Node> {
  // The world knows of the trust bundle of the first one.
  const fabric = createFabric(world.folder, namespace, number === 1 ? 'fabric' : name);
  const link = `fd99::${number}`;
  const folder = join(world.folder, `bird-${name}`);
  const [birdConfig, socket] = [join(folder, 'bird.conf'), join(folder, 'bird.ctl')];
  mkdirSync(folder);
  const config = join(world.folder, `${name}.toml`);
  writeFileSync(config, `[node]\nname = "${name}"\naddress = "${link}"\n${sectionsOf(duty, socket)}`);
  await must(runIn(namespace, ['sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1']));
  if (duty === 'router') {
    const peers = Object.entries(DUTIES).flatMap(([peer, is], i) =>
      is === 'router' && peer !== name ? ['--peer', `${peer}=fd99::${1 + i}`] : [],
    );
    const words = ['bgp', 'config', '--config', config, '--router-id', `10.0.0.${number}`, ...peers];
    writeFileSync(birdConfig, await must(runIn(namespace, [...program('fabric'), ...words])));
  }
  let bird: ChildProcess | undefined;
  let running: Running | undefined;
  const startBird = (): void => {
    const command = ['bird', '-f', '-c', birdConfig, '-s', socket, '-P', join(folder, 'pid')];
    bird = spawn('ip', ['netns', 'exec', namespace, ...command], { stdio: ['ignore', 'ignore', 'inherit'] });
    daemons.add(bird);
  };
  return {
    ...{ name, duty, namespace, fabric, link, startBird },
    async start() {
      if (duty === 'router' && bird === undefined) startBird();
      running = await fabric.serve('--config', config);
    },
    killFabric: () => fabric.stop('SIGKILL'),
    killWorker() {
      const worker = childrenOf(running!.pid).find((pid) => commandOf(pid).includes('identity-process'));
      if (worker !== undefined) process.kill(worker, 'SIGKILL');
      return worker !== undefined;
    },
    async killBird() {
      const killed = bird!;
      bird = undefined;
      daemons.delete(killed);
      const ended = new Promise((resolve) => killed.once('exit', resolve));
      killed.kill('SIGKILL');
      await ended;
    },
    async sessions() {
      const { stdout } = await runIn(namespace, ['birdc', '-s', socket, 'show', 'protocols']);
      return stdout.match(/\bBGP\b.*\bEstablished\b/g)?.length ?? 0;
    },
    cut: (which, off) => cutPort(world, which, name, off),
    async ask<T>(operation: string, input: object) {
      const reply = await askRunning(pathOf(fabric.data, 'control'), operation, { actor: 'operator', input });
      if (reply === undefined) throw new Error(`node ${name} does not serve`);
      return reply.view as T;
    },
  };
}

const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}

/** Waits until each router has a BGP session with every other. */
export const meshed = ({ routers }: Place): Promise<true> =>
  eventually('all BGP sessions', async () => {
    const counts = await Promise.all(routers.map((each) => each.sessions()));
    return counts.every((count) => count === routers.length - 1) || undefined;
  });
