import { concat, fromHex, u16 } from '../../../protocol/bytes.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';

/** What a tunnel may carry to a device, and what it may not: [name, passes, packet]. TypeScript and C are tested with the same. */
export function ingressCases(
  own: Uint8Array,
  peer: Uint8Array,
): readonly (readonly [string, boolean, Uint8Array])[] {
  const six = (source: Uint8Array, next: number, payload: Uint8Array): Uint8Array =>
    concat(fromHex('60000000'), u16(payload.length), Uint8Array.of(next, 255), source, own, payload);
  const four = (source: string, destination = '192.0.2.9'): Uint8Array => {
    const address = (text: string): Uint8Array => Uint8Array.from(text.split('.'), Number);
    return concat(
      fromHex('450000180000000040110000'),
      address(source),
      address(destination),
      new Uint8Array(4),
    );
  };
  const icmp = (type: number): Uint8Array => Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0);
  const behind = (next: number, header: number, type: number): [number, Uint8Array] => [
    header,
    concat(Uint8Array.of(next, 0, 0, 0, 0, 0, 0, 0), icmp(type)),
  ];
  const udp = new Uint8Array(8);
  return [
    ['a peer', true, six(peer, 17, udp)],
    ['a peer of the Internet', true, six(parseIpv6('2001:db8::1'), 17, udp)],
    ['IPv4', true, four('198.51.100.1')],
    ...['fe80::1', 'fe80::2', 'febf::1', 'ff02::1', 'ff0e::1', '::1', '::', '::7f00:1', '::ffff:7f00:1'].map(
      (source) => [`from ${source}`, false, six(parseIpv6(source), 17, udp)] as const,
    ),
    ['from the own address', false, six(own, 17, udp)],
    ...['0.0.0.0', '127.0.0.1', '169.254.1.1', '224.0.0.1', '255.255.255.255'].map(
      (source) => [`from ${source}`, false, four(source)] as const,
    ),
    ['to 127.0.0.1', false, four('198.51.100.1', '127.0.0.1')],
    ...[133, 134, 135, 136, 137].flatMap((type) => [
      [`ICMPv6 ${type}`, false, six(peer, 58, icmp(type))] as const,
      [`ICMPv6 ${type} from the router`, false, six(parseIpv6('fe80::1'), 58, icmp(type))] as const,
      ...[0, 43, 44, 60, 135, 139, 140].map(
        (header) =>
          [`ICMPv6 ${type} behind ${header}`, false, six(peer, ...behind(58, header, type))] as const,
      ),
    ]),
    [
      'ICMPv6 134 behind an authentication header',
      false,
      six(peer, 51, concat(fromHex('3a01000000000000'), fromHex('00000000'), icmp(134))),
    ],
    [
      'ICMPv6 134 behind two headers',
      false,
      six(peer, 0, concat(fromHex('3c00000000000000'), fromHex('3a00000000000000'), icmp(134))),
    ],
    ...[1, 2, 3, 4, 128, 129, 132, 138].map(
      (type) => [`ICMPv6 ${type}`, true, six(peer, 58, icmp(type))] as const,
    ),
    ['the router’s answer to a ping', true, six(parseIpv6('fe80::1'), 58, icmp(129))],
    ['the router’s question', false, six(parseIpv6('fe80::1'), 58, icmp(128))],
    ['a later fragment', true, six(peer, 44, concat(fromHex('3a00000800000001'), icmp(134)))],
    ['UDP behind options', true, six(peer, ...behind(17, 60, 0))],
    ['a chain that leaves the packet', false, six(peer, 60, fromHex('3aff000000000000'))],
    ['half a fragment header', false, six(peer, 44, fromHex('3a0000'))],
    ['an extension header without any byte', false, six(peer, 60, new Uint8Array())],
    ['nothing behind the header', true, six(peer, 59, new Uint8Array())],
  ];
}
