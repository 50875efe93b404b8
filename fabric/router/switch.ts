import { equal } from '../../protocol/bytes.ts';
import { formatPrefix, type Prefix } from '../../protocol/ipv6.ts';
import { echoReply, ROUTER_ADDRESS } from '../../protocol/tunnel/icmp6.ts';
import { parsePacket } from '../../protocol/tunnel/packet.ts';
import type { DropCause } from './counters.ts';

/** Where packets of one device come from and go to. */
export interface Port {
  readonly address: Uint8Array;
  readonly network: Prefix;
}

/** Where a packet goes. `answer` is the reply for the port it came from. */
export type Decision<P> =
  | { readonly to: 'port'; readonly port: P }
  | { readonly to: 'tun' }
  | { readonly to: 'sender'; readonly answer: Uint8Array }
  | { readonly to: 'nowhere'; readonly cause: DropCause };

/** Decides where packets go; moves none. */
export interface Switch<P extends Port> {
  /** From now on the port owns its address; returns the port that owned it so far. */
  attach(port: P): P | undefined;
  /** The port gives up its address, unless another one has taken it. */
  detach(port: P): void;
  /** The port that owns `address`. */
  owner(address: Uint8Array): P | undefined;
  ports(): IterableIterator<P>;
  /** A packet that the device on `from` sent. */
  fromPort(from: P, packet: Uint8Array): Decision<P>;
  /** A packet that the host sent. */
  fromTun(packet: Uint8Array): Decision<P>;
  /** The registry changed: what `isDevice` said is worth nothing any more. */
  forget(): void;
}

/** Answers of `isDevice` remembered at most. */
const REMEMBERED = 4096;

const TO_TUN = { to: 'tun' } as const;

/**
 * A switch between ports. `isDevice` tells whether an address belongs to a device, connected or not: what is for a
 * device never goes to the host, which might find another way to it.
 */
export function createSwitch<P extends Port>(
  isDevice: (address: Uint8Array) => boolean | undefined,
  hasTun: boolean,
): Switch<P> {
  const table = new Map<string, P>();
  const networks = new WeakMap<P, string>();
  const remembered = new Map<string, boolean>();

  const knownDevice = (key: string, address: Uint8Array): boolean => {
    let answer: boolean | undefined = remembered.get(key);
    if (answer === undefined) {
      answer = isDevice(address);
      if (answer === undefined) return true;
      if (remembered.size >= REMEMBERED) remembered.clear();
      remembered.set(key, answer);
    }
    return answer;
  };

  return {
    attach(port) {
      const key = keyOf(port.address);
      const older = table.get(key);
      table.set(key, port);
      networks.set(port, formatPrefix(port.network));
      return older;
    },
    detach(port) {
      const key = keyOf(port.address);
      if (table.get(key) === port) table.delete(key);
    },
    owner: (address) => table.get(keyOf(address)),
    ports: () => table.values(),
    fromPort(from, packet) {
      const parsed = parsePacket(packet);
      if (parsed?.version !== 6) return drop('malformed');
      if (!equal(parsed.source, from.address)) return drop('spoofed');
      if (equal(parsed.destination, ROUTER_ADDRESS)) {
        const answer = echoReply(packet);
        return answer === undefined ? drop('unroutable') : { to: 'sender', answer };
      }
      if (!isGlobal(parsed.destination)) return drop('unroutable');
      const key = keyOf(parsed.destination);
      const port = table.get(key);
      if (port !== undefined) {
        return networks.get(port) === networks.get(from) ? { to: 'port', port } : drop('foreign-network');
      }
      if (knownDevice(key, parsed.destination)) return drop('offline');
      return hasTun ? TO_TUN : drop('no-tun');
    },
    fromTun(packet) {
      const parsed = parsePacket(packet);
      if (parsed?.version !== 6) return drop('malformed');
      if (!isGlobal(parsed.destination)) return drop('unroutable');
      const port = table.get(keyOf(parsed.destination));
      return port === undefined ? drop('offline') : { to: 'port', port };
    },
    forget: () => remembered.clear(),
  };
}

const DROPS = new Map<DropCause, { to: 'nowhere'; cause: DropCause }>();

/** One object per cause: a flood of bad packets allocates nothing. */
function drop(cause: DropCause): { to: 'nowhere'; cause: DropCause } {
  let decision = DROPS.get(cause);
  if (decision === undefined) {
    decision = { to: 'nowhere', cause };
    DROPS.set(cause, decision);
  }
  return decision;
}

/** Not multicast (ff00::/8), link-local (fe80::/10), unspecified (::) or loopback (::1). */
function isGlobal(address: Uint8Array): boolean {
  if (address[0] === 0xff) return false;
  if (address[0] === 0xfe && (address[1]! & 0xc0) === 0x80) return false;
  for (let i = 0; i < 15; i++) if (address[i] !== 0) return true;
  return address[15]! > 1;
}

/** The 16 bytes as the text that a Map wants. */
function keyOf(address: Uint8Array): string {
  return String.fromCharCode(...address);
}
