import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../e2e/process.ts';
import { meshed } from './place.ts';
import {
  at,
  back,
  online,
  PATIENCE_MS,
  remember,
  renewals,
  type Scene,
  undisturbed,
  unharmed,
} from './scene.ts';
import { type Check, type Row, seconds } from './table.ts';

/** Each kind of process is killed by SIGKILL, and starts again as its unit would have it. */

/** Renewals in a second. */
const HANDSHAKES = 4;
/** Until a unit starts its program again. */
const RESTART_MS = 2_000;
/** What there is to be seen of a loss. */
const LOOK_MS = 4_000;

export async function killWorker(scene: Scene): Promise<Row> {
  const node = scene.place.identities[0]!;
  const before = remember(scene);
  const asking = renewals(scene, HANDSHAKES);
  await pause(1_000);
  if (!node.killWorker()) throw new Error('there is no process in which handshakes are computed');
  const handshakes = await asking.stop(Date.now());
  return {
    done: `kill -9: a process of identity server ${node.name} that computes handshakes`,
    checks: [handshakes, await undisturbed(scene, before)],
  };
}

export async function killIdentity(scene: Scene): Promise<Row> {
  const node = scene.place.identities[0]!;
  const before = remember(scene);
  const asking = renewals(scene, HANDSHAKES);
  await pause(1_000);
  await node.killFabric();
  const handshakes = await asking.stop(Date.now());
  await node.start();
  return {
    done: `kill -9: identity server ${node.name}`,
    checks: [handshakes, await undisturbed(scene, before)],
  };
}

export async function killRouter(scene: Scene): Promise<Row> {
  const node = scene.place.node('a');
  const before = remember(scene);
  const lost = at(before, node.name);
  await node.killFabric();
  await pause(RESTART_MS);
  await node.start();
  const tunnels = await back(scene, before, lost, node);
  return {
    done: `kill -9: the fabric of router ${node.name}`,
    checks: [tunnels, await undisturbed(scene, before, lost)],
  };
}

export async function killBird(scene: Scene): Promise<Row> {
  const { place } = scene;
  const node = place.node('b');
  const before = remember(scene);
  await node.killBird();
  await pause(RESTART_MS);
  node.startBird();
  const started = Date.now();
  await meshed(place);
  const reached = await reachedAgain(scene, started);
  return {
    done: `kill -9: BIRD of router ${node.name}, started again after ${seconds(RESTART_MS)}`,
    checks: [reached, ...(await unharmed(scene, before, node))],
  };
}

/** How long it takes until no ping is lost any more. */
export async function reachedAgain({ pings }: Scene, since: number): Promise<Check> {
  const quiet = 5_000;
  const last = (): number => Math.max(since, ...pings.lost.map(({ at }) => at));
  await eventually(
    'no ping to be lost any more',
    async () => Date.now() - last() > quiet || undefined,
    PATIENCE_MS,
  );
  const after = last() - since;
  return {
    must: 'everybody reaches everybody within 10 s',
    measured: `the last ping is lost after ${seconds(after)}`,
    holds: after <= 10_000,
  };
}

export async function killStandby(scene: Scene): Promise<Row> {
  const { databases } = scene.place;
  const before = remember(scene);
  const asking = renewals(scene, HANDSHAKES);
  await pause(1_000);
  await databases.standby().kill('SIGKILL');
  await pause(LOOK_MS);
  await databases.standby().start();
  const handshakes = await asking.stop(Date.now());
  return {
    done: `kill -9: the standby of PostgreSQL, for which each commit waits; back after ${seconds(LOOK_MS)}`,
    checks: [handshakes, await undisturbed(scene, before)],
  };
}

export async function failOver(scene: Scene): Promise<Row> {
  const { place, late } = scene;
  const { databases } = place;
  const before = remember(scene);
  const asking = renewals(scene, HANDSHAKES);
  await pause(1_000);
  await databases.primary().kill('SIGKILL');
  for (const agent of late) agent.start();
  await pause(LOOK_MS);
  databases.promote();
  const promoted = Date.now();
  const handshakes = await asking.stop(promoted);
  await online(late);
  const last = Math.max(...late.map(({ ups }) => ups[0]!)) - promoted;
  const quiet = await undisturbed(scene, before);
  await databases.rebuild();
  return {
    done: `kill -9: the primary of PostgreSQL, while handshakes go on and ${late.length} devices boot for the first time; the standby is promoted after ${seconds(LOOK_MS)}`,
    checks: [
      handshakes,
      { must: 'new devices come in', measured: `the last one after ${seconds(last)}`, holds: true },
      quiet,
    ],
  };
}

export async function killAgent(scene: Scene): Promise<Row> {
  const { fleet } = scene;
  const agent = fleet.whole[0]!;
  const before = remember(scene);
  const { address } = agent;
  const killed = Date.now();
  await fleet.killWhole(agent);
  await eventually('the agent to be online again', async () => {
    const session = scene.routes.sessions.get(address!);
    return (session !== undefined && session.at > killed) || undefined;
  });
  await online([agent]);
  const after = scene.routes.sessions.get(address!)!.at - killed;
  return {
    done: 'kill -9: an agent, started again',
    checks: [
      {
        must: 'it is back with its address',
        measured: `after ${seconds(after)}`,
        holds: agent.address === address,
      },
      await undisturbed(scene, before, new Set([address!])),
    ],
  };
}
