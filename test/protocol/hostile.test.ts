import { describe, test } from 'vitest';
import { parseConfig } from '../../agent/config/config.ts';
import { parseLibconfig } from '../../agent/enftun/libconfig.ts';
import { readGeneration } from '../../agent/state/state.ts';
import { parseFilterMessages, parseRouteMessages } from '../../os/linux/netlink.ts';
import { addressesInHosts } from '../../os/net/resolver.ts';
import { decodeBase45 } from '../../protocol/base45.ts';
import { concat, fromHex, u16 } from '../../protocol/bytes.ts';
import { parseDnsAnswer } from '../../protocol/dns.ts';
import { isFailure } from '../../protocol/failure.ts';
import { decodeBase64 } from '../../protocol/identity/base64.ts';
import { parseIdentityCertificate } from '../../protocol/identity/certificate.ts';
import { namesIn } from '../../protocol/identity/certificate-request.ts';
import { decodeBody, parseCertsOnly } from '../../protocol/identity/certs-only.ts';
import { readChildren, readDer } from '../../protocol/identity/der.ts';
import { parseTss2 } from '../../protocol/identity/key-file.ts';
import { parseEcPrivateKey } from '../../protocol/identity/key-pair.ts';
import { parseTrust } from '../../protocol/identity/trust.ts';
import { parseIpv6, parsePrefix } from '../../protocol/ipv6.ts';
import { parseLabel } from '../../protocol/label.ts';
import { ALL_DHCP_AGENTS, answerDhcp6 } from '../../protocol/tunnel/dhcp6.ts';
import { allowsEgress, allowsIngress } from '../../protocol/tunnel/firewall.ts';
import { frameReader } from '../../protocol/tunnel/frame.ts';
import { echoReply, isHeartbeatReply } from '../../protocol/tunnel/icmp6.ts';
import { checksum6, encodePacket6, parsePacket } from '../../protocol/tunnel/packet.ts';
import { isRouterSolicitation } from '../../protocol/tunnel/ra.ts';
import { parseReport } from '../../protocol/tunnel/report.ts';
import { parseVerdict } from '../../protocol/tunnel/verdict.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';
import { parseRootCertificate, parseServerCertificate } from '../../protocol/xtt/certificate.ts';

// What a decoder gets here takes minutes if its work is quadratic, and milliseconds if it is linear. Vitest's timeout is the judge.

const SIZES = [1_000, 300_000];

/** Units that regular expressions, recursive grammars and length fields stumble over. */
const UNITS = [
  '\0',
  ' ',
  '\n',
  'a',
  '0',
  '-',
  '.',
  ':',
  '::',
  '=',
  '"',
  "'",
  '\\',
  '(',
  '[',
  '{',
  '/*',
  '//',
  '# x\n',
  'a-',
  'a.',
  '1:',
  'a=1;\n',
  'a="x";',
  '"a" ',
  '[a]\n',
  '[[a]]\n',
  'a.a.',
  'k = 1\n',
  '[1,',
  '{a=',
  '"\\u0041',
  '"""',
  "'''",
  '-----BEGIN CERTIFICATE-----',
  '-----BEGIN CERTIFICATE-----\nAAAA',
  'AAAA',
  'ENF1:',
  'https://x#',
  '%',
  'é',
  '𝄞',
];
const BYTES = [
  [0],
  [0xff],
  [0x30, 0],
  [0x30, 0x80],
  [0x30, 0x82, 0xff, 0xff],
  [0x02, 1, 0],
  [0xc0, 0x0c],
  [0, 3, 0, 0],
  [0, 5, 0, 24],
  [0xf0, 0x90, 0x80, 0x80],
  [0, 0],
  [0, 1, 0],
  [5, 0xdc],
  [16, 0, 0, 0, 20, 0, 0, 0],
  [0x60, 0, 0, 0],
];

const text = (unit: string, size: number): string =>
  unit.repeat(Math.ceil(size / unit.length)).slice(0, size);
const bytes = (unit: readonly number[], size: number): Uint8Array => {
  const long = new Uint8Array(size);
  for (let i = 0; i < size; i++) long[i] = unit[i % unit.length]!;
  return long;
};

const HOSTILE_BYTES = SIZES.flatMap((size) => BYTES.map((unit) => bytes(unit, size)));
const HOSTILE_TEXTS = SIZES.flatMap((size) => UNITS.map((unit) => text(unit, size)));

/** Runs it; a Failure is an answer, too, and everything else is none. */
function ends(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    if (!isFailure(error)) throw error;
  }
}

const own = parseIpv6('fd00::7');
const CLIENT = parseIpv6('fe80::2');
const query = concat(
  fromHex('123401000001000000000000'),
  fromHex('03656e66076578616d706c6500'),
  fromHex('00010001'),
);
const dhcp = (options: Uint8Array): Uint8Array => {
  const body = options.subarray(0, 65_000);
  const datagram = concat(u16(546), u16(547), u16(12 + body.length), u16(0), Uint8Array.of(1, 1, 2, 3), body);
  datagram.set(u16(checksum6(17, CLIENT, ALL_DHCP_AGENTS, datagram)), 6);
  return encodePacket6(17, CLIENT, ALL_DHCP_AGENTS, datagram);
};
const icmp = (body: Uint8Array): Uint8Array => encodePacket6(58, CLIENT, own, body.subarray(0, 65_000));

const OF_BYTES: Record<string, (input: Uint8Array) => unknown> = {
  DNS: (input) =>
    parseDnsAnswer(query, concat(fromHex('12348180000100ff00000000'), query.subarray(12), input)),
  DER: (input) => [readDer(input), readChildren(input, 0x30)],
  'identity certificate': parseIdentityCertificate,
  'names in a certificate': namesIn,
  'certs-only PKCS #7': (input) => [parseCertsOnly(input), decodeBody(input)],
  'EC key': parseEcPrivateKey,
  'XTT root certificate': parseRootCertificate,
  'XTT server certificate': parseServerCertificate,
  packet: (input) => [parsePacket(input), allowsEgress(own, input), allowsIngress(own, input, true)],
  frames: (input) => frameReader().push(input),
  'frames byte by byte': (input) => {
    const reader = frameReader();
    for (const byte of input.subarray(0, 100_000)) reader.push(Uint8Array.of(byte));
  },
  ICMPv6: (input) => [
    echoReply(icmp(input)),
    isHeartbeatReply(own, icmp(input)),
    isRouterSolicitation(icmp(input)),
  ],
  DHCPv6: (input) => answerDhcp6({ own, duid: own }, dhcp(input)),
  'DHCPv6 with an association': (input) =>
    answerDhcp6(
      { own, duid: own },
      dhcp(
        concat(
          fromHex('000100030102030003'),
          u16(12 + Math.min(60_000, input.length)),
          new Uint8Array(12),
          input.subarray(0, 60_000),
        ),
      ),
    ),
  report: (input) => parseReport(concat(Uint8Array.of(0xf3), input)),
  verdict: parseVerdict,
  'state file': (input) => readGeneration(input, 'x'),
  'UTF-8': decodeUtf8,
  'netlink routes': parseRouteMessages,
  'netlink filter': parseFilterMessages,
};

const OF_TEXT: Record<string, (input: string) => unknown> = {
  base45: decodeBase45,
  base64: decodeBase64,
  hex: fromHex,
  label: (input) => [() => parseLabel(input), () => parseLabel(`ENF1:${input}`)].forEach(ends),
  'TSS2 key': (input) =>
    [
      () => parseTss2(input),
      () => parseTss2(`-----BEGIN TSS2 PRIVATE KEY-----\n${input}\n-----END TSS2 PRIVATE KEY-----`),
    ].forEach(ends),
  address: parseIpv6,
  prefix: parsePrefix,
  'trust bundle': (input) =>
    [
      () => parseTrust(input),
      () => parseTrust(JSON.stringify({ format: 'enf-trust-1', xttRoot: input, tlsRoot: input })),
    ].forEach(ends),
  configuration: (input) => parseConfig(input, 'x'),
  'configuration of enftun': parseLibconfig,
  'state record': (input) =>
    readGeneration(new TextEncoder().encode(`enf-agent-state 1 1 ${'0'.repeat(64)}\n${input}`), 'x'),
  'hosts file': (input) => addressesInHosts(input, 'enf.example'),
};

describe('[H-B1] decoders end, however long and twisted what they get is', () => {
  for (const [name, decode] of Object.entries(OF_BYTES)) {
    test(name, () => {
      for (const input of HOSTILE_BYTES) ends(() => decode(input));
    });
  }
  for (const [name, decode] of Object.entries(OF_TEXT)) {
    test(name, () => {
      for (const input of HOSTILE_TEXTS) ends(() => decode(input));
    });
  }
});
