import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Swtpm, startSwtpm } from '../../swtpm/swtpm.ts';
import { createNetwork, FABRIC_ADDRESS, type Network } from './network.ts';
import { eventually, type Outcome, type Running, runIn, startIn } from './process.ts';

const DIST = fileURLToPath(new URL(import.meta.url.endsWith('.mjs') ? '.' : '../../dist/', import.meta.url));

/** The command line of one of our programs, as built into dist/. */
export function program(name: 'agent' | 'factory' | 'fabric'): readonly string[] {
  return [process.execPath, join(DIST, `enf-${name}.mjs`)];
}

/** What `enf-agent status --json` says, as far as the story needs it. */
export interface AgentStatus {
  readonly version: string;
  readonly situation: string;
  readonly router: string | null;
  readonly wire: string | null;
  readonly longestPause: number | null;
  readonly address: string | null;
  readonly trouble: { readonly code: string } | null;
}

/** A row of `enf-fabric audit --handshakes --json`. */
export interface Handshake {
  readonly source: string;
  readonly suite: number | null;
  readonly gid: string | null;
  readonly pseudonym: string | null;
  readonly result: string;
  readonly address: string | null;
}

/** A fabric and devices in network namespaces, driven only through the programs' command lines. */
export interface World {
  readonly folder: string;
  readonly network: Network;
  readonly fabric: Fabric;
  readonly trust: string;
  device(n: number): Promise<Device>;
  /** Runs enf-factory in the fabric's namespace, or in device n's, where its TPM is. */
  factory(args: readonly string[], deviceNumber?: number): Promise<Outcome>;
  /** Everything is stopped and removed; safe to call twice. */
  close(): Promise<void>;
}

export interface Fabric {
  readonly data: string;
  /** Runs enf-fabric and parses its `--json` answer. @throws Error with what it said if it failed */
  json<T>(...args: readonly string[]): Promise<T>;
  run(...args: readonly string[]): Promise<Outcome>;
  /** All handshakes so far, good and refused, oldest first. */
  handshakes(): Promise<Handshake[]>;
  serve(...extra: readonly string[]): Promise<Running>;
  /** Serves the console to the browsers of this host, on a free port unless given; returns its origin. */
  serveConsole(port?: number): Promise<string>;
  stopConsole(signal?: NodeJS.Signals): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface Device {
  readonly number: number;
  readonly namespace: string;
  readonly tpm: Swtpm;
  /** The TPM loses power (SIGKILL) and starts again with what it had stored. */
  powerCut(): Promise<void>;
  readonly state: string;
  readonly config: string;
  configure(sections?: Record<string, Record<string, unknown>>): void;
  start(options?: {
    environment?: Record<string, string>;
    prefix?: readonly string[];
    /** Options of Node itself. */
    node?: readonly string[];
  }): Running;
  agent(...args: readonly string[]): Promise<Outcome>;
  status(): Promise<AgentStatus>;
  /** Waits for a situation and returns the status that has it. */
  until(situation: string, timeoutMs?: number): Promise<AgentStatus>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export async function createWorld(name: string): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), `enf-${name}-`));
  const network = createNetwork(name);
  const devices = new Map<number, Device>();
  const fabric = createFabric(folder, network.fabric);
  return {
    folder,
    network,
    fabric,
    trust: join(fabric.data, 'trust.json'),
    async device(n) {
      const known = devices.get(n);
      if (known) return known;
      network.addDevice(n);
      const device = await createDevice(folder, network.device(n), n);
      devices.set(n, device);
      return device;
    },
    factory: (args, n) =>
      runIn(n === undefined ? network.fabric : network.device(n), [...program('factory'), ...args]),
    async close() {
      for (const device of devices.values()) {
        await device.stop('SIGKILL');
        await device.tpm.stop();
      }
      devices.clear();
      await fabric.stop('SIGKILL');
      network.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A fabric in a namespace; `name` is that of its data and its log in the folder. */
export function createFabric(folder: string, namespace: string, name = 'fabric'): Fabric {
  const data = join(folder, name);
  let server: Running | undefined;
  let pages: Running | undefined;
  const run = (...args: readonly string[]): Promise<Outcome> =>
    runIn(namespace, [...program('fabric'), ...args, '--data', data]);
  const json = async <T>(...args: readonly string[]): Promise<T> => {
    const { code, stdout, stderr } = await run(...args, '--json');
    if (code !== 0) throw new Error(`enf-fabric ${args.join(' ')}: exit ${code}: ${stderr}`);
    return JSON.parse(stdout);
  };
  return {
    data,
    run,
    json,
    handshakes: () => json('audit', '--handshakes', '--limit', '9999'),
    async serve(...extra) {
      server = startIn(
        namespace,
        [...program('fabric'), 'serve', '--data', data, ...extra],
        join(folder, `${name}.log`),
      );
      const running = server;
      await eventually('the fabric to serve', async () =>
        running.output().includes('\n') ? true : undefined,
      );
      return running;
    },
    async serveConsole(port = 0) {
      const command = [
        ...program('fabric'),
        'console',
        'serve',
        '--json',
        '--data',
        data,
        '--listen',
        `[::1]:${port}`,
      ];
      const running = startIn(undefined, command, join(folder, 'console.log'));
      pages = running;
      const said = await eventually('the console to serve', async () =>
        running.output().includes('}') ? running.output() : undefined,
      );
      return `http://localhost:${new URL(JSON.parse(said).ready.api).port}`;
    },
    async stopConsole(signal = 'SIGTERM') {
      await pages?.stop(signal);
      pages = undefined;
    },
    async stop(signal = 'SIGTERM') {
      await Promise.all([server?.stop(signal), pages?.stop(signal)]);
      [server, pages] = [undefined, undefined];
    },
  };
}

async function createDevice(folder: string, namespace: string, number: number): Promise<Device> {
  const home = join(folder, `device${number}`);
  const powerUp = (): Promise<Swtpm> => startSwtpm({ state: join(folder, `tpm${number}`), namespace });
  let tpm = await powerUp();
  const state = join(home, 'state');
  const config = join(folder, `device${number}.toml`);
  const socket = join(home, 'run', 'control.sock');
  let running: Running | undefined;
  const agent = (...args: readonly string[]): Promise<Outcome> =>
    runIn(namespace, [...program('agent'), ...args, '--config', config]);
  const status = async (): Promise<AgentStatus> => {
    const { code, stdout, stderr } = await agent('status', '--json');
    if (code !== 0) throw new Error(`enf-agent status: exit ${code}: ${stderr}`);
    return JSON.parse(stdout);
  };
  const device: Device = {
    number,
    namespace,
    get tpm() {
      return tpm;
    },
    async powerCut() {
      await tpm.kill();
      tpm = await powerUp();
    },
    state,
    config,
    agent,
    status,
    configure(sections = {}) {
      const all: Record<string, Record<string, unknown>> = {
        ...sections,
        // Where tests name several hosts, they say which one comes first.
        remote: { hosts: [FABRIC_ADDRESS], order: 'listed', ...sections.remote },
        tpm: { tcti: tpm.tcti, ...sections.tpm },
        state: { directory: state, ...sections.state },
        control: { socket, ...sections.control },
      };
      // Every TOML value used here is written the same way in JSON.
      const text = Object.entries(all).map(([section, keys]) =>
        [
          `[${section}]`,
          ...Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
        ].join('\n'),
      );
      writeFileSync(config, `${text.join('\n\n')}\n`);
    },
    start(options = {}) {
      const [node, bundle] = program('agent');
      running = startIn(
        namespace,
        [...(options.prefix ?? []), node!, ...(options.node ?? []), bundle!, 'run', '--config', config],
        join(folder, `device${number}.log`),
        options.environment,
      );
      return running;
    },
    until: (situation, timeoutMs) =>
      eventually(
        `device ${number} to be ${situation}`,
        async () => {
          const now = await status();
          return now.situation === situation ? now : undefined;
        },
        timeoutMs,
      ),
    async stop(signal = 'SIGTERM') {
      await running?.stop(signal);
      running = undefined;
    },
  };
  device.configure();
  return device;
}

/** One ping from a namespace; the round-trip time in milliseconds, or undefined if nothing came back. */
export async function ping(namespace: string, address: string): Promise<number | undefined> {
  const { code, stdout } = await runIn(namespace, ['ping', '-6', '-n', '-c', '1', '-W', '2', address]);
  const time = /time=([\d.]+) ms/.exec(stdout)?.[1];
  return code === 0 && time !== undefined ? Number(time) : undefined;
}
