import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { readTrimmed } from '../../os/linux/machine.ts';
import type { Log } from '../../os/service/log.ts';
import { VERSION } from '../../os/service/process.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { BEAT_MS, type NewNode, type Nodes } from '../registry/nodes.ts';
import { ownTurn } from '../registry/turns.ts';

/** What a node is called, and where others reach it. */
export interface NodeIdentity {
  readonly name: string;
  readonly address?: string;
}

/** What a node carries. */
export interface Carrying {
  tunnels(): number;
  /** Says again which tunnels there are: they were taken for ended. */
  recall(): Promise<void>;
}

/** This fabric as one of the nodes of its registry. */
export interface NodeKeeper {
  /** From now on it carries tunnels. */
  carries(carrying: Carrying): void;
  /** Calls `listener` whenever devices are to leave this node, or may stay; at once, too. */
  followDraining(listener: (draining: boolean) => unknown): Promise<void>;
  /** Says that the node stops. */
  close(): Promise<void>;
}

export interface KeepOptions {
  /** The data folder, of which only one process at a time has the control socket. */
  readonly data: string;
  readonly log: Log;
  readonly beatMs?: number;
  /** The load average over a minute. */
  readonly load?: () => number;
}

const NOTHING: Carrying = { tunnels: () => 0, recall: async () => {} };

/** Joins the nodes of a registry, and says every five seconds that it serves. @throws Failure `node.name-in-use`, `node.too-many` */
export async function keepNode(
  registry: Nodes,
  identity: NodeIdentity,
  { data, log, beatMs = BEAT_MS, load = () => loadavg()[0]! }: KeepOptions,
): Promise<NodeKeeper> {
  const joining: NewNode = { ...identity, version: VERSION, installation: await installationAt(data) };
  await registry.join(joining);
  const failed = repeatedLine(log, 'error', { subjects: 1 });
  const ends: (() => void)[] = [failed.close];
  let carrying = NOTHING;
  let closing = false;
  let busy: Promise<void> | undefined;

  async function beat(): Promise<void> {
    const { replaced, wasLost } = await registry.beat({ tunnels: carrying.tunnels(), load: load() });
    if (replaced) await registry.join(joining);
    if (replaced || wasLost) {
      log(
        'warning',
        `node ${identity.name}: the others had to take it for lost; it says again which devices it has`,
      );
      await carrying.recall();
    }
    while (!closing && (await registry.sweepLost())) await ownTurn();
  }

  const timer = setInterval(() => {
    busy ??= beat()
      .catch((error: unknown) =>
        failed('', `node ${identity.name} cannot say that it serves: ${(error as Error).message}`),
      )
      .finally(() => {
        busy = undefined;
      });
  }, beatMs);

  return {
    carries(next) {
      carrying = next;
    },
    async followDraining(listener) {
      let last: boolean | undefined;
      const look = async (): Promise<void> => {
        const draining = (await registry.node(identity.name)).draining !== undefined;
        if (draining === last) return;
        last = draining;
        await listener(draining);
      };
      ends.push(registry.onNodeChange((name) => (name === identity.name ? look() : undefined)));
      await look();
    },
    async close() {
      closing = true;
      clearInterval(timer);
      await busy;
      for (const end of ends) end();
      await registry.leave();
    },
  };
}

/**
 * What is the same whenever the fabric of a data folder is started on this host, and nowhere else: SHA-256 over the host's machine id, as that itself is not
 * to be given to others, and the folder. A host without one is another one at each start.
 */
async function installationAt(data: string): Promise<Uint8Array> {
  const machine = (await readTrimmed('/etc/machine-id')) || `${process.pid} ${performance.timeOrigin}`;
  const hash = createHash('sha256').update(`enf node ${machine} ${await realpath(data)}`);
  return new Uint8Array(hash.digest());
}
