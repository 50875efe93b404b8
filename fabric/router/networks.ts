import { formatPrefix, type Prefix } from '../../protocol/ipv6.ts';
import type { NumberedPool } from '../../tunnel/router.ts';
import { eachRow } from '../registry/pages.ts';
import type { OwnedReader, Registry } from '../registry/registry.ts';

/** Where the networks come from, also those that are added later, and the addresses that devices get in them. */
export type NetworkSource = Pick<Registry, 'subscribe' | 'onAdmitted'> &
  Pick<OwnedReader, 'networks' | 'pool'>;

/** The fabric's networks, numbered from 1 on in the order in which they became known. */
export interface NetworkTable {
  /** The number of a network, which may be one that was not known yet. */
  numberOf(prefix: Prefix): number;
  /** Those that are known. */
  all(): readonly Prefix[];
  /** Calls `listener` with all networks and the pools of their devices' prefixes, now and whenever that changes. */
  publish(listener: (all: readonly Prefix[], pools: readonly NumberedPool[]) => void): void;
  /** Ends the subscription. */
  close(): void;
}

/** The networks of `source`; without one, those that are asked for. */
export async function networkTable(source: NetworkSource | undefined): Promise<NetworkTable> {
  const numbers = new Map<string, number>();
  const all: Prefix[] = [];
  /** By the number of the network. */
  const pools = new Map<number, NumberedPool>();
  let announce = (): void => {};
  const add = (prefix: Prefix): number => {
    const key = formatPrefix(prefix);
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, all.push(prefix));
    announce();
    return all.length;
  };
  const setPool = (network: number, prefix: Prefix | undefined): void => {
    const before = pools.get(network)?.prefix;
    if ((before && formatPrefix(before)) === (prefix && formatPrefix(prefix))) return;
    if (prefix === undefined) pools.delete(network);
    else pools.set(network, { prefix, network });
    announce();
  };
  // One after the other, so that an older pool never comes last.
  let last: Promise<unknown> = Promise.resolve();
  // First the subscription: a network that is added meanwhile is not missed.
  const close = source?.subscribe((change) => {
    if (change.kind !== 'network') return;
    const number = add(change.prefix);
    const done = last.then(async () => setPool(number, await source.pool(change.prefix)));
    last = done.catch(() => {});
    return done;
  });
  if (source !== undefined)
    for await (const { prefix, pool } of eachRow((page) => source.networks(page))) setPool(add(prefix), pool);
  return {
    numberOf: add,
    all: () => [...all],
    publish(listener) {
      announce = () => listener(all, [...pools.values()]);
      announce();
    },
    close: () => close?.(),
  };
}
