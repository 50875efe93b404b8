import type { Kernel, NftObject } from '../../os/linux/network-config.ts';
import { nftTable } from '../../os/linux/nft-table.ts';
import type { Log } from '../../os/service/log.ts';
import { isFailure } from '../../protocol/failure.ts';
import { describeError } from './describe.ts';
import { filterName } from './nftables.ts';
import type { Policy } from './policy.ts';

/** The nftables table of one interface. Its functions @throws Failure as `Kernel` */
export interface Filter {
  readonly name: string;
  /** Makes the table consist of `objects`. True if a table that was applied before was no longer what it should be. */
  reconcile(objects: readonly NftObject[]): Promise<boolean>;
  /** True once a table was applied, and since then no reconciliation has failed. */
  holds(): boolean;
  /** The objects of the table in the kernel; undefined if there is none. */
  read(): Promise<readonly NftObject[] | undefined>;
  remove(): Promise<void>;
  /** Removes the table if `reconcile` has applied one. */
  removeApplied(): Promise<void>;
}

/** `note` receives the failures that are only logged. */
export function openFilter(
  { mode, device }: Policy,
  kernel: Kernel,
  log: Log,
  note: (failure: unknown) => void,
): Filter {
  const table = nftTable(filterName(device), kernel);
  let warned = false;
  let holds = false;

  return {
    name: table.name,
    async reconcile(objects) {
      try {
        const changed = await table.reconcile(objects);
        holds = table.isApplied();
        return changed;
      } catch (error) {
        holds = false;
        // In split mode the table only helps forwarded connections; the tunnel works without.
        if (mode === 'lockdown' || !isFailure(error)) throw error;
        note(error);
        if (!warned)
          log(
            'warning',
            `forwarded TCP connections are not clamped to the tunnel's MTU: ${describeError(error)}`,
          );
        warned = true;
        return false;
      }
    },
    holds: () => holds,
    read: table.read,
    remove: table.remove,
    removeApplied: async () => {
      if (table.isApplied()) await table.remove();
    },
  };
}
