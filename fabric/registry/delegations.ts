import { Failure } from '../../protocol/failure.ts';
import { formatPrefix, isInUnicast, type Prefix, parsePrefix } from '../../protocol/ipv6.ts';
import type { Page, PageRequest } from './pages.ts';
import type { Device } from './records.ts';

/** Who is granted a prefix: each device of a group, or one device. */
export type Receiver =
  | { readonly kind: 'group'; readonly gid: Uint8Array }
  | { readonly kind: 'device'; readonly address: Uint8Array };

/** A /64 that is a device's, for the machines behind it. */
export interface Delegation {
  readonly prefix: Prefix;
  /** Of the device. */
  readonly address: Uint8Array;
  readonly name?: string;
  /** False: it is not granted any more, and nobody else's. */
  readonly inForce: boolean;
}

/** What is read of delegated prefixes in a scope. */
export interface DelegationReader {
  /** The prefix out of which the devices of a network get theirs; undefined if there is none. */
  pool(network: Prefix): Promise<Prefix | undefined>;
  /** The prefixes of a network's devices, in their order; none if there is no such network. */
  delegations(network: Prefix, page: PageRequest): Promise<Page<Delegation>>;
  /** Whether each device of a group (32 bytes) gets a prefix. */
  isGroupGranted(gid: Uint8Array): Promise<boolean>;
  /** The prefix that this device has now, if it has one. */
  delegated(device: Pick<Device, 'address' | 'gid' | 'network'>): Promise<Prefix | undefined>;
  /** The address of the device behind which an address (16 bytes) is, if it is in a prefix that is delegated now. */
  deviceBehind(address: Uint8Array): Promise<Uint8Array | undefined>;
}

export interface OwnDelegations {
  /**
   * Gives a network the pool for its devices' prefixes, in place of the one that it had, or takes that away.
   * @throws Failure `fabric.unknown-network`, `fabric.prefix-not-lent`, `fabric.prefix-in-use`, `fabric.pool-in-use`
   */
  setPool(actor: string, network: Prefix, pool: Prefix | undefined): Promise<void>;
  /**
   * Grants the devices of a group, or one device, a prefix each, or withdraws that. False if that was so already.
   * @throws Failure `fabric.unknown-group`, `fabric.unknown-device`, `fabric.device-retired`, `fabric.no-pool`, `fabric.pool-full`
   */
  setGrant(actor: string, receiver: Receiver, granted: boolean): Promise<boolean>;
}

/** The shortest pool: 65,536 prefixes. */
const SHORTEST = 48;

/** Parses the prefix of a pool. @throws Failure `fabric.bad-pool`, `ipv6.bad-prefix`, `ipv6.bad-address` */
export function parsePool(text: string): Prefix {
  const pool = parsePrefix(text);
  if (pool.length >= SHORTEST && pool.length <= 64 && isInUnicast(pool)) return pool;
  throw new Failure(
    'fabric.bad-pool',
    'operator',
    `prefixes for devices come out of a prefix of ${SHORTEST} to 64 bits in 2000::/3 or fc00::/7, got ${formatPrefix(pool)}`,
    { action: 'Give a prefix such as fd00:8f80:9000::/48.' },
  );
}

/** How many /64s are in a pool. */
export const prefixesIn = ({ length }: Prefix): number => 2 ** (64 - length);

/** The /64 of that number, from 0 on. */
export function nthPrefix({ address }: Prefix, number: number): Prefix {
  const bytes = address.slice();
  for (let i = 7, rest = number; rest > 0; i--, rest = Math.floor(rest / 256)) bytes[i]! += rest % 256;
  return { address: bytes, length: 64 };
}
