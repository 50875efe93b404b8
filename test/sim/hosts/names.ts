import { FORGET_MS } from '../../../os/net/choice.ts';
import type { Lists } from './lists.ts';

/**
 * One name with the addresses of all nodes, all of one family: each attempt begins with one by chance of those that have not failed, and has behind them those
 * that have, the oldest failure first, as os/net/addresses.ts orders them. All are tried in parallel; the turn that an agent gives to those that have failed is not simulated.
 */
export function makeNames(agents: number, nodes: number, chance: () => number): Lists {
  /** What each tries now, and how many they are. */
  const orders = new Uint8Array(agents * nodes);
  const lengths = new Uint8Array(agents);
  /** Seconds; 0: never. When each node has failed last, and until when it is left out. */
  const failures = new Uint16Array(agents * nodes);
  const ends = new Uint16Array(agents * nodes);
  const all = Array.from({ length: nodes }, (_, node) => node);
  const indexOf = (agent: number, place: number): number =>
    agent * nodes + orders[agent * nodes + Math.min(place, lengths[agent]! - 1)]!;
  return {
    begin(agent, ms) {
      const now = ms / 1_000;
      const at = (node: number): number => {
        const failed = failures[agent * nodes + node]!;
        return failed === 0 || now - failed >= FORGET_MS / 1_000 ? 0 : failed;
      };
      const free = all.filter((node) => at(node) === 0 || ends[agent * nodes + node]! <= now);
      const tried = free.length > 0 ? free : all;
      const sound = tried.filter((node) => at(node) === 0);
      const first = Math.floor(chance() * sound.length);
      const failed = tried.filter((node) => at(node) !== 0).sort((one, other) => at(one) - at(other));
      const order = [...sound.slice(first), ...sound.slice(0, first), ...failed];
      orders.set(order, agent * nodes);
      lengths[agent] = order.length;
    },
    at: (agent, place) => orders[agent * nodes + place]!,
    length: (agent) => lengths[agent]!,
    failed(agent, place, ms) {
      failures[indexOf(agent, place)] = Math.max(1, Math.round(ms / 1_000));
    },
    refused(agent, place, ms, seconds) {
      const index = indexOf(agent, place);
      failures[index] = Math.max(1, Math.round(ms / 1_000));
      ends[index] = Math.ceil(ms / 1_000 + seconds);
      return place + 1 < lengths[agent]!;
    },
    worked(agent, place) {
      failures[indexOf(agent, place)] = 0;
    },
    forget() {},
  };
}
