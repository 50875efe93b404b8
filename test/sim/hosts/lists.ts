import type { Setup } from '../setup.ts';
import { ownOrders } from './orders.ts';

/** The nodes as each agent has them in its list of hosts, or by one name (names.ts), and which of them it tries now: as os/net/choice.ts orders those of a real one. */
export interface Lists {
  /** An attempt begins. */
  begin(agent: number, ms: number): void;
  /** The node at a place of the agent's list. */
  at(agent: number, place: number): number;
  /** How many it tries in one attempt: those that have not told it to come again later. */
  length(agent: number): number;
  /** The host at that place is the last one from now on. */
  failed(agent: number, place: number, ms: number): void;
  /** That one has told it to come again after so many seconds, and those before it were not reached. True if it has others to try. */
  refused(agent: number, place: number, ms: number, seconds: number): boolean;
  /** That one has let it in. */
  worked(agent: number, place: number): void;
  /** It has its whole list again. */
  forget(agent: number): void;
}

export function makeLists(
  agents: number,
  nodes: number,
  choice: Setup['choice'],
  chance: () => number,
): Lists {
  const starts = new Uint8Array(agents);
  const lengths = new Uint8Array(agents).fill(nodes);
  /** One after the other; undefined: that of the nodes. */
  const orders = choice === 'list' ? ownOrders(agents, nodes, chance) : undefined;
  const moves = choice === 'list' || choice === 'same';
  const failed = (agent: number, place: number): void => {
    if (moves) starts[agent] = (starts[agent]! + place + 1) % nodes;
  };
  return {
    begin() {},
    at(agent, place) {
      const at = (starts[agent]! + place) % nodes;
      return orders === undefined ? at : orders[agent * nodes + at]!;
    },
    length: (agent) => lengths[agent]!,
    failed,
    refused(agent, place) {
      failed(agent, place);
      if (!moves) return false;
      const left = Math.max(0, lengths[agent]! - place - 1);
      lengths[agent] = left === 0 ? nodes : left;
      return left > 0;
    },
    worked() {},
    forget(agent) {
      lengths[agent] = nodes;
    },
  };
}
