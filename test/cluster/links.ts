import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../e2e/process.ts';
import type { Node } from './place.ts';
import { meshed } from './place.ts';
import { reachedAgain } from './processes.ts';
import { at, back, PATIENCE_MS, remember, renewals, type Scene, undisturbed, unharmed } from './scene.ts';
import { type Check, type Row, seconds } from './table.ts';

/** Links are cut without that their ends see it, and mended. */

const CUT_MS = 10_000;
const SERVES_MS = 10_000;
const HANDSHAKES = 4;

export async function cutDatabase(scene: Scene): Promise<Row> {
  const node = scene.place.node('c');
  const before = remember(scene);
  await node.cut('database', true);
  const cut = Date.now();
  const asking = renewals(scene, HANDSHAKES);
  await pause(CUT_MS);
  await node.cut('database', false);
  const mended = Date.now();
  // Who came to that router meanwhile was told to come again in 30 s.
  const [handshakes, serves] = await Promise.all([asking.stop(cut), servesAgain(scene, node, mended)]);
  return {
    done: `cut: router ${node.name} ↔ PostgreSQL, for ${seconds(mended - cut)}`,
    checks: [
      { ...handshakes, must: `${handshakes.must} elsewhere` },
      serves,
      await undisturbed(scene, before),
    ],
  };
}

/** Handshakes are done at the other one meanwhile. */
export async function cutIdentity(scene: Scene): Promise<Row> {
  const node = scene.place.identities[0]!;
  const checks: Check[] = [];
  const links = ['devices', 'database'] as const;
  for (const link of links) {
    const before = remember(scene);
    await node.cut(link, true);
    const asking = renewals(scene, HANDSHAKES);
    const handshakes = await asking.stop(Date.now());
    await node.cut(link, false);
    checks.push({ ...handshakes, must: `without ${WITHOUT[link]}: ${handshakes.must}` });
    checks.push(await undisturbed(scene, before));
  }
  return { done: `cut: identity server ${node.name} ↔ devices; then ↔ PostgreSQL`, checks };
}

const WITHOUT = { devices: 'devices', database: 'PostgreSQL' } as const;

export async function cutStandby(scene: Scene): Promise<Row> {
  const { place } = scene;
  const standby = place.databases.standby();
  const before = remember(scene);
  const asking = renewals(scene, HANDSHAKES);
  await pause(1_000);
  await place.cutServer(standby, true);
  await pause(CUT_MS / 2);
  await place.cutServer(standby, false);
  const handshakes = await asking.stop(Date.now());
  return {
    done: `cut: the primary of PostgreSQL ↔ its standby, for ${seconds(CUT_MS / 2)}`,
    checks: [handshakes, await undisturbed(scene, before)],
  };
}

/** That a node says again that it serves, as another one sees it. */
async function servesAgain({ place }: Scene, node: Node, since: number): Promise<Check> {
  const other = place.routers.find((each) => each !== node)!;
  await eventually(
    `node ${node.name} to serve again`,
    async () => {
      const { rows } = await other.ask<{ rows: { name: string; state: string; seen: string }[] }>(
        'node-list',
        { limit: 10 },
      );
      const seen = rows.find(({ name }) => name === node.name)!;
      return (seen.state === 'serving' && Date.parse(seen.seen) >= since) || undefined;
    },
    PATIENCE_MS,
  );
  const after = Date.now() - since;
  return {
    must: 'the node serves again within 10 s',
    measured: `after ${seconds(after)}`,
    holds: after <= SERVES_MS,
  };
}

export async function cutRouters(scene: Scene): Promise<Row> {
  const node = scene.place.node('a');
  const before = remember(scene);
  await node.cut('routers', true);
  await pause(CUT_MS / 2);
  await node.cut('routers', false);
  const mended = Date.now();
  await meshed(scene.place);
  const reached = await reachedAgain(scene, mended);
  return {
    done: `cut: router ${node.name} ↔ the other routers, for ${seconds(CUT_MS / 2)}`,
    checks: [reached, ...(await unharmed(scene, before, node))],
  };
}

export async function cutDevices(scene: Scene): Promise<Row> {
  const node = scene.place.node('b');
  const before = remember(scene);
  const lost = at(before, node.name);
  await node.cut('devices', true);
  const tunnels = await back(scene, before, lost, node);
  const quiet = await undisturbed(scene, before, lost);
  await node.cut('devices', false);
  return { done: `cut: router ${node.name} ↔ devices`, checks: [tunnels, quiet] };
}

export async function losePower(scene: Scene): Promise<Row> {
  const { place } = scene;
  const node = place.node('c');
  const before = remember(scene);
  const lost = at(before, node.name);
  const all = ['devices', 'routers', 'database'] as const;
  for (const link of all) await node.cut(link, true);
  await Promise.all([node.killFabric(), node.killBird()]);
  const tunnels = await back(scene, before, lost, node);
  // Its own host's pings are lost with it.
  const quiet = await undisturbed(scene, before, lost, (way) => way.node !== node.name);
  for (const link of all) await node.cut(link, false);
  await node.start();
  await meshed(place);
  return {
    done: `router ${node.name} without power: all its links, and all its processes`,
    checks: [tunnels, quiet],
  };
}
