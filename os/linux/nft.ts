import type { NftObject } from './network-config.ts';

/** The parts of an nftables table `inet NAME`, as libnftables-json(5) has them. */

export interface Chain {
  readonly name: string;
  readonly rules: readonly (readonly NftObject[])[];
}

/** A chain that the kernel calls for packets. */
export interface BaseChain extends Chain {
  readonly hook: 'prerouting' | 'input' | 'output' | 'forward' | 'postrouting';
  readonly priority: number;
  /** What no rule has decided is dropped; else it is accepted. */
  readonly drop: boolean;
}

/** Before most others' chains of the same hook (filter is 0). */
export const EARLY = -10;
/** Before connection tracking and reverse path checks. */
export const RAW = -300;
export const MANGLE = -150;

export const ACCEPT: NftObject = { accept: null };
export const DROP: NftObject = { drop: null };
export const match = (left: unknown, right: unknown, op = '=='): NftObject => ({
  match: { op, left, right },
});
export const meta = (key: string): NftObject => ({ meta: { key } });
export const payload = (protocol: string, field: string): NftObject => ({ payload: { protocol, field } });
export const oneOf = (values: readonly unknown[]): unknown =>
  values.length === 1 ? values[0] : { set: values };

/** The objects of the table with these chains, and with sets that have everything but family and table. */
export function tableObjects(
  table: string,
  chains: readonly (Chain | BaseChain)[],
  sets: readonly NftObject[] = [],
): readonly NftObject[] {
  const place = { family: 'inet', table };
  return [
    { table: { family: 'inet', name: table } },
    ...sets.map((set) => ({ set: { ...place, ...set } })),
    ...chains.map((chain) => ({
      chain: { ...place, name: chain.name, ...('hook' in chain && base(chain)) },
    })),
    ...chains.flatMap(({ name, rules }) => rules.map((expr) => ({ rule: { ...place, chain: name, expr } }))),
  ];
}

const base = ({ hook, priority, drop }: BaseChain): NftObject => ({
  type: 'filter',
  hook,
  prio: priority,
  policy: drop ? 'drop' : 'accept',
});
