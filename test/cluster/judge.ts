import { PROTOCOL, type RouteEvent, type Session, type Way } from './watch.ts';

/** What is concluded from what was watched. */

function grouped<T, K>(all: readonly T[], keyOf: (each: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const each of all) {
    const group = groups.get(keyOf(each));
    if (group === undefined) groups.set(keyOf(each), [each]);
    else group.push(each);
  }
  return groups;
}

/** The value that a share `q` of all is at most; of none 0. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0;
}

export interface Propagation {
  /** From a route of a tunnel in the kernel of its node until one to there is in another node's, in milliseconds. */
  readonly samples: readonly number[];
  /** So many never came there, though no newer tunnel was in their way. */
  readonly missing: number;
}

/** `links`: the address of each router on the link between them, by its name. */
export function propagation(
  events: readonly RouteEvent[],
  links: ReadonlyMap<string, string>,
  since: number,
  until: number,
): Propagation {
  const byAddress = grouped(events, ({ address }) => address);
  const samples: number[] = [];
  let missing = 0;
  for (const own of byAddress.values()) {
    const begun = own.filter(({ added, protocol }) => added && protocol === PROTOCOL.fabric);
    for (const [i, { node, at }] of begun.entries()) {
      if (at < since || at >= until) continue;
      const last = begun[i - 1]?.at ?? Number.NEGATIVE_INFINITY;
      const next = begun[i + 1]?.at ?? Number.POSITIVE_INFINITY;
      for (const other of links.keys()) {
        if (other === node) continue;
        // Each host has a program that reads; the one of the node may have been the later one.
        const found = own.find(
          (each) =>
            each.added &&
            each.node === other &&
            each.protocol === PROTOCOL.bird &&
            each.gateway === links.get(node) &&
            each.at > last &&
            each.at < next,
        );
        if (found !== undefined) samples.push(Math.max(0, found.at - at));
        else if (next === Number.POSITIVE_INFINITY) missing++;
      }
    }
  }
  return { samples, missing };
}

/** Those whose tunnel is another one than before. */
export const changed = (
  addresses: Iterable<string>,
  before: ReadonlyMap<string, Session>,
  now: ReadonlyMap<string, Session>,
): readonly string[] =>
  [...addresses].filter((address) => {
    const [was, is] = [before.get(address), now.get(address)];
    return was?.node !== is?.node || was?.metric !== is?.metric;
  });

/** The longest time for which a way got no answer: pings in a row that were lost, times their period. 0 if none was. */
export function longestOutage(lost: readonly { readonly way: Way; readonly at: number }[]): number {
  let longest = 0;
  for (const [way, all] of grouped(lost, (each) => each.way)) {
    let inRow = 0;
    let before = Number.NEGATIVE_INFINITY;
    for (const { at } of [...all].sort((one, other) => one.at - other.at)) {
      inRow = at - before < 1.5 * way.periodMs ? inRow + 1 : 1;
      before = at;
      longest = Math.max(longest, inRow * way.periodMs);
    }
  }
  return longest;
}

/** Addresses that several have, or that somebody has got in place of another. */
export function faultyAddresses(
  answers: readonly { readonly agent: { readonly name: string }; readonly address: string }[],
): readonly string[] {
  const faults: string[] = [];
  const owners = new Map<string, string>();
  const first = new Map<string, string>();
  for (const { agent, address } of answers) {
    const owner = owners.get(address) ?? agent.name;
    const had = first.get(agent.name) ?? address;
    owners.set(address, owner);
    first.set(agent.name, had);
    if (owner !== agent.name) faults.push(`${address} of ${owner} and ${agent.name}`);
    if (had !== address) faults.push(`${agent.name} had ${had} and got ${address}`);
  }
  return faults;
}
