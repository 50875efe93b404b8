import type { Change } from '../../../../fabric/registry/records.ts';
import type { NewRule, Rule } from '../../../../fabric/registry/rules.ts';
import type { NetworkSource } from '../../../../fabric/router/networks.ts';
import type { RuleSource } from '../../../../fabric/router/rules.ts';
import { formatPrefix, type Prefix } from '../../../../protocol/ipv6.ts';

/** The networks of a fabric for a router, which are told to change. */
export interface FakeNetworks {
  readonly source: NetworkSource;
  /** Says that something of a network is another, and resolves when everybody has heard of it. */
  tell(prefix: Prefix): Promise<void>;
  /** Gives a network the prefix out of which its devices get theirs, or takes it. */
  setPool(network: Prefix, pool: Prefix | undefined): Promise<void>;
}

/** A registry with these networks, as far as a router asks it for them. */
export function fakeNetworks(prefixes: readonly Prefix[]): FakeNetworks {
  const listeners = new Set<(change: Change) => unknown>();
  const pools = new Map<string, Prefix>();
  const poolOf = (prefix: Prefix): Prefix | undefined => pools.get(formatPrefix(prefix));
  const tell = async (prefix: Prefix): Promise<void> => {
    await Promise.all([...listeners].map((listener) => listener({ kind: 'network', prefix })));
  };
  return {
    source: {
      networks: async () => ({
        rows: prefixes.map((prefix) => {
          const pool = poolOf(prefix);
          return { prefix, name: '', owner: '', residentOnly: false, created: 0, ...(pool && { pool }) };
        }),
        next: undefined,
      }),
      pool: async (network) => poolOf(network),
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      onAdmitted: () => () => {},
    },
    tell,
    async setPool(network, pool) {
      if (pool === undefined) pools.delete(formatPrefix(network));
      else pools.set(formatPrefix(network), pool);
      await tell(network);
    },
  };
}

/** Networks with rules, which may change, as a registry tells them. */
export interface FakeRules extends NetworkSource, RuleSource {
  /** Makes every question for rules fail, as a broken database would. */
  broken: boolean;
  readonly setPool: FakeNetworks['setPool'];
  /** Gives a network these rules; what is not said of one is that of a rule that lets everything in. */
  setRules(network: Prefix, ...rules: Partial<NewRule>[]): Promise<Rule[]>;
}

export function fakeRules(prefixes: readonly Prefix[]): FakeRules {
  const { source, tell, setPool } = fakeNetworks(prefixes);
  const table = new Map<string, Rule[]>();
  let last = 0;
  return {
    ...source,
    broken: false,
    setPool,
    async rules(network) {
      if (this.broken) throw new Error('the disk is full');
      return { rows: table.get(formatPrefix(network)) ?? [], next: undefined };
    },
    async setRules(network, ...rules) {
      const made = rules.map(
        (rule, i): Rule => ({
          ...{ action: 'allow', direction: 'in', devices: { kind: 'any' }, other: { kind: 'any' } },
          ...{ protocol: 'any', id: ++last, network, place: i + 1, created: 0 },
          ...rule,
        }),
      );
      table.set(formatPrefix(network), made);
      await tell(network);
      return made;
    },
  };
}
