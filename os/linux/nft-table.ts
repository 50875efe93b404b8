import type { Kernel, NftObject } from './network-config.ts';

/** An nftables table `inet NAME` that is kept as it should be. Its functions @throws Failure as `Kernel` */
export interface NftTable {
  readonly name: string;
  /** Makes the table consist of `objects`. True if a table that was applied before was no longer what it should be. */
  reconcile(objects: readonly NftObject[]): Promise<boolean>;
  /** True once a table was applied. */
  isApplied(): boolean;
  /** True if the kernel has the table as it was applied. */
  isIntact(): Promise<boolean>;
  /** The objects of the table in the kernel; undefined if there is none. */
  read(): Promise<readonly NftObject[] | undefined>;
  remove(): Promise<void>;
}

export function nftTable(name: string, kernel: Kernel): NftTable {
  /** The table as we wrote it, and as the kernel then listed it: nft normalises rules, differently in each version. */
  let applied:
    | { readonly given: readonly NftObject[]; readonly listed: readonly NftObject[] | undefined }
    | undefined;
  const isIntact = async (): Promise<boolean> =>
    applied !== undefined && same(applied.listed, await kernel.filter(name));
  return {
    name,
    async reconcile(objects) {
      const first = applied === undefined;
      // Nothing is asked of nft as long as no table is wanted.
      if (objects.length === 0 && first) return false;
      if (applied && same(applied.given, objects) && (await isIntact())) return false;
      await kernel.change({ kind: 'filter', name, objects });
      const listed = await kernel.filter(name);
      // What another program has changed between our change and this look must not be taken for ours: its notification is still to come.
      const ours = same(outline(objects), outline(listed ?? []));
      applied = { given: objects, listed: ours ? listed : NOBODYS };
      return !first;
    },
    isApplied: () => applied !== undefined,
    isIntact,
    read: () => kernel.filter(name),
    remove: () => kernel.change({ kind: 'filter', name, objects: [] }),
  };
}

/** A listing that no table has. */
const NOBODYS: readonly NftObject[] = [];

/** What nft does not normalise: the chains with their policies, and how many rules each has. */
function outline(objects: readonly NftObject[]): readonly string[] {
  return objects
    .flatMap(({ chain, rule }) => {
      if (rule !== undefined) return [`rule of ${(rule as NftObject).chain}`];
      const { name, policy } = (chain ?? {}) as NftObject;
      return chain === undefined ? [] : [`chain ${name} ${policy}`];
    })
    .sort();
}

/** Equal in every field, whatever their order. */
export function same(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const [left, right] = [a, b] as [Record<string, unknown>, Record<string, unknown>];
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => key in right && same(left[key], right[key]))
  );
}
