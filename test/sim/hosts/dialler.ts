import { AGAIN_MS, AGENT, type FAILURES, STAGGER_MS } from '../agent.ts';
import type { Setup } from '../setup.ts';
import { makeLists } from './lists.ts';
import { makeNames } from './names.ts';

/** What comes of connecting. */
export interface DiallerEvents {
  /** The simulated time. */
  now(): number;
  /** Milliseconds there and back for an agent. */
  trip(agent: number): number;
  /** It is with its target after so many milliseconds. */
  reaches(agent: number, afterMs: number): void;
  fails(agent: number, why: keyof typeof FAILURES, afterMs: number): void;
}

/** Which node each agent connects to, and when it is there: by the addresses of one name, or a list of hosts. */
export interface Dialler {
  dial(agent: number): void;
  /** The first packet to its target was dropped: another address is tried, or the same one again. */
  dialAgain(agent: number): void;
  targetOf(agent: number): number;
  /** Its target serves it. */
  worked(agent: number): void;
  /** Its target did not serve it. */
  failed(agent: number): void;
  /** Its target has told it to come later: whether it is to ask another one at once. */
  refused(agent: number, seconds: number): boolean;
  /** Its attempt is over. */
  forget(agent: number): void;
  lose(node: number): void;
  isLost(node: number): boolean;
}

export function makeDialler(
  { agents, nodes, choice, loss }: Setup,
  chance: () => number,
  { now, trip, reaches, fails }: DiallerEvents,
): Dialler {
  const isNamed = choice === 'name';
  const lists = isNamed ? makeNames(agents, nodes, chance) : makeLists(agents, nodes, choice, chance);
  const targets = new Uint8Array(agents);
  const tries = new Uint8Array(agents);
  /** When its attempt ends. */
  const deadlines = new Uint32Array(agents);
  const dead = new Set<number>();

  function reach(agent: number, place: number, afterMs: number): void {
    tries[agent] = place;
    targets[agent] = lists.at(agent, place);
    reaches(agent, afterMs);
  }

  /** One name with the addresses of all nodes: one that does not answer costs a quarter of a second, one that refuses a round trip. */
  function dialNamed(agent: number): void {
    let spent = trip(agent);
    let at = 0;
    for (; at < lists.length(agent) && dead.has(lists.at(agent, at)); at++)
      spent += loss?.how === 'silent' ? STAGGER_MS : trip(agent);
    if (at < lists.length(agent)) reach(agent, at, spent);
    else fails(agent, 'silent', loss?.how === 'silent' ? AGENT.connectTimeoutMs : spent);
  }

  /** A list of hosts in the agent's order: each has an equal share of the time that is left. */
  function dialListed(agent: number): void {
    let spent = trip(agent);
    const most = lists.length(agent);
    let at = 0;
    for (; at < most && dead.has(lists.at(agent, at)); at++) {
      const left = deadlines[agent]! - now() - spent;
      spent += loss?.how === 'silent' ? left / (most - at) : trip(agent);
    }
    if (at < most) reach(agent, at, spent);
    else fails(agent, 'silent', deadlines[agent]! - now());
  }

  function nextNamed(agent: number, tried: number, left: number): void {
    const last = lists.length(agent) - 1;
    if (tried < last && left > STAGGER_MS) {
      targets[agent] = lists.at(agent, tried + 1);
      reaches(agent, STAGGER_MS);
      return;
    }
    const again = AGAIN_MS[tried - last];
    if (again === undefined || again > left) fails(agent, 'silent', Math.max(left, 0));
    else reaches(agent, again);
  }

  function nextListed(agent: number, tried: number, left: number): void {
    if (tried + 1 >= lists.length(agent)) {
      fails(agent, 'silent', left);
      return;
    }
    targets[agent] = lists.at(agent, tried + 1);
    reaches(agent, left / (lists.length(agent) - tried));
  }

  return {
    dial(agent) {
      tries[agent] = 0;
      deadlines[agent] = now() + AGENT.connectTimeoutMs;
      lists.begin(agent, now());
      if (isNamed) dialNamed(agent);
      else dialListed(agent);
    },
    dialAgain(agent) {
      const tried = tries[agent]!++;
      const left = deadlines[agent]! - now();
      if (isNamed) nextNamed(agent, tried, left);
      else nextListed(agent, tried, left);
    },
    targetOf: (agent) => targets[agent]!,
    worked: (agent) => lists.worked(agent, tries[agent]!),
    failed: (agent) => lists.failed(agent, tries[agent]!, now()),
    refused: (agent, seconds) => lists.refused(agent, tries[agent]!, now(), seconds),
    forget: lists.forget,
    lose: (node) => void dead.add(node),
    isLost: (node) => dead.has(node),
  };
}
