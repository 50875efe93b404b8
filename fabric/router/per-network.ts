import type { Log } from '../../os/service/log.ts';
import type { Failure } from '../../protocol/failure.ts';
import { formatPrefix, type Prefix } from '../../protocol/ipv6.ts';
import { eachRow, type Page, type PageRequest } from '../registry/pages.ts';
import type { Registry } from '../registry/registry.ts';
import type { NetworkTable } from './networks.ts';

/** What is read of each network, where it comes from, and what it is called. */
export interface NetworkRows<Row> {
  readonly subscribe: Registry['subscribe'];
  read(network: Prefix, page: PageRequest): Promise<Page<Row>>;
  /** As in "the rules of fd00:1::/64". */
  readonly what: string;
  /** That the rows of the network of this name could not be read after a change. */
  unread(network: string): Failure;
}

/** What to do with all rows of a network. */
type Apply<Row> = (network: Prefix, rows: readonly Row[]) => Promise<void> | void;

/** Rows of all networks, as they are now. */
export interface FollowedRows<Row> {
  /** Passes what was read so far to `apply`, and from then on the rows of a network whenever it changes; who waits for the change waits for that, too. */
  begin(apply: Apply<Row>): void;
  /** Reads again what could not be read when it changed. @throws Failure of `unread` */
  settled(): Promise<void>;
  close(): void;
}

/** Reads rows of all networks, and again those of one that has changed. What cannot be read stays as it was. */
export async function followRows<Row>(
  source: NetworkRows<Row> | undefined,
  networks: NetworkTable,
  log: Log,
): Promise<FollowedRows<Row>> {
  const first = new Map<string, { readonly network: Prefix; readonly rows: readonly Row[] }>();
  let apply: Apply<Row> = (network, rows) => void first.set(formatPrefix(network), { network, rows });
  const load = async (network: Prefix): Promise<void> => {
    const rows: Row[] = [];
    for await (const row of eachRow((page) => source!.read(network, page))) rows.push(row);
    await apply(network, rows);
  };
  /** Networks that have changed and could not be read, by their prefixes. */
  const unread = new Map<string, Prefix>();
  const reload = async (network: Prefix): Promise<void> => {
    const name = formatPrefix(network);
    try {
      await load(network);
      unread.delete(name);
    } catch (error) {
      unread.set(name, network);
      log('error', `the ${source!.what} of ${name} stay as they were: ${(error as Error).message}`, error);
    }
  };
  // One after the other, so that older rows never come last.
  let last: Promise<void> = Promise.resolve();
  const unsubscribe = source?.subscribe((change) => {
    if (change.kind !== 'network') return;
    const { prefix } = change;
    last = last.then(() => reload(prefix));
    return last;
  });
  const close = (): void => unsubscribe?.();
  try {
    if (source !== undefined) for (const network of networks.all()) await load(network);
  } catch (error) {
    close();
    throw error;
  }
  return {
    begin(begun) {
      apply = begun;
      for (const { network, rows } of first.values()) void apply(network, rows);
      first.clear();
    },
    async settled() {
      for (const network of unread.values()) last = last.then(() => reload(network));
      await last;
      const [name] = unread.keys();
      if (name !== undefined) throw source!.unread(name);
    },
    close,
  };
}
