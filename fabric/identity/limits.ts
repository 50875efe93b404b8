import { toHex } from '../../protocol/bytes.ts';
import { parseIpv6 } from '../../protocol/ipv6.ts';

/** How many handshakes may be open at the same time. */
export interface Limits {
  readonly total: number;
  /** Per IPv4 address or IPv6 /64. Devices behind one NAT share it. */
  readonly perSource: number;
}

/** Counts open connections. */
export interface Counter {
  /** Takes a place for the peer; undefined if there is none. The result gives it back, once. */
  enter(peer: string): (() => void) | undefined;
  readonly open: number;
}

export function connectionCounter(limits: Limits): Counter {
  const sources = new Map<string, number>();
  let open = 0;
  return {
    enter(peer) {
      const source = sourceOf(peer);
      const count = sources.get(source) ?? 0;
      if (open >= limits.total || count >= limits.perSource) return undefined;
      open++;
      sources.set(source, count + 1);
      let left = false;
      return () => {
        if (left) return;
        left = true;
        open--;
        const rest = sources.get(source)! - 1;
        if (rest === 0) sources.delete(source);
        else sources.set(source, rest);
      };
    },
    get open() {
      return open;
    },
  };
}

/** A peer's address without zone; an IPv4 one in IPv6 clothes (`::ffff:192.0.2.1`) as IPv4. */
export function peerAddress(remote: string | undefined): string {
  return (remote ?? 'unknown').replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
}

/** What one party can easily have many of counts as one: the /64 of an IPv6 address, or the IPv4 address. */
export function sourceOf(peer: string): string {
  return peer.includes(':') ? `${toHex(parseIpv6(peer).subarray(0, 8))}/64` : peer;
}
