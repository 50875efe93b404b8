import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../e2e/process.ts';
import type { Agent, Fleet, LightAgent } from './fleet.ts';
import { changed, longestOutage } from './judge.ts';
import type { Node, Place } from './place.ts';
import { type Check, seconds } from './table.ts';
import type { Pings, Routes, Session, Way } from './watch.ts';

/** Everything that is played with. */
export interface Scene {
  readonly place: Place;
  readonly fleet: Fleet;
  readonly routes: Routes;
  readonly pings: Pings;
  /** Do handshakes again and again when they are asked to, which begins a new tunnel each time. */
  readonly renewing: readonly LightAgent[];
  /** Start late, while the database fails over. */
  readonly late: readonly LightAgent[];
}

/** Tunnels and the time before something is done. */
export interface Before {
  readonly at: number;
  readonly sessions: ReadonlyMap<string, Session>;
  /** Addresses of agents that are online, without those that renew. */
  readonly steady: ReadonlySet<string>;
}

/** A tunnel of a lost node has to be elsewhere after this. */
export const BACK_MS = 10_000;
/** What everything has to be well after, for the script to go on; nobody is meant to come near it. */
export const PATIENCE_MS = 90_000;
/** A ping is lost after two seconds. */
const LATE_MS = 2_500;

export const remember = ({ fleet, routes, renewing }: Scene): Before => ({
  at: Date.now(),
  sessions: new Map(routes.sessions),
  steady: new Set(
    fleet.all
      .filter((agent) => agent.situation === 'online' && !renewing.some((each) => each === agent))
      .map(({ address }) => address!),
  ),
});

/** Addresses whose tunnel is at the node. */
export const at = ({ sessions }: Before, node: string): ReadonlySet<string> =>
  new Set([...sessions].filter(([, session]) => session.node === node).map(([address]) => address));

export const onlineNow = ({ fleet }: Scene): readonly Agent[] =>
  fleet.all.filter(({ situation }) => situation === 'online');

/** Waits until all of these are online. @throws Error with those that are not */
export async function online(agents: readonly Agent[], patienceMs = PATIENCE_MS): Promise<void> {
  const end = Date.now() + patienceMs;
  const missing = (): readonly Agent[] => agents.filter(({ situation }) => situation !== 'online');
  while (missing().length > 0) {
    if (Date.now() > end) {
      const some = missing()
        .slice(0, 5)
        .map(({ name, situation }) => `${name}: ${situation}`);
      throw new Error(`${missing().length} agents are not online: ${some.join(', ')}`);
    }
    await pause(20);
  }
}

/** Which pings of the time since then must not be lost. */
export type Counted = (way: Way) => boolean;

const lostSince = async ({ pings }: Scene, before: Before, counted: Counted) => {
  const until = Date.now();
  await pause(LATE_MS);
  return pings.lost.filter(({ way, at }) => at >= before.at && at < until && counted(way));
};

/** Between whom pings were lost, most first. */
function whose(lost: readonly { readonly way: Way }[]): string {
  const counts = new Map<string, number>();
  for (const { way } of lost) {
    const name = way.kind === 'host' ? `host ${way.node}` : way.kind;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([, one], [, other]) => other - one);
  return sorted.map(([name, count]) => `${name}: ${count}`).join(', ');
}

/** That agents other than `affected` have noticed nothing: neither another tunnel, nor a lost ping. */
export async function undisturbed(
  scene: Scene,
  before: Before,
  affected: ReadonlySet<string> = new Set(),
  counted: Counted = () => true,
): Promise<Check> {
  const others = [...before.steady].filter((address) => !affected.has(address));
  const steady = new Set(others);
  const own = (way: Way): boolean =>
    way.kind === 'router'
      ? steady.has(way.source)
      : steady.has(way.destination) && (way.kind === 'host' || steady.has(way.source));
  const lost = await lostSince(scene, before, (way) => own(way) && counted(way));
  const disturbed = changed(others, before.sessions, scene.routes.sessions);
  const outage = lost.length === 0 ? '' : `, for up to ${seconds(longestOutage(lost))} (${whose(lost)})`;
  return {
    must: 'other tunnels are the same, and no ping of theirs is lost',
    measured: `${others.length} tunnels, ${disturbed.length} others; ${lost.length} lost${outage}`,
    holds: disturbed.length === 0 && lost.length === 0,
  };
}

/** That agents whose node is cut off from the other nodes do not notice it, whether they stay or leave it in order; and that no others do anything. */
export async function unharmed(scene: Scene, before: Before, node: Node): Promise<readonly Check[]> {
  const own = at(before, node.name);
  const counted = ({ kind }: Way): boolean => kind === 'router';
  const others = await undisturbed(scene, before, own, counted);
  const lost = scene.pings.lost.filter(
    ({ way, at: sent }) =>
      sent >= before.at && way.kind === 'router' && own.has(way.source) && before.steady.has(way.source),
  );
  const left = changed(own, before.sessions, scene.routes.sessions).length;
  const outage = longestOutage(lost);
  return [
    {
      must: 'its devices have a tunnel all the while, there or at another node: 1 s without at most',
      measured: `${own.size} devices, of which ${left} left; ${lost.length} pings lost, in a row for ${seconds(outage)}`,
      holds: outage <= 1_000,
    },
    others,
  ];
}

/** That those whose tunnels were at a lost node have others in time, wherever. */
export async function back(
  scene: Scene,
  before: Before,
  lost: ReadonlySet<string>,
  node: Node,
): Promise<Check> {
  const { routes, fleet } = scene;
  const isBack = (address: string): boolean => routes.sessions.get(address)!.at > before.at;
  await eventually(
    `the tunnels of node ${node.name} to be back`,
    async () => [...lost].every(isBack) || undefined,
    PATIENCE_MS,
  );
  await online(fleet.all.filter(({ address, situation }) => situation !== undefined && lost.has(address!)));
  const times = [...lost].map((address) => routes.sessions.get(address)!.at - before.at);
  const longest = Math.max(0, ...times);
  return {
    must: `its tunnels are back within ${BACK_MS / 1_000} s`,
    measured: `${times.length} tunnels, the last after ${seconds(longest)}`,
    holds: longest <= BACK_MS,
  };
}

/** Handshakes have to go on after this. */
const AGAIN_MS = 10_000;

/** Handshakes of agents that have their identity, all the while. */
export interface Renewals {
  /** Waits until each of them has got through. `from`: since when handshakes are possible again, milliseconds since 1970. */
  stop(from: number): Promise<Check>;
}

/** `perSecond` of them, one agent after the other. */
export function renewals({ renewing, fleet }: Scene, perSecond: number): Renewals {
  const began = Date.now();
  const asked = new Map<LightAgent, number>();
  const answered = (agent: Agent): boolean =>
    fleet.answers.some((answer) => answer.agent === agent && answer.at >= asked.get(agent as LightAgent)!);
  const failed = (agent: LightAgent): boolean => agent.failures.some(({ at }) => at >= asked.get(agent)!);
  const ask = (agent: LightAgent): void => {
    const waits = asked.has(agent) && !answered(agent) && !failed(agent);
    if (agent.situation !== 'online' || waits) return;
    asked.set(agent, Date.now());
    agent.renew();
  };
  let next = 0;
  const timer = setInterval(() => ask(renewing[next++ % renewing.length]!), 1_000 / perSecond);
  return {
    async stop(from) {
      await pause(Math.max(0, from + AGAIN_MS / 2 - Date.now()));
      clearInterval(timer);
      await eventually(
        'each handshake to get through',
        async () => {
          const open = [...asked.keys()].filter((agent) => !answered(agent));
          for (const agent of open) ask(agent);
          return open.length === 0 || undefined;
        },
        PATIENCE_MS,
      );
      await online([...asked.keys()]);
      const times = fleet.answers.map(({ at }) => at).filter((at) => at >= began);
      const again = Math.min(...times.filter((time) => time >= from)) - from;
      const failures = renewing.flatMap((agent) => agent.failures.filter(({ at }) => at >= began));
      return {
        must: `handshakes go on within ${AGAIN_MS / 1_000} s`,
        measured: `after ${seconds(again)}; ${times.length} answered, ${failures.length} tried again`,
        holds: again <= AGAIN_MS,
      };
    },
  };
}

const ROUTER_EVERY_MS = 500;
const OTHERS_EVERY_MS = 1_000;
/** The routers' own host, for devices that have their tunnel there. */
const ROUTER_ADDRESS = 'fd00:e4f:1::1';

/** From now on each agent that is online pings its router's host and another agent, and the host of each router pings each agent. */
export async function startPinging(scene: Scene): Promise<void> {
  const { place, pings } = scene;
  const agents = onlineNow(scene);
  const shift = Math.ceil(agents.length / 2);
  for (const [i, { namespace, address }] of agents.entries()) {
    const source = address!;
    // Halfway round: never in the same namespace, where it would not leave the kernel.
    const peer = agents[(i + shift) % agents.length]!;
    pings.begin(namespace, {
      kind: 'router',
      periodMs: ROUTER_EVERY_MS,
      source,
      destination: ROUTER_ADDRESS,
    });
    if (peer.namespace !== namespace)
      pings.begin(namespace, { kind: 'peer', periodMs: OTHERS_EVERY_MS, source, destination: peer.address! });
    for (const node of place.routers)
      pings.begin(node.namespace, {
        ...{ kind: 'host', node: node.name, periodMs: OTHERS_EVERY_MS },
        ...{ source: '::', destination: source },
      });
  }
  await pause(LATE_MS);
}
