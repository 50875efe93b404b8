import type { Lookup } from '../../os/net/lookup.ts';

/** Names and the addresses they had. */
export type Addresses = { readonly [host: string]: readonly string[] };

/** Asks the resolver each time, and remembers its last answer for each name. */
export interface AddressCache {
  /** Fresh addresses; the last known ones if the resolver fails, or does not answer for a while. */
  readonly lookup: Lookup;
  /** What the resolver has answered since the start, and for other names what was known then. */
  known(): Addresses;
}

/**
 * An address cache over a resolver. `patienceMs` is how long the resolver is waited for where an older answer is at hand;
 * without one it may take as long as it likes.
 */
export function addressCache(resolver: Lookup, patienceMs: number, before: Addresses): AddressCache {
  let known: Addresses = before;
  return {
    async lookup(host) {
      const asked = resolver(host).then((found) => {
        known = { ...known, [host]: found };
        return found;
      });
      const old = known[host];
      if (old === undefined) return asked;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<readonly string[]>((resolve) => {
        timer = setTimeout(resolve, patienceMs, old);
      });
      return Promise.race([asked.catch(() => old), late]).finally(() => clearTimeout(timer));
    },
    known: () => known,
  };
}
