import { formatPrefix, type Prefix } from '../../protocol/ipv6.ts';
import { eachRow } from '../registry/pages.ts';
import type { OwnedReader, Registry } from '../registry/registry.ts';

/** Where the networks come from, also those that are added later, and the addresses that devices get in them. */
export type NetworkSource = Pick<Registry, 'subscribe' | 'onAdmitted'> & Pick<OwnedReader, 'networks'>;

/** The fabric's networks, numbered from 1 on in the order in which they became known. */
export interface NetworkTable {
  /** The number of a network, which may be one that was not known yet. */
  numberOf(prefix: Prefix): number;
  /** Those that are known. */
  all(): readonly Prefix[];
  /** Calls `listener` with all networks, now and whenever there is one more. */
  publish(listener: (all: readonly Prefix[]) => void): void;
  /** Ends the subscription. */
  close(): void;
}

/** The networks of `source`; without one, those that are asked for. */
export async function networkTable(source: NetworkSource | undefined): Promise<NetworkTable> {
  const numbers = new Map<string, number>();
  const all: Prefix[] = [];
  let announce = (): void => {};
  const add = (prefix: Prefix): number => {
    const key = formatPrefix(prefix);
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, all.push(prefix));
    announce();
    return all.length;
  };
  // First the subscription: a network that is added meanwhile is not missed.
  const close = source?.subscribe((change) => {
    if (change.kind === 'network') add(change.prefix);
  });
  if (source !== undefined)
    for await (const { prefix } of eachRow((page) => source.networks(page))) add(prefix);
  return {
    numberOf: add,
    all: () => [...all],
    publish(listener) {
      announce = () => listener(all);
      announce();
    },
    close: () => close?.(),
  };
}
