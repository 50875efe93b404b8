import { ROUTER_LIMITS } from '../../fabric/router/limits.ts';
import { linkedLists } from './links.ts';

/**
 * The routers of a simulation: how each admits connections, as native/router does. What C has as a number is here again, and
 * test/sim/router.test.ts compares.
 */
export const NATIVE = {
  /** Connections that the kernel keeps for each thread until they are accepted. */
  backlog: 4_096,
  /** How many are accepted before the handshakes under way get their turn, and how long that is. */
  acceptedAtOnce: 16,
  turnMs: 1,
  /** How long a ClientHello may take to be read. */
  helloMs: 4_000,
};

/**
 * What the parts of an accept cost, as shares of one: to accept and perhaps close again; the server's flight (key share and signature); the
 * device's proof; admission (registry, session). An assumption: what is measured is their sum (npm run bench:router, `accept_ms`).
 */
export const SHARES = { touch: 0.02, flight: 0.4, proof: 0.3, admission: 0.28 };

export interface RouterModel {
  readonly nodes: number;
  /** Threads of each. */
  readonly threads: number;
  /** CPU of one accept, milliseconds. */
  readonly acceptMs: number;
  /**
   * What a node does about a connection whose place another one needs. Undefined: it closes it, as native/router does. Else it finishes TLS and tells the
   * device when to come again, as long as that takes no more than this `share` of its CPU; `cost` is that of telling one, as a share of an accept.
   */
  readonly told?: { readonly share: number; readonly cost: number } | undefined;
}

/** What becomes of connections. */
export interface RouterOutcomes {
  /** The server's flight is on its way; the device answers by `reply`. */
  flight(agent: number): void;
  admitted(agent: number, node: number): void;
  /** Closed without a word. */
  cut(agent: number): void;
  /** The fabric says when to come again: because the registry does not answer, or because there is no room. */
  told(agent: number, why: 'registry' | 'full'): void;
}

/** CPU of a node, milliseconds since the start; `wasted`: on connections that were not admitted; `telling`: of those, on saying when to come again. */
export interface Cpu {
  readonly used: number;
  readonly wasted: number;
  readonly telling: number;
}

export interface Routers {
  /** The device's connection and its ClientHello come in. False: the kernel has no room and drops the packet. */
  connect(agent: number, node: number, ms: number): boolean;
  /** The device's proof comes in. */
  reply(agent: number, ms: number): void;
  /** The device has closed its connection, wherever that is. */
  leave(agent: number): void;
  /** The node works for so many milliseconds of each thread. */
  serve(node: number, ms: number, forMs: number): void;
  /** The program ends: all its connections are reset. */
  kill(node: number): void;
  /** Whether the registry answers: that node, or all. */
  setRegistry(answers: boolean, node?: number): void;
  /** Connections of a node that are not admitted yet, those that the kernel keeps included. */
  open(node: number): number;
  cpu(): Cpu;
}

/** Where a connection is: its list in its node. */
const [KERNEL, HELLO, FLIGHT, PROOF, STEPS] = [0, 1, 2, 3, 4];
const NOWHERE = 255;

export function makeRouters(
  agents: number,
  { nodes, threads, acceptMs, told }: RouterModel,
  outcomes: RouterOutcomes,
): Routers {
  const lists = linkedLists(agents, nodes * STEPS);
  const steps = new Uint8Array(agents).fill(NOWHERE);
  const places = new Uint8Array(agents);
  const since = new Uint32Array(agents);
  const credit = new Float64Array(nodes);
  const telling = new Float64Array(nodes);
  const cpu = { used: 0, wasted: 0, telling: 0 };
  const quarter = Math.floor(ROUTER_LIMITS.pending / 4);
  const cost = {
    touch: SHARES.touch * acceptMs,
    flight: SHARES.flight * acceptMs,
    proof: SHARES.proof * acceptMs,
    admission: SHARES.admission * acceptMs,
    telling: (told?.cost ?? 0) * acceptMs,
  };
  const registry = new Array<boolean>(nodes).fill(true);

  const listOf = (node: number, step: number): number => node * STEPS + step;
  const count = (node: number, step: number): number => lists.count(listOf(node, step));
  const first = (node: number, step: number): number => lists.first(listOf(node, step));

  function enter(agent: number, node: number, step: number, ms: number): void {
    places[agent] = node;
    steps[agent] = step;
    since[agent] = ms;
    lists.push(listOf(node, step), agent);
  }

  function take(agent: number): void {
    lists.remove(listOf(places[agent]!, steps[agent]!), agent);
    steps[agent] = NOWHERE;
  }

  function spend(node: number, ms: number): void {
    credit[node]! -= ms;
    cpu.used += ms;
  }

  /** What a connection that is not admitted has cost so far. */
  function waste(agent: number): void {
    const step = steps[agent]!;
    if (step !== KERNEL) cpu.wasted += cost.touch;
    if (step === FLIGHT || step === PROOF) cpu.wasted += cost.flight;
  }

  function cut(agent: number): void {
    waste(agent);
    take(agent);
    outcomes.cut(agent);
  }

  const older = (one: number, other: number): number =>
    other < 0 || (one >= 0 && since[one]! <= since[other]!) ? one : other;

  /** Who goes for a new connection, where each device has a prefix of its own: see `payer` in native/router/admission/pending.c. */
  function payer(node: number): number {
    const hellos = count(node, HELLO);
    const shaking = count(node, FLIGHT) + count(node, PROOF);
    const oldest = older(first(node, FLIGHT), first(node, PROOF));
    if (hellos > quarter || (shaking <= quarter && hellos > 0)) return first(node, HELLO);
    return oldest;
  }

  /** Takes a place away: its device is told when to come again if there is time for that, else its connection is closed. */
  function evict(agent: number, node: number): void {
    if (told === undefined || steps[agent] !== HELLO || telling[node]! < cost.telling) {
      cut(agent);
      return;
    }
    telling[node]! -= cost.telling;
    spend(node, cost.telling);
    cpu.wasted += cost.touch + cost.telling;
    cpu.telling += cost.telling;
    take(agent);
    outcomes.told(agent, 'full');
  }

  /** The next connection that the kernel has. */
  function accept(node: number, ms: number): boolean {
    const agent = first(node, KERNEL);
    if (agent < 0) return false;
    take(agent);
    spend(node, cost.touch);
    if (count(node, HELLO) + count(node, FLIGHT) + count(node, PROOF) >= ROUTER_LIMITS.pending)
      evict(payer(node), node);
    enter(agent, node, HELLO, ms);
    return true;
  }

  function closeLate(node: number, ms: number): void {
    for (let agent = first(node, HELLO); agent >= 0; agent = first(node, HELLO)) {
      if (ms - since[agent]! < NATIVE.helloMs) return;
      cut(agent);
    }
  }

  /** The next step of the handshake that waits the longest; what it has cost, or 0 if there is none. */
  function shake(node: number, ms: number): number {
    const agent = older(first(node, PROOF), first(node, HELLO));
    if (agent < 0) return 0;
    const greets = steps[agent] === HELLO;
    take(agent);
    if (greets) {
      spend(node, cost.flight);
      enter(agent, node, FLIGHT, ms);
      outcomes.flight(agent);
      return cost.flight;
    }
    const answers = registry[node]!;
    const spent = cost.proof + (answers ? cost.admission : 0);
    spend(node, spent);
    if (answers) outcomes.admitted(agent, node);
    else {
      cpu.wasted += cost.touch + cost.flight + spent;
      outcomes.told(agent, 'registry');
    }
    return spent;
  }

  return {
    connect(agent, node, ms) {
      if (count(node, KERNEL) >= NATIVE.backlog * threads) return false;
      enter(agent, node, KERNEL, ms);
      return true;
    },
    reply(agent, ms) {
      if (steps[agent] !== FLIGHT) return;
      const node = places[agent]!;
      take(agent);
      enter(agent, node, PROOF, ms);
    },
    leave(agent) {
      if (steps[agent] === NOWHERE) return;
      waste(agent);
      take(agent);
    },
    serve(node, ms, forMs) {
      credit[node]! += forMs * threads;
      if (told !== undefined)
        telling[node] = Math.min(telling[node]! + told.share * forMs * threads, 1_000 * told.share * threads);
      closeLate(node, ms);
      while (credit[node]! > 0) {
        let worked = false;
        for (let i = 0; i < NATIVE.acceptedAtOnce * threads && credit[node]! > 0 && accept(node, ms); i++)
          worked = true;
        for (let turn = NATIVE.turnMs * threads; turn > 0 && credit[node]! > 0; ) {
          const spent = shake(node, ms);
          if (spent === 0) break;
          worked = true;
          turn -= spent;
        }
        // Time in which there is nothing to do cannot be kept.
        if (!worked) credit[node] = 0;
      }
    },
    kill(node) {
      for (let step = 0; step < STEPS; step++)
        for (let agent = first(node, step); agent >= 0; agent = first(node, step)) cut(agent);
      credit[node] = 0;
    },
    setRegistry(answers, node) {
      if (node === undefined) registry.fill(answers);
      else registry[node] = answers;
    },
    open(node) {
      let open = 0;
      for (let step = 0; step < STEPS; step++) open += count(node, step);
      return open;
    },
    cpu: () => cpu,
  };
}
