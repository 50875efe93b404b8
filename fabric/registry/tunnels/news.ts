/** Tunnels that began or ended, the newest ones. */
export interface TunnelNews {
  note(address: Uint8Array): void;
  readonly position: number;
  /** The addresses behind a position up to another, each once; undefined if they are not all known any more. */
  between(after: number, upTo: number): readonly Uint8Array[] | undefined;
}

/** Those of a second in which a large fleet comes back. */
const KEPT = 10_000;

/** `first` tells the positions of this process from those of others. */
export function tunnelNews(first: number): TunnelNews {
  /** The address of each position, by its number modulo `KEPT`. */
  const newest: Uint8Array[] = [];
  let position = first;
  return {
    note(address) {
      newest[++position % KEPT] = address;
    },
    get position() {
      return position;
    },
    between(after, upTo) {
      if (after < first || after > upTo || upTo > position || position - after > KEPT) return undefined;
      const addresses = Array.from({ length: upTo - after }, (_, i) => newest[(after + 1 + i) % KEPT]!);
      return [...new Map(addresses.map((each) => [each.join(), each])).values()];
    },
  };
}
