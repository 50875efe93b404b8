import type { Log } from '../../os/service/log.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Prefix } from '../../protocol/ipv6.ts';
import type { RouterThreads } from '../../tunnel/router.ts';
import type { PageRequest } from '../registry/pages.ts';
import type { RateLimit } from '../registry/rates.ts';
import { RATE_FIELDS } from '../registry/rates.ts';
import type { OwnedReader, Registry } from '../registry/registry.ts';
import type { NetworkTable } from './networks.ts';
import { type FollowedRows, followRows } from './per-network.ts';
import type { GroupTable } from './rules.ts';

/** Where the rate limits of networks come from. */
export type RateSource = Pick<Registry, 'subscribe'> & Pick<OwnedReader, 'rateLimits'>;

/** The rate limits that the threads have: each device's thread finds those of its own devices in them. */
export interface RateTable {
  /** Reads again what could not be read when it changed. @throws Failure `router.limits-unread` */
  settled(): Promise<void>;
  close(): void;
}

/** Reads the rate limits of all networks. They are given to the threads by `begin`, and from then on whenever they change. */
export async function rateTable(
  source: RateSource | undefined,
  networks: NetworkTable,
  groups: GroupTable,
  log: Log,
): Promise<{ begin(threads: Pick<RouterThreads, 'setRates'>): RateTable; close(): void }> {
  const rows = source && {
    subscribe: source.subscribe,
    read: (network: Prefix, page: PageRequest) => source.rateLimits(network, page),
    what: 'rate limits',
    unread: limitsUnread,
  };
  const followed: FollowedRows<RateLimit> = await followRows(rows, networks, log);
  /** Numbers of the networks that have any. */
  const given = new Set<number>();
  return {
    close: followed.close,
    begin(threads) {
      followed.begin((network, limits) => {
        const number = networks.numberOf(network);
        if (limits.length === 0 && !given.delete(number)) return;
        if (limits.length > 0) given.add(number);
        threads.setRates(number, encodeRates(limits, groups));
      });
      return followed;
    },
  };
}

const limitsUnread = (network: string): Failure =>
  new Failure(
    'router.limits-unread',
    'retry',
    `the change is recorded, but the rate limits of ${network} could not be read, so those before are in force there`,
    { action: 'Repeat the command, or restart the fabric; its log says what is wrong with the registry.' },
  );

const RATE = 56;
const PARTIES = { max: 0, any: 1, group: 2, device: 3 } as const;
/** In place of a value: that of more devices counts. */
const INHERITED = 2n ** 64n - 1n;

/** Rate limits of a network, as native/router/rates/rates.h has them. */
export function encodeRates(limits: readonly RateLimit[], groups: GroupTable): Uint8Array {
  const bytes = new Uint8Array(RATE * limits.length);
  for (const [i, { devices, rates }] of limits.entries()) {
    const view = new DataView(bytes.buffer, RATE * i, RATE);
    view.setUint8(0, PARTIES[devices.kind]);
    if (devices.kind === 'group') view.setUint32(4, groups.numberOf(devices.gid));
    if (devices.kind === 'device') bytes.set(devices.address, RATE * i + 8);
    for (const [n, [direction, what]] of RATE_FIELDS.entries()) {
      const value = rates[direction][what];
      view.setBigUint64(24 + 8 * n, value === undefined ? INHERITED : BigInt(value));
    }
  }
  return bytes;
}
