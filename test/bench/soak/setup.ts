import { join } from 'node:path';
import { askControl } from '../../../os/net/control-socket.ts';
import { admit, must, openBatch, personalised } from '../../e2e/batch.ts';
import { eventually, type Running, runIn, startIn } from '../../e2e/process.ts';
import { type Device, ping, type World } from '../../e2e/world.ts';
import { AS_SERVICE } from '../service.ts';
import { compileTool } from '../tunnel/tools.ts';

/** What the agent says of itself, as far as it counts here. */
export interface AgentStatus {
  readonly situation: string;
  readonly handshakes: number;
  readonly traffic: { readonly sentBytes: number; readonly receivedBytes: number } | null;
}

/** A fabric, a device behind it that is online, and traffic between them. */
export interface Setup {
  readonly world: World;
  readonly device: Device;
  readonly address: string;
  readonly agent: Running;
  /** The one that serves now. */
  fabric(): Running;
  /** Stops the fabric's program and starts it again. */
  restartFabric(): Promise<void>;
  status(): Promise<AgentStatus>;
  /** A second of data as fast as it goes, half of it each way. */
  burst(): Promise<void>;
  close(): Promise<void>;
}

const HOST_ADDRESS = 'fd00:e4f:1::1';
const PORT = { steady: '5001', up: '5002', down: '5003' } as const;
const TICK_MS = 50;
const BURST_S = '0.5';

/** @throws Failure, Error with what a program said */
export async function openSetup(mbit: number): Promise<Setup> {
  const { world, group, label } = await openBatch('soak');
  const started: Running[] = [];
  try {
    await admit(world, label);
    const device = await personalised(world, group, 1);
    const socket = join(world.folder, 'agent.sock');
    device.configure({ control: { socket } });
    await world.fabric.stop();
    let fabric = await world.fabric.serve('--host-services', 'tcp/5001-5003');
    const agent = device.start(AS_SERVICE);
    const address = (await device.until('online')).address!;
    await eventually('an answer through the tunnel', () => ping(world.network.fabric, address));

    const [bulk, trickle] = await Promise.all([
      compileTool('bulk', world.folder),
      compileTool('trickle', world.folder),
    ]);
    const log = join(world.folder, 'traffic.log');
    const start = (namespace: string, ...command: readonly string[]): Running => {
      const running = startIn(namespace, command, log);
      started.push(running);
      return running;
    };
    const near = device.namespace;
    const far = world.network.fabric;
    const piece = Math.round((mbit * 1e6 * TICK_MS) / 8e3).toString();
    start(far, trickle, 'serve', PORT.steady);
    start(near, trickle, 'send', HOST_ADDRESS, PORT.steady, piece, String(TICK_MS));
    start(near, 'ping', '-6', '-n', '-q', '-i', '1', HOST_ADDRESS);

    const flow = async (from: string, to: string, at: string, port: string): Promise<void> => {
      const taken = runIn(to, [bulk, 'receive', port, '0', BURST_S]);
      const sent = runIn(from, [bulk, 'send', at, port, BURST_S, 'default']);
      await Promise.all([taken, sent]);
    };
    return {
      world,
      device,
      address,
      agent,
      fabric: () => fabric,
      async restartFabric() {
        await world.fabric.stop();
        fabric = await world.fabric.serve('--host-services', 'tcp/5001-5003');
      },
      status: async () => (await askControl(socket, { method: 'GET', path: '/v1/status' })) as AgentStatus,
      async burst() {
        await flow(near, far, HOST_ADDRESS, PORT.up);
        await flow(far, near, address, PORT.down);
      },
      async close() {
        await Promise.all(started.map((each) => each.stop('SIGKILL')));
        await world.close();
      },
    };
  } catch (error) {
    await Promise.all(started.map((each) => each.stop('SIGKILL')));
    await world.close();
    throw error;
  }
}

/** Something that cuts the tunnel; it is over when the promise resolves. */
export interface Fault {
  readonly what: string;
  /** The fabric's memory begins anew with it, so it comes only while everything is warming up. */
  readonly early: boolean;
  cause(setup: Setup): Promise<void>;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A filter for the router's port in the fabric's namespace for a while. */
async function filtered({ world }: Setup, verdict: string, ms: number): Promise<void> {
  const table = ['inet', 'soak'];
  const chain = '{ type filter hook input priority 0; }';
  const nft = (...args: readonly string[]): Promise<string> =>
    must(runIn(world.network.fabric, ['nft', ...args]));
  await nft('add', 'table', ...table);
  try {
    await nft('add', 'chain', ...table, 'input', chain);
    await nft('add', 'rule', ...table, 'input', 'tcp', 'dport', '443', ...verdict.split(' '));
    await pause(ms);
  } finally {
    await nft('delete', 'table', ...table);
  }
}

/** They take turns in this order. */
export const FAULTS: readonly Fault[] = [
  { what: 'router restarted', early: true, cause: (setup) => setup.restartFabric() },
  {
    what: 'connection killed',
    early: false,
    cause: (setup) => filtered(setup, 'reject with tcp reset', 1_000),
  },
  {
    what: 'link flapped',
    early: false,
    async cause({ device }) {
      const link = (...args: readonly string[]): Promise<string> =>
        must(runIn(device.namespace, ['ip', ...args]));
      await link('link', 'set', 'uplink', 'down');
      await pause(4_000);
      await link('link', 'set', 'uplink', 'up');
    },
  },
  {
    what: 'evicted',
    early: false,
    cause: async ({ world, address }) => void (await must(world.fabric.run('device', 'evict', address))),
  },
  {
    what: 'port closed for 8 s',
    early: false,
    cause: (setup) => filtered(setup, 'reject with tcp reset', 8_000),
  },
  { what: 'silent loss for 40 s', early: false, cause: (setup) => filtered(setup, 'drop', 40_000) },
];
