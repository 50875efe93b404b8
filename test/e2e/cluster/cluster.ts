import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Server, startServer, stopServer } from '../../fabric/registry/postgres/server.ts';
import { must } from '../batch.ts';
import { BRIDGE, FABRIC_ADDRESS, UPLINK } from '../network.ts';
import { eventually, runIn } from '../process.ts';
import { createFabric, createWorld, type Fabric, ping, program, type World } from '../world.ts';

/** A whole fabric on several hosts, which are namespaces: each has a node, BIRD, and the way to one PostgreSQL server, which is a socket. */
export interface Cluster {
  readonly world: World;
  readonly server: Server;
  readonly nodes: readonly Node[];
  node(name: string): Node;
  /** Sets the first node up, and moves its registry to the database server. Returns what the command said. */
  found(): Promise<string>;
  /** Gives the other nodes the keys of the first one, and where the registry is. */
  share(): void;
  /** `remote.hosts` of an agent that tries this node first, and then those behind it, round about. */
  hosts(first: string): readonly string[];
  /** The node that the registry says the device has its tunnel at, asked at node `at`; null without one. */
  carrier(address: string, at: string): Promise<string | null>;
  /** Waits until that is another node than `not`, and returns it. */
  moved(address: string, not: string, at: string): Promise<string>;
  /** What the nodes say of each other, asked at one of them. */
  states(at: string): Promise<readonly NodeState[]>;
  /** Everything is stopped and removed. */
  close(): Promise<void>;
}

export interface Node {
  readonly name: string;
  /** Of its host. */
  readonly namespace: string;
  /** Where agents find it. */
  readonly address: string;
  /** Where the other nodes find it. */
  readonly link: string;
  readonly fabric: Fabric;
  /** The file with the configuration of its fabric. */
  readonly config: string;
  /** Where BIRD listens for birdc. */
  readonly bird: string;
  /** Serves, with BIRD beside it if that does not run yet. */
  serve(): Promise<void>;
  /** Kills the fabric's process, as does whatever ends one at once. BIRD goes on. */
  kill(): Promise<void>;
  /** Waits until a ping from the host is answered; returns its time in milliseconds. */
  reaches(address: string): Promise<number>;
  birdc(...words: readonly string[]): Promise<string>;
}

/** Of `enf-fabric node list --json`, as far as the story needs it. */
export interface NodeState {
  readonly name: string;
  readonly state: string;
  readonly tunnels: number;
}

/** The /64 of the link between the nodes. */
export const LINK = 'fd99::/64';
/** Agents try for as long as it takes, with pauses between. */
const PATIENCE_MS = 90_000;
/** A registry in a file, which `registry move` has left where it was. */
const FORMER_REGISTRY = 'registry.db';

/** Hosts and a database server; no fabric has been set up. `names`: letters, the first of whose node has its keys made there. */
export async function createCluster(name: string, names: readonly string[]): Promise<Cluster> {
  const server = await startServer();
  let world: World;
  try {
    server.sql('postgres', 'CREATE DATABASE enf');
    world = await createWorld(name);
  } catch (error) {
    await stopServer(server);
    throw error;
  }
  const daemons: ChildProcess[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(nodes.map(({ fabric }) => fabric.stop('SIGKILL')));
    for (const daemon of daemons) daemon.kill('SIGKILL');
    await world.close();
    await stopServer(server);
  };
  const nodes: Node[] = [];
  const node = (wanted: string): Node => nodes.find((each) => each.name === wanted)!;
  const carrier = async (address: string, at: string): Promise<string | null> =>
    (await node(at).fabric.json<{ node: string | null }>('device', 'show', address)).node;

  try {
    for (const [i, each] of names.entries())
      nodes.push(await createNode(world, each, i, names, (daemon) => daemons.push(daemon)));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    world,
    server,
    nodes,
    node,
    async found() {
      const { fabric } = nodes[0]!;
      const servers = join(world.folder, 'servers');
      writeFileSync(servers, `${server.url('enf')}\n`, { mode: 0o600 });
      await must(fabric.run('init'));
      return must(fabric.run('registry', 'move', servers));
    },
    share() {
      const [first, ...others] = nodes.map(({ fabric }) => fabric.data);
      for (const data of others) mkdirSync(data, { mode: 0o700 });
      for (const file of readdirSync(first!).filter((each) => !each.startsWith(FORMER_REGISTRY)))
        for (const data of others) copyFileSync(join(first!, file), join(data, file));
    },
    hosts(first) {
      const at = names.indexOf(first);
      return [...nodes.slice(at), ...nodes.slice(0, at)].map(({ address }) => address);
    },
    carrier,
    moved: (address, not, at) =>
      eventually(
        `the tunnel of ${address} to be elsewhere than at ${not}`,
        async () => {
          const now = await carrier(address, at);
          return now === null || now === not ? undefined : now;
        },
        PATIENCE_MS,
      ),
    states: (at) => node(at).fabric.json('node', 'list'),
    close,
  };
}

async function createNode(
  world: World,
  name: string,
  i: number,
  names: readonly string[],
  started: (daemon: ChildProcess) => unknown,
): Promise<Node> {
  const isFirst = i === 0;
  const address = isFirst ? FABRIC_ADDRESS : `10.77.0.${1 + i}`;
  const namespace = isFirst ? world.network.fabric : world.network.addHost(name, address);
  const fabric = isFirst ? world.fabric : createFabric(world.folder, namespace, name);
  const inside = (...command: readonly string[]): Promise<string> => must(runIn(namespace, command));
  const link = (of: string): string => `fd99::${1 + names.indexOf(of)}`;
  await inside('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1');
  await inside('ip', 'addr', 'add', `${link(name)}/64`, 'dev', isFirst ? BRIDGE : UPLINK, 'nodad');

  const config = join(world.folder, `${name}.toml`);
  const peers = names.filter((each) => each !== name).flatMap((each) => ['--peer', `${each}=${link(each)}`]);
  const folder = join(world.folder, `bird-${name}`);
  const socket = join(folder, 'bird.ctl');
  mkdirSync(folder);
  writeFileSync(
    config,
    `[node]\nname = "${name}"\naddress = "${link(name)}"\n\n[routes]\ninstall = true\nbird-socket = "${socket}"\n`,
  );
  let daemon: ChildProcess | undefined;
  async function startBird(): Promise<void> {
    const routerId = ['--router-id', `10.0.0.${1 + i}`];
    const file = join(folder, 'bird.conf');
    const words = ['bgp', 'config', '--config', config, ...routerId, ...peers];
    const text = await inside(...program('fabric'), ...words);
    writeFileSync(file, text);
    const command = ['bird', '-f', '-c', file, '-s', socket, '-P', join(folder, 'pid')];
    daemon = spawn('ip', ['netns', 'exec', namespace, ...command], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    started(daemon);
  }
  return {
    name,
    namespace,
    address,
    link: link(name),
    fabric,
    config,
    bird: socket,
    async serve() {
      if (daemon === undefined) await startBird();
      await fabric.serve('--config', config);
    },
    kill: () => fabric.stop('SIGKILL'),
    reaches: (device) =>
      eventually(`${device} to answer node ${name}`, () => ping(namespace, device), PATIENCE_MS),
    birdc: (...words) => inside('birdc', '-s', socket, ...words),
  };
}
