import { LIMITS } from '../../fabric/identity/limits.ts';
import { CONGESTED, RUNNING, WAITING } from '../../fabric/identity/queue.ts';
import { linkedLists } from './links.ts';

/**
 * The identity servers of a simulation: how each takes handshakes (XTT), as fabric/identity does: a first message is answered at once,
 * unless too many wait; the claim waits for its turn.
 */
export interface IdentityModel {
  readonly nodes: number;
  /** Handshakes that a node completes in a second if it does nothing else. */
  readonly perSecond: number;
}

export interface IdentityOutcomes {
  /** The server has answered the first message; the device's TPM works. */
  answered(agent: number): void;
  provisioned(agent: number): void;
  /** An Error: no room, or no time. */
  refused(agent: number): void;
}

export interface IdentityServers {
  connect(agent: number, node: number): void;
  /** The device's claim comes in. */
  claim(agent: number): void;
  /** The device has closed its connection. What it had claimed is verified nevertheless. */
  leave(agent: number): void;
  serve(node: number, forMs: number): void;
  kill(node: number): void;
  /** Whether the database takes what is written. */
  setDatabase(writes: boolean): void;
  open(node: number): number;
}

/** What a first message costs, as a share of a handshake: a cookie and a signature. An assumption. */
const FIRST = 0.1;
/** A refusal: an Error of some bytes. */
const REFUSAL = 0.02;

/** Where a connection is: its list in its node. `WRITING`: verified, and not on the disk. */
const [CLAIMING, QUEUED, WRITING, STEPS] = [0, 1, 2, 3];
const NOWHERE = 255;

export function makeIdentityServers(
  agents: number,
  { nodes, perSecond }: IdentityModel,
  outcomes: IdentityOutcomes,
): IdentityServers {
  const lists = linkedLists(agents, nodes * STEPS);
  const steps = new Uint8Array(agents).fill(NOWHERE);
  const places = new Uint8Array(agents);
  const credit = new Float64Array(nodes);
  /** Claims, waiting and verified, whose devices have left. */
  const orphans = new Int32Array(nodes);
  const unwritten = new Int32Array(nodes);
  let writes = true;

  const listOf = (node: number, step: number): number => node * STEPS + step;
  const count = (node: number, step: number): number => lists.count(listOf(node, step));
  const first = (node: number, step: number): number => lists.first(listOf(node, step));
  const waiting = (node: number): number => count(node, QUEUED) + orphans[node]!;
  const running = (node: number): number => count(node, WRITING) + unwritten[node]!;

  function enter(agent: number, step: number): void {
    steps[agent] = step;
    lists.push(listOf(places[agent]!, step), agent);
  }

  function take(agent: number): void {
    lists.remove(listOf(places[agent]!, steps[agent]!), agent);
    steps[agent] = NOWHERE;
  }

  function refuse(agent: number): void {
    if (steps[agent] !== NOWHERE) take(agent);
    credit[places[agent]!]! -= REFUSAL;
    outcomes.refused(agent);
  }

  /** The next claim; false if there is none, or none may run. */
  function verify(node: number): boolean {
    if (running(node) >= RUNNING) return false;
    if (orphans[node]! > 0) {
      orphans[node]!--;
      if (!writes) unwritten[node]!++;
    } else {
      const agent = first(node, QUEUED);
      if (agent < 0) return false;
      take(agent);
      if (writes) outcomes.provisioned(agent);
      else enter(agent, WRITING);
    }
    credit[node]! -= 1 - FIRST;
    return true;
  }

  return {
    connect(agent, node) {
      places[agent] = node;
      const open = count(node, CLAIMING) + count(node, QUEUED) + count(node, WRITING);
      if (open >= LIMITS.total || waiting(node) / WAITING.normal >= CONGESTED.all) {
        refuse(agent);
        return;
      }
      credit[node]! -= FIRST;
      enter(agent, CLAIMING);
      outcomes.answered(agent);
    },
    claim(agent) {
      if (steps[agent] !== CLAIMING) return;
      const node = places[agent]!;
      take(agent);
      // The newest of a full queue goes; where no two devices share a prefix it is this one.
      if (waiting(node) >= WAITING.normal) refuse(agent);
      else enter(agent, QUEUED);
    },
    leave(agent) {
      const step = steps[agent]!;
      if (step === NOWHERE) return;
      const node = places[agent]!;
      if (step === QUEUED) orphans[node]!++;
      if (step === WRITING) unwritten[node]!++;
      take(agent);
    },
    serve(node, forMs) {
      credit[node] = Math.min(
        credit[node]! + (perSecond * forMs) / 1_000,
        Math.max(1, (perSecond * forMs) / 1_000),
      );
      while (credit[node]! > 0 && verify(node));
    },
    kill(node) {
      orphans[node] = 0;
      unwritten[node] = 0;
      for (let step = 0; step < STEPS; step++)
        for (let agent = first(node, step); agent >= 0; agent = first(node, step)) refuse(agent);
    },
    setDatabase(now) {
      writes = now;
      if (!now) return;
      unwritten.fill(0);
      for (let node = 0; node < nodes; node++)
        for (let agent = first(node, WRITING); agent >= 0; agent = first(node, WRITING)) {
          take(agent);
          outcomes.provisioned(agent);
        }
    },
    open: (node) => count(node, CLAIMING) + count(node, QUEUED) + count(node, WRITING),
  };
}
