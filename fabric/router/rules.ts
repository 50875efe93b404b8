import type { Log } from '../../os/service/log.ts';
import { toHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { formatPrefix, type Prefix } from '../../protocol/ipv6.ts';
import type { RouterThreads, RuleCount, RulesHandle } from '../../tunnel/router.ts';
import type { PageRequest } from '../registry/pages.ts';
import type { OwnedReader, Registry } from '../registry/registry.ts';
import type { Rule, RuleDevices, RuleOther } from '../registry/rules.ts';
import type { NetworkTable } from './networks.ts';
import { followRows } from './per-network.ts';

/** Where the rules of networks come from. */
export type RuleSource = Pick<Registry, 'subscribe'> & Pick<OwnedReader, 'rules'>;

/** The groups of the devices, numbered from 1 on in the order in which they became known. */
export interface GroupTable {
  numberOf(gid: Uint8Array): number;
}

export function groupTable(): GroupTable {
  const numbers = new Map<string, number>();
  return {
    numberOf(gid) {
      const key = toHex(gid);
      const number = numbers.get(key) ?? numbers.size + 1;
      numbers.set(key, number);
      return number;
    },
  };
}

/** The rules that the threads have. */
export interface RuleTable {
  /** What the rules of a network have decided on since the start, by their ids. */
  counts(network: Prefix): ReadonlyMap<number, RuleCount>;
  /** How many are in force. */
  readonly size: number;
  /** Reads again what could not be read when it changed. @throws Failure `router.rules-unread` */
  settled(): Promise<void>;
  close(): void;
}

/** Rules of a network that the threads have, or had a moment ago. */
interface Given {
  readonly ids: readonly number[];
  readonly handle: RulesHandle;
}

interface Network {
  given: Given[];
  /** What was counted of rules that are still there, by sets that are gone. */
  past: Map<number, RuleCount>;
}

const NOTHING: RuleCount = { packets: 0, bytes: 0 };
/** How long the threads may take for newer rules before the former ones count no more. */
const TAKEN_MS = 3_000;

/** Reads the rules of all networks. They are given to the threads by `begin`, and from then on whenever they change. */
export async function ruleTable(
  source: RuleSource | undefined,
  networks: NetworkTable,
  groups: GroupTable,
  log: Log,
): Promise<{
  begin(threads: Pick<RouterThreads, 'setRules' | 'ruleCounts' | 'settled'>): RuleTable;
  close(): void;
}> {
  const rows = source && {
    subscribe: source.subscribe,
    read: (network: Prefix, page: PageRequest) => source.rules(network, page),
    what: 'rules',
    unread: rulesUnread,
  };
  const followed = await followRows<Rule>(rows, networks, log);

  return {
    close: followed.close,
    begin(threads) {
      const table = new Map<string, Network>();
      let size = 0;
      const give = (key: string, network: Prefix, rules: readonly Rule[]): void => {
        const known: Network = table.get(key) ?? { given: [], past: new Map() };
        if (rules.length === 0 && known.given.length === 0) return;
        const handle = threads.setRules(
          networks.numberOf(network),
          encodeRules(rules, network, networks, groups),
        );
        size += rules.length - (known.given.at(-1)?.ids.length ?? 0);
        if (handle !== undefined) known.given.push({ ids: rules.map(({ id }) => id), handle });
        table.set(key, known);
      };
      const sums = ({ given, past }: Network): Map<number, RuleCount> => {
        const sum = new Map(past);
        for (const { ids, handle } of given) {
          const counts = threads.ruleCounts(handle);
          for (const [i, id] of ids.entries()) sum.set(id, added(sum.get(id), counts[i]!));
        }
        return sum;
      };
      followed.begin(async (network, rules) => {
        const key = formatPrefix(network);
        const before = table.get(key)?.given.length ?? 0;
        give(key, network, rules);
        const known = table.get(key);
        if (known === undefined || before === 0) return;
        await threads.settled(TAKEN_MS);
        // The threads count with the newer ones by now.
        const former = { given: known.given.splice(0, before), past: known.past };
        const kept = new Set(rules.map(({ id }) => id));
        known.past = new Map([...sums(former)].filter(([id]) => kept.has(id)));
        if (rules.length === 0) table.delete(key);
      });
      return {
        counts: (network) => sums(table.get(formatPrefix(network)) ?? { given: [], past: new Map() }),
        get size() {
          return size;
        },
        settled: followed.settled,
        close: followed.close,
      };
    },
  };
}

const rulesUnread = (network: string): Failure =>
  new Failure(
    'router.rules-unread',
    'retry',
    `the change is recorded, but the rules of ${network} could not be read, so those before are in force there`,
    { action: 'Repeat the command, or restart the fabric; its log says what is wrong with the registry.' },
  );

const added = (one: RuleCount = NOTHING, other: RuleCount): RuleCount => ({
  packets: one.packets + other.packets,
  bytes: one.bytes + other.bytes,
});

const RULE = 56;
const ACTIONS = { deny: 0, allow: 1 } as const;
const DIRECTIONS = { in: 0, out: 1 } as const;
const PROTOCOLS = { any: 0, tcp: 1, udp: 2, icmpv6: 3 } as const;
const PARTIES = { any: 0, group: 1, device: 2, own: 3, network: 4, host: 5, outside: 6 } as const;
const ALL_PORTS = { first: 0, last: 65_535 };

/** Rules of a network, in their order, as native/router/rules/rules.h has them. */
export function encodeRules(
  rules: readonly Rule[],
  network: Prefix,
  networks: Pick<NetworkTable, 'numberOf'>,
  groups: GroupTable,
): Uint8Array {
  const bytes = new Uint8Array(RULE * rules.length);
  const own = formatPrefix(network);
  for (const [i, rule] of rules.entries()) {
    const at = RULE * i;
    const view = new DataView(bytes.buffer, at, RULE);
    const { first, last } = rule.ports ?? ALL_PORTS;
    const { devices, other } = rule;
    bytes.set([ACTIONS[rule.action], DIRECTIONS[rule.direction], PARTIES[devices.kind]], at);
    bytes[at + 3] =
      other.kind === 'network' && formatPrefix(other.prefix) === own ? PARTIES.own : PARTIES[other.kind];
    bytes[at + 4] = PROTOCOLS[rule.protocol];
    view.setUint16(8, first);
    view.setUint16(10, last);
    if (devices.kind === 'group') view.setUint32(12, groups.numberOf(devices.gid));
    if (other.kind === 'group') view.setUint32(16, groups.numberOf(other.gid));
    const elsewhere = networkOf(other);
    if (elsewhere !== undefined && formatPrefix(elsewhere) !== own)
      view.setUint32(20, networks.numberOf(elsewhere));
    if (devices.kind === 'device') bytes.set(devices.address, at + 24);
    if (other.kind === 'device') bytes.set(other.address, at + 40);
  }
  return bytes;
}

/** The network in which the other end lies, if it is one of the fabric's. */
function networkOf(other: RuleDevices | RuleOther): Prefix | undefined {
  if (other.kind === 'network') return other.prefix;
  if (other.kind === 'group') return other.network;
  if (other.kind !== 'device') return undefined;
  const address = new Uint8Array(16);
  address.set(other.address.subarray(0, 8));
  return { address, length: 64 };
}
