import { loadavg } from 'node:os';
import type { Log } from '../../os/service/log.ts';
import { VERSION } from '../../os/service/process.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { type Failure, isFailure } from '../../protocol/failure.ts';
import { BEAT_MS, LOST_MS, type NewNode, type Nodes } from '../registry/nodes.ts';
import { eachRow } from '../registry/pages.ts';
import { ownTurn } from '../registry/turns.ts';
import { installationAt } from './installation.ts';
import { judgeRoutes, LOOK_MS, REACHED } from './routes.ts';

/** What a node is called, and where others reach it. */
export interface NodeIdentity {
  readonly name: string;
  readonly address?: string;
}

/** Why devices are to leave a node: somebody has said so, or no other node learns which devices it has. */
export type Leaving = 'drain' | 'routes-lost';

/** This fabric as one of the nodes of its registry. */
export interface NodeKeeper {
  /** From now on it carries tunnels: so many. */
  carries(tunnels: () => number): void;
  /** Calls `listener` whenever devices are to leave this node, or may stay (undefined); at once, too. */
  followLeaving(listener: (why: Leaving | undefined) => unknown): Promise<void>;
  /** From now on asks every two seconds whether no other node learns of the routes here: the others hear of it, and devices leave while another node is better off. */
  watchRoutes(lost: () => Promise<boolean>): void;
  /** Says that the node stops. */
  close(): Promise<void>;
}

export interface KeepOptions {
  /** The data folder, of which only one process at a time has the control socket. */
  readonly data: string;
  readonly log: Log;
  /** Another process has taken the name, as it may of a node that is lost, and serves: this one says nothing more, and has to end. Called once. */
  readonly onNameTaken: (failure: Failure) => void;
  /** Called each time that the registry has taken that this node serves. */
  readonly onBeat?: () => void;
  readonly beatMs?: number;
  readonly lookMs?: number;
  /** Monotonic, in milliseconds. */
  readonly clock?: () => number;
  /** The load average over a minute. */
  readonly load?: () => number;
}

/** Joins the nodes of a registry, and says every five seconds that it serves, whatever else there is to do. @throws Failure `node.name-in-use`, `node.too-many` */
export async function keepNode(
  registry: Nodes,
  identity: NodeIdentity,
  options: KeepOptions,
): Promise<NodeKeeper> {
  const { data, log, beatMs = BEAT_MS, lookMs = LOOK_MS, load = () => loadavg()[0]! } = options;
  const { clock = () => performance.now() } = options;
  const joining: NewNode = { ...identity, version: VERSION, installation: await installationAt(data) };
  await registry.join(joining);
  const failed = repeatedLine(log, 'error', { subjects: 1 });
  const ends: (() => void)[] = [failed.close];
  let tunnels = (): number => 0;
  let closing = false;
  let taken = false;
  let busy: Promise<void> | undefined;
  let sweeping: Promise<void> | undefined;
  /** Until then others may not have said that they serve, by `clock`. */
  let unheardUntil = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;
  let lookTimer: ReturnType<typeof setInterval> | undefined;
  let routes = REACHED;
  /** By the clock of the host, as the others see it. */
  let routesLost: number | undefined;
  let draining = false;
  let last: { readonly why: Leaving | undefined } | undefined;
  let listener: (why: Leaving | undefined) => unknown = () => {};

  async function beat(): Promise<void> {
    const { replaced, wasLost } = await registry.beat({
      ...{ tunnels: tunnels(), load: load() },
      ...(routesLost !== undefined && { routesLost }),
    });
    options.onBeat?.();
    if (replaced && !(await joinAgain())) return;
    if (replaced || wasLost) {
      log(
        'warning',
        `node ${identity.name}: the others had to take it for lost; it says again which devices it has`,
      );
      // If the registry was away, or its clock was set, so it was for the others.
      unheardUntil = clock() + LOST_MS;
    }
    sweep();
  }

  /** False: the name is another process's. */
  async function joinAgain(): Promise<boolean> {
    try {
      await registry.join(joining);
      return true;
    } catch (error) {
      if (!isFailure(error, 'node.name-in-use')) throw error;
      taken = true;
      clearInterval(timer);
      log('error', `node ${identity.name} ends: it was lost, and another process has its name now`);
      options.onNameTaken(error);
      return false;
    }
  }

  /** Has what lost nodes have left ended, which takes a while, if that is for this one to do. */
  function sweep(): void {
    if (closing || clock() < unheardUntil) return;
    sweeping ??= sweepAll()
      .catch((error: unknown) =>
        failed(
          '',
          `node ${identity.name} cannot end what lost nodes have left: ${(error as Error).message}`,
          error,
        ),
      )
      .finally(() => {
        sweeping = undefined;
      });
  }

  async function sweepAll(): Promise<void> {
    while (!closing && (await registry.sweepLost())) await ownTurn();
  }

  /** Tells whoever follows why devices are to leave, if that has changed. */
  async function tell(): Promise<void> {
    const why = draining ? 'drain' : routes.leaving ? 'routes-lost' : undefined;
    if (last !== undefined && last.why === why) return;
    last = { why };
    await listener(why);
  }

  async function isElsewhere(): Promise<boolean> {
    for await (const { name, state, serves } of eachRow(registry.nodes))
      if (name !== identity.name && state === 'serving' && serves.includes('tunnels')) return true;
    return false;
  }

  async function look(isLost: () => Promise<boolean>): Promise<void> {
    const lost = await isLost();
    if (lost !== routes.lost) {
      routesLost = lost ? Date.now() : undefined;
      log(
        lost ? 'warning' : 'notice',
        lost ? 'no other node learns which devices are here' : 'other nodes learn which devices are here',
      );
      routes = judgeRoutes(routes, { lost, elsewhere: routes.leaving }, clock());
      // Before anybody decides by it: nodes that have lost each other should know that of all of them.
      await busy;
      await say();
    }
    const elsewhere = (lost || routes.leaving) && (await isElsewhere());
    routes = judgeRoutes(routes, { lost, elsewhere }, clock());
    if (last !== undefined) await tell();
  }

  const say = async (): Promise<void> => {
    if (taken) return;
    busy ??= beat()
      .catch((error: unknown) =>
        failed('', `node ${identity.name} cannot say that it serves: ${(error as Error).message}`, error),
      )
      .finally(() => {
        busy = undefined;
      });
    await busy;
  };
  const timer = setInterval(() => void say(), beatMs);

  return {
    carries(next) {
      tunnels = next;
    },
    async followLeaving(follower) {
      listener = follower;
      const read = async (): Promise<void> => {
        draining = (await registry.node(identity.name)).draining !== undefined;
        await tell();
      };
      ends.push(registry.onNodeChange((name) => (name === identity.name ? read() : undefined)));
      await read();
    },
    watchRoutes(lost) {
      lookTimer = setInterval(() => {
        looking ??= look(lost)
          .catch((error: unknown) =>
            failed(
              '',
              `node ${identity.name} cannot look after its routes: ${(error as Error).message}`,
              error,
            ),
          )
          .finally(() => {
            looking = undefined;
          });
      }, lookMs);
    },
    async close() {
      closing = true;
      clearInterval(timer);
      clearInterval(lookTimer);
      await looking;
      await busy;
      await sweeping;
      for (const end of ends) end();
      await registry.leave();
    },
  };
}
