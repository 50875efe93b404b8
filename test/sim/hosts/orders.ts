import { hostsInOrder } from '../../../os/net/choice.ts';

/** The nodes in an order of chance for each agent, as `hostsInOrder` has them. */
export function ownOrders(agents: number, nodes: number, chance: () => number): Uint8Array {
  const names = Array.from({ length: nodes }, (_, node) => `n${node}`);
  const orders = new Uint8Array(agents * nodes);
  for (let agent = 0; agent < agents; agent++)
    orders.set(
      hostsInOrder(names, 'spread', chance).map((name) => Number(name.slice(1))),
      agent * nodes,
    );
  return orders;
}
