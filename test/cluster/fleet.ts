import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { askStatus } from '../../agent/status/client.ts';
import { readTrust } from '../../factory/operations.ts';
import { must, NETWORK, personalised } from '../e2e/batch.ts';
import type { Device } from '../e2e/world.ts';
import { makeBatch } from './credentials.ts';
import type { Order, Said } from './light.ts';
import { LINK, type Place } from './place.ts';

/** An agent, whether it has a process of its own with a TPM, or shares one with others. */
export interface Agent {
  readonly name: string;
  readonly namespace: string;
  /** Which router it has as its first host. */
  readonly first: number;
  /** As it stands now; undefined: not started, or stopped. */
  situation: string | undefined;
  /** Once it has one: of its last handshake, or as its status says. */
  address: string | undefined;
  /** When the router has answered, on each connection, milliseconds since 1970; of one with a process of its own only when that was seen. */
  readonly ups: number[];
  /** When a router has told it that it is not wanted. */
  readonly refusals: { readonly at: number; readonly verdict: string }[];
  /** When a handshake of it has failed, and why. */
  readonly failures: { readonly at: number; readonly code: string }[];
  start(change?: { readonly hosts?: readonly string[]; readonly state?: string }): void;
  stop(): Promise<void>;
}

/** One of many in a process. */
export interface LightAgent extends Agent {
  /** Does the handshake again. */
  renew(): void;
  /** Connects to another host beside its connection. */
  move(): void;
}

/** An address as a handshake has answered it. */
export interface Answer {
  readonly agent: Agent;
  readonly at: number;
  readonly address: string;
}

export interface Fleet {
  readonly light: readonly LightAgent[];
  readonly whole: readonly Agent[];
  readonly all: readonly Agent[];
  readonly answers: readonly Answer[];
  /** SIGKILL for the process of a whole agent, which starts again. */
  killWhole(agent: Agent): Promise<void>;
  close(): void;
}

/** Agents of one process: an identity server takes 64 connections of one address at a time. */
const IN_A_PROCESS = 38;
const LOOK_MS = 200;

/** Makes credentials and TPMs, and admits both batches; no agent runs yet. `light`: the program that runs many of them, as a command line. */
export async function createFleet(
  place: Place,
  counts: { readonly light: number; readonly whole: number },
  light: readonly string[],
): Promise<Fleet> {
  const answers: Answer[] = [];
  const children: ChildProcess[] = [];
  const { world } = place;
  const batch = makeBatch('light', await readTrust(world.trust));
  const label = join(world.folder, 'light.txt');
  writeFileSync(label, batch.label);
  const { fabric } = place.nodes[0]!;
  await must(fabric.run('network', 'add', NETWORK));
  await must(fabric.run('group', 'add', '--label', label, '--network', NETWORK));
  const agents: LightAgent[] = [];
  for (let from = 0; from < counts.light; from += IN_A_PROCESS) {
    const process = 1 + from / IN_A_PROCESS;
    const namespace = place.addHost(`light${process}`, 100 + process);
    const child = spawn('ip', ['netns', 'exec', namespace, ...light], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin!.on('error', () => {});
    children.push(child);
    for (let number = from; number < Math.min(counts.light, from + IN_A_PROCESS); number++) {
      const credential = join(world.folder, `credential-${number}`);
      batch.personalise(credential);
      agents.push(lightAgent({ place, child, namespace, number, credential }));
    }
    createInterface({ input: child.stdout! }).on('line', (line) =>
      hear(JSON.parse(line) as Said, agents, answers),
    );
  }
  const whole: (Agent & { readonly device: Device; end(): void })[] = [];
  if (counts.whole > 0) {
    const group = join(world.folder, 'group');
    await must(world.factory(['group', 'create', '--name', 'Whole', '--basename', 'whole', '--out', group]));
    await must(fabric.run('group', 'add', '--label', join(group, 'label.txt'), '--network', NETWORK));
    for (let number = 1; number <= counts.whole; number++)
      whole.push(wholeAgent(place, await personalised(world, group, number), answers));
  }
  return {
    ...{ light: agents, whole, all: [...agents, ...whole], answers },
    async killWhole(agent) {
      const { device } = whole.find((each) => each === agent)!;
      await device.stop('SIGKILL');
      device.start();
    },
    close() {
      for (const each of whole) each.end();
      for (const child of children) child.kill('SIGKILL');
    },
  };
}

function lightAgent({
  place,
  child,
  namespace,
  number,
  credential,
}: {
  readonly place: Place;
  readonly child: ChildProcess;
  readonly namespace: string;
  readonly number: number;
  readonly credential: string;
}): LightAgent & { stopped?: () => void } {
  const order = (what: Order): void => void child.stdin!.write(`${JSON.stringify(what)}\n`);
  const agent: LightAgent & { stopped?: () => void } = {
    ...{ name: `${number}`, namespace, first: number, ups: [], refusals: [], failures: [] },
    situation: undefined,
    address: undefined,
    start({ hosts = place.hosts(number), state = `state-${number}` } = {}) {
      agent.situation = 'starting';
      const folder = join(place.world.folder, state);
      order({ order: 'start', agent: { number, credential, state: folder, hosts } });
    },
    stop: () =>
      new Promise((resolve) => {
        agent.stopped = () => {
          agent.situation = undefined;
          resolve();
        };
        order({ order: 'stop', number });
      }),
    renew: () => order({ order: 'renew', number }),
    move: () => order({ order: 'move', number }),
  };
  return agent;
}

function hear(
  said: Said,
  agents: readonly (LightAgent & { stopped?: () => void })[],
  answers: Answer[],
): void {
  const agent = agents[said.number]!;
  const { at } = said;
  if (said.kind === 'situation') agent.situation = said.situation;
  else if (said.kind === 'up') agent.ups.push(at);
  else if (said.kind === 'verdict') agent.refusals.push({ at, verdict: said.verdict });
  else if (said.kind === 'failed') agent.failures.push({ at, code: said.code });
  else if (said.kind === 'stopped') agent.stopped?.();
  else if (said.kind === 'address') {
    agent.address = said.address;
    answers.push({ agent, at, address: said.address });
  }
}

/** A program with a TPM, and its status again and again. */
function wholeAgent(
  place: Place,
  device: Device,
  answers: Answer[],
): Agent & { readonly device: Device; end(): void } {
  const socket = join(place.world.folder, `device${device.number}.sock`);
  let looking = false;
  const agent = {
    ...{
      name: `whole ${device.number}`,
      namespace: device.namespace,
      device,
      ups: [],
      refusals: [],
      failures: [],
    },
    first: device.number,
    situation: undefined as string | undefined,
    address: undefined as string | undefined,
    start({ hosts = place.hosts(device.number) }: { hosts?: readonly string[] } = {}) {
      agent.situation = 'starting';
      device.configure({ remote: { hosts }, route: { prefixes: [NETWORK, LINK] }, control: { socket } });
      device.start();
      if (!looking) void look();
    },
    async stop() {
      looking = false;
      await device.stop();
      agent.situation = undefined;
    },
    end() {
      looking = false;
    },
  } satisfies Agent & { device: Device; end(): void };
  const look = async (): Promise<void> => {
    looking = true;
    while (looking) {
      try {
        const { situation, address } = await askStatus(socket);
        if (situation === 'online' && agent.situation !== 'online') (agent.ups as number[]).push(Date.now());
        agent.situation = situation;
        if (address !== null && address !== undefined && address !== agent.address) {
          agent.address = address;
          answers.push({ agent, at: Date.now(), address });
        }
      } catch {
        // It starts, or has been killed.
      }
      await pause(LOOK_MS);
    }
  };
  return agent;
}
