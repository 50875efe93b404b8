import type { Kernel, NftObject } from '../../os/linux/network-config.ts';
import type { Log } from '../../os/service/log.ts';
import { isFailure } from '../../protocol/failure.ts';
import { describeError } from './describe.ts';
import { same } from './desired.ts';
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
  const name = filterName(device);
  /** The table as we wrote it, and as the kernel then listed it: nft normalises rules, differently in each version. */
  let applied:
    | { readonly given: readonly NftObject[]; readonly listed: readonly NftObject[] | undefined }
    | undefined;
  let warned = false;
  let holds = false;

  const apply = async (objects: readonly NftObject[]): Promise<boolean> => {
    const first = applied === undefined;
    // In split mode nothing is asked of nft as long as no table is wanted.
    if (objects.length === 0 && first) return false;
    if (applied && same(applied.given, objects) && same(applied.listed, await kernel.filter(name)))
      return false;
    await kernel.change({ kind: 'filter', name, objects });
    applied = { given: objects, listed: await kernel.filter(name) };
    return !first;
  };

  const remove = (): Promise<void> => kernel.change({ kind: 'filter', name, objects: [] });

  return {
    name,
    async reconcile(objects) {
      try {
        const changed = await apply(objects);
        holds = applied !== undefined;
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
    read: () => kernel.filter(name),
    remove,
    removeApplied: async () => {
      if (applied !== undefined) await remove();
    },
  };
}
