/** Tunnels that began or ended, the newest ones. */
export interface TunnelNews {
  note(address: Uint8Array): void;
  readonly position: number;
  /** The addresses after a position, each once; undefined if they are not all known any more. */
  since(position: number): readonly Uint8Array[] | undefined;
}

const KEPT = 1_000;

/** `first` tells the positions of this process from those of others. */
export function tunnelNews(first: number): TunnelNews {
  const newest: Uint8Array[] = [];
  let position = first;
  return {
    note(address) {
      newest.push(address);
      position++;
      if (newest.length > KEPT) newest.shift();
    },
    get position() {
      return position;
    },
    since(since) {
      const count = position - since;
      if (count < 0 || count > newest.length) return undefined;
      const addresses = count === 0 ? [] : newest.slice(-count);
      return [...new Map(addresses.map((each) => [each.join(), each])).values()];
    },
  };
}
