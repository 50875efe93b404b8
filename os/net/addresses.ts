import { isIPv4 } from 'node:net';

/** How an address has done lately. */
export interface Standing {
  /** When it failed last; -Infinity: it has not. */
  readonly at: number;
  /** It had served before that. */
  readonly served: boolean;
}

/**
 * The addresses of one name in groups: those of one group are tried in parallel, and groups one after the other. First those that have not failed, and those that have
 * served until they failed: the families by turns, beginning with the resolver's (RFC 8305 §4), and of one family by chance, what has failed behind. Then what was reached
 * and has not served, the oldest failure first and alone: in parallel, one that is near and hangs would come before all that are far. `found`: each address
 * once, in the order of the resolver. At most `most` are tried that have not failed.
 */
export function addressGroups(
  found: readonly string[],
  standingOf: (address: string) => Standing,
  chance: () => number,
  most: number,
): string[][] {
  const all = shuffled(found, chance)
    .map((address) => ({ address, ...standingOf(address) }))
    // A stable sort: what stands alike stays in its order of chance.
    .sort((a, b) => (a.at === b.at ? 0 : a.at - b.at));
  const sound = all.filter(({ at, served }) => served || at === Number.NEGATIVE_INFINITY);
  const isSound = new Set(sound.map(({ address }) => address));
  const first = isIPv4(found.find((address) => isSound.has(address)) ?? '');
  const failed = all.filter(({ address }) => !isSound.has(address)).map(({ address }) => address);
  const [one, other] = [first, !first].map((v4) =>
    sound.filter(({ address }) => isIPv4(address) === v4).map(({ address }) => address),
  ) as [string[], string[]];
  const byTurns = one.flatMap((address, i) => [address, ...other.slice(i, i + 1)]);
  const groups = [
    [...byTurns, ...other.slice(one.length)].slice(0, most),
    failed.slice(0, 1),
    failed.slice(1),
  ];
  return groups.filter((group) => group.length > 0);
}

/** The same in an order of chance (Fisher and Yates); `chance` is uniform in [0, 1). */
export function shuffled<T>(items: readonly T[], chance: () => number): T[] {
  const tried = [...items];
  for (let i = tried.length - 1; i > 0; i--) {
    const j = Math.floor(chance() * (i + 1));
    [tried[i], tried[j]] = [tried[j]!, tried[i]!];
  }
  return tried;
}
