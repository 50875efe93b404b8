import { setTimeout as pause } from 'node:timers/promises';
import type { DeviceView } from '../../fabric/operations/views/devices.ts';
import { must } from '../e2e/batch.ts';
import { eventually } from '../e2e/process.ts';
import type { LightAgent } from './fleet.ts';
import { changed, faultyAddresses, longestOutage, propagation, quantile } from './judge.ts';
import type { Node } from './place.ts';
import { online, PATIENCE_MS, remember, type Scene, undisturbed } from './scene.ts';
import { type Check, milliseconds, type Row, seconds } from './table.ts';

/** What concerns all agents: that they come, move, are banned, and that nothing of them is lost in the end. */

/** What a process that boots 38 agents signs in time, beside four others on two processors. */
const BOOT_EVERY_MS = 100;
const MOVES = 100;
const MOVE_EVERY_MS = 100;
const PROPAGATION_MS = 50;
const MOST_OUTAGE_MS = 1_000;
const BANS = 12;
const BAN_MS = 1_000;
/** A page of a list. */
const PAGE = 200;

export async function firstBoot(scene: Scene): Promise<Row> {
  const { fleet, late } = scene;
  const agents = fleet.all.filter((agent) => !late.some((each) => each === agent));
  for (const agent of agents) {
    agent.start();
    await pause(BOOT_EVERY_MS);
  }
  const started = Date.now();
  await online(agents, 2 * PATIENCE_MS);
  const took = Date.now() - started;
  const faults = faultyAddresses(fleet.answers);
  const failures = agents.flatMap((agent) => agent.failures.map(({ code }) => code));
  return {
    done: `${agents.length} devices boot for the first time, ${1_000 / BOOT_EVERY_MS} in a second`,
    checks: [
      {
        must: 'all get an identity and a tunnel',
        measured: `${seconds(took)} after the last one was started; ${failures.length} handshakes tried again`,
        holds: true,
      },
      {
        must: 'no address twice',
        measured: said(faults, `${agents.length} addresses`),
        holds: faults.length === 0,
      },
    ],
  };
}

const said = (faults: readonly string[], otherwise: string): string =>
  faults.length === 0 ? otherwise : `${faults.length} faults: ${faults[0]}`;

/** Tunnels move to another router, one after the other. */
export async function moves(scene: Scene): Promise<Row> {
  const { fleet, place, routes, pings, renewing } = scene;
  const moving = fleet.light
    .filter((agent) => agent.situation === 'online' && !renewing.some((each) => each === agent))
    .slice(0, MOVES);
  const addresses = new Set(moving.map(({ address }) => address!));
  const before = remember(scene);
  const answers = fleet.answers.length;
  for (const agent of moving) {
    agent.move();
    await pause(MOVE_EVERY_MS);
  }
  await eventually(
    'all tunnels to be elsewhere',
    async () => changed(addresses, before.sessions, routes.sessions).length === addresses.size || undefined,
    PATIENCE_MS,
  );
  const until = Date.now();
  const quiet = await undisturbed(scene, before, addresses);
  const links = new Map(place.routers.map(({ name, link }) => [name, link]));
  const { samples, missing } = propagation(routes.events, links, before.at, until);
  const p99 = quantile(samples, 0.99);
  const lost = pings.lost.filter(
    ({ way, at }) => at >= before.at && at < until && addresses.has(way.source) && way.kind === 'router',
  );
  const outage = longestOutage(lost);
  return {
    done: `${moving.length} tunnels move to another router, ${1_000 / MOVE_EVERY_MS} in a second`,
    checks: [
      {
        must: `a route is in the kernels of the other routers within ${PROPAGATION_MS} ms (p99)`,
        measured: `p50 ${milliseconds(quantile(samples, 0.5))}, p99 ${milliseconds(p99)}, most ${milliseconds(quantile(samples, 1))} of ${samples.length}${missing === 0 ? '' : `; ${missing} missing`}`,
        holds: p99 <= PROPAGATION_MS && missing === 0,
      },
      {
        must: `no flow is interrupted for more than ${MOST_OUTAGE_MS / 1_000} s, and nobody does a handshake`,
        measured: `${lost.length} pings lost, in a row for ${seconds(outage)}; ${fleet.answers.length - answers} handshakes`,
        holds: outage <= MOST_OUTAGE_MS && fleet.answers.length === answers,
      },
      quiet,
    ],
  };
}

/** Bans devices at a node that does not have their tunnels, looks whether anybody lets them in, and unbans them. */
export async function bans(scene: Scene): Promise<Row> {
  const { fleet, place, routes, renewing } = scene;
  const banned = fleet.light
    .filter((agent) => agent.situation === 'online' && !renewing.some((each) => each === agent))
    .slice(-BANS);
  const before = remember(scene);
  const addresses = new Set(banned.map(({ address }) => address!));
  const times: number[] = [];
  for (const [i, agent] of banned.entries()) {
    const elsewhere = place.nodes.filter(({ name }) => name !== routes.sessions.get(agent.address!)!.node);
    times.push(await ban(scene, agent, elsewhere[i % elsewhere.length]!));
  }
  const entered: string[] = [];
  for (const agent of banned.slice(0, 3)) entered.push(...(await triesEverywhere(scene, agent)));
  const quiet = await undisturbed(scene, before, addresses);
  for (const agent of banned) {
    await place.nodes[0]!.ask('device-standing', { address: agent.address!, change: 'unban' });
    if (agent.situation !== undefined) await agent.stop();
    agent.start();
  }
  await online(banned);
  return {
    done: `${banned.length} devices are banned, each at another node than that of its tunnel`,
    checks: [
      {
        must: `the tunnel is cut, and no router has a route to it, within ${BAN_MS / 1_000} s`,
        measured: `p50 ${milliseconds(quantile(times, 0.5))}, most ${milliseconds(quantile(times, 1))}`,
        holds: quantile(times, 1) <= BAN_MS,
      },
      {
        must: 'no router and no identity server lets it in',
        measured: said(entered, `${3 * place.nodes.length} attempts refused`),
        holds: entered.length === 0,
      },
      quiet,
    ],
  };
}

/** From the command until the device is told, and nobody has a route to it. */
async function ban({ routes }: Scene, agent: LightAgent, node: Node): Promise<number> {
  const began = Date.now();
  const address = agent.address!;
  await node.ask('device-standing', { address, change: 'ban' });
  await eventually(
    `device ${agent.name} to be cut off`,
    async () =>
      (agent.refusals.some(({ at }) => at >= began) && routes.holders(address).size === 0) || undefined,
  );
  const told = agent.refusals.find(({ at }) => at >= began)!.at;
  const gone = routes.events.findLast((event) => event.address === address && !event.added)!.at;
  return Math.max(told, gone) - began;
}

/** Who lets a banned device in: each router with the identity that it has, and each identity server as if it were new. */
async function triesEverywhere({ place, fleet }: Scene, agent: LightAgent): Promise<string[]> {
  const entered: string[] = [];
  await agent.stop();
  for (const [i, node] of place.nodes.entries()) {
    const began = Date.now();
    const isRouter = node.duty === 'router';
    agent.start({
      hosts: [place.addressOf(node)],
      ...(!isRouter && { state: `state-${agent.name}-${i}` }),
    });
    const refusals = isRouter ? agent.refusals : agent.failures;
    const enters = (): boolean =>
      agent.ups.some((at) => at >= began) ||
      fleet.answers.some((answer) => answer.agent === agent && answer.at >= began);
    await eventually(
      `node ${node.name} to refuse a banned device`,
      async () => refusals.some(({ at }) => at >= began) || enters() || undefined,
    );
    if (enters()) entered.push(`node ${node.name} lets ${agent.name} in`);
    await agent.stop();
  }
  return entered;
}

/** What must be so after everything. */
export async function inTheEnd(scene: Scene): Promise<Row> {
  const { fleet, place } = scene;
  await online(fleet.all);
  const checks: Check[] = [];
  const faults = faultyAddresses(fleet.answers);
  checks.push({
    must: 'no address twice, and each device has the one that it got first',
    measured: said(faults, `${fleet.all.length} devices, ${fleet.answers.length} answers`),
    holds: faults.length === 0,
  });
  const known = await registered(place.nodes[0]!);
  const lost = fleet.answers.filter(({ address }) => !known.has(address));
  checks.push({
    must: 'what was answered is in the registry, and nothing else',
    measured: `${known.size} devices there; ${lost.length} answers lost`,
    holds: lost.length === 0 && known.size === fleet.all.length,
  });
  const trails = await Promise.all(place.nodes.map(({ fabric }) => must(fabric.run('audit'))));
  const broken = trails.filter((text) => !/unbroken; head/.test(text)).length;
  checks.push({
    must: 'the audit trail is unbroken, as each node sees it',
    measured: /(\d+ entr\w+, unbroken)/.exec(trails[0]!)?.[1] ?? 'broken',
    holds: broken === 0,
  });
  return { done: 'in the end', checks };
}

async function registered(node: Node): Promise<ReadonlySet<string>> {
  const all = new Set<string>();
  let after: string | undefined;
  do {
    const page = await node.ask<{ rows: readonly DeviceView[]; next: string | null }>('device-list', {
      limit: PAGE,
      ...(after !== undefined && { after }),
    });
    for (const { address } of page.rows) all.add(address);
    after = page.next ?? undefined;
  } while (after !== undefined);
  return all;
}
