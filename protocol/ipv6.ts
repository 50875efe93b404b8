import { Failure } from './failure.ts';

/** An IPv6 prefix; `address` has its host bits cleared. */
export interface Prefix {
  readonly address: Uint8Array;
  readonly length: number;
}

/** RFC 5952 text of a 16-byte address. */
export function formatIpv6(address: Uint8Array): string {
  if (address.length !== 16) throw new Error(`an IPv6 address has 16 bytes, not ${address.length}`);
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((address[i]! << 8) | address[i + 1]!);
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(':');
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
}

/** Parses any textual IPv6 address without zone or embedded IPv4. @throws Failure `ipv6.bad-address` */
export function parseIpv6(text: string): Uint8Array {
  const bad = (): Failure =>
    new Failure(
      'ipv6.bad-address',
      'operator',
      `expected an IPv6 address such as fd00::1, got ${JSON.stringify(text.slice(0, 60))}`,
    );
  const halves = text.split('::');
  if (halves.length > 2) throw bad();
  const parse = (half: string): number[] => {
    if (half === '') return [];
    return half.split(':').map((group) => {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) throw bad();
      return Number.parseInt(group, 16);
    });
  };
  const head = parse(halves[0]!);
  const tail = halves.length === 2 ? parse(halves[1]!) : [];
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) throw bad();
  const groups = [...head, ...Array<number>(missing).fill(0), ...tail];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** Parses `address/length`; a bare address is a /128. @throws Failure `ipv6.bad-prefix` */
export function parsePrefix(text: string): Prefix {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
  const length = match?.[2] === undefined ? 128 : Number(match[2]);
  if (!match || length > 128) {
    throw new Failure(
      'ipv6.bad-prefix',
      'operator',
      `expected an IPv6 prefix such as fd00:1::/64, got ${JSON.stringify(text.slice(0, 60))}`,
    );
  }
  const address = parseIpv6(match[1]!);
  if (!isMasked(address, length)) {
    throw new Failure(
      'ipv6.bad-prefix',
      'operator',
      `prefix ${text} has bits set behind its length ${length}`,
      {
        action: `Write ${formatIpv6(mask(address, length))}/${length}.`,
      },
    );
  }
  return { address, length };
}

/** `address/length` in RFC 5952 form. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatIpv6(prefix.address)}/${prefix.length}`;
}

/** The prefix of this length that `address` lies in. */
export function prefixOf(address: Uint8Array, length: number): Prefix {
  return { address: mask(address, length), length };
}

/** True if `address` lies in `prefix`. */
export function matches(prefix: Prefix, address: Uint8Array): boolean {
  const masked = mask(address, prefix.length);
  const own = mask(prefix.address, prefix.length);
  return masked.every((byte, i) => byte === own[i]);
}

/** Whether all addresses of the prefix are global or unique local unicast. */
export const isInUnicast = (prefix: Prefix): boolean =>
  UNICAST.some((range) => prefix.length >= range.length && matches(range, prefix.address));

/** Global unicast, 2000::/3 (RFC 4291 §2.4), and unique local, fc00::/7 (RFC 4193): no loopback, link-local, multicast or embedded IPv4. */
export const UNICAST: readonly Prefix[] = [
  { address: Uint8Array.of(0x20, ...new Uint8Array(15)), length: 3 },
  { address: Uint8Array.of(0xfc, ...new Uint8Array(15)), length: 7 },
];

function mask(address: Uint8Array, length: number): Uint8Array {
  return address.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, length - 8 * i))) & 0xff);
}

function isMasked(address: Uint8Array, length: number): boolean {
  const masked = mask(address, length);
  return address.every((byte, i) => byte === masked[i]);
}
