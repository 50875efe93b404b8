import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, fromHex, toHex, u16 } from '../../../protocol/bytes.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { ALL_DHCP_AGENTS, answerDhcp6, serverDuid } from '../../../protocol/tunnel/dhcp6.ts';
import { checksum6, encodePacket6, parsePacket } from '../../../protocol/tunnel/packet.ts';

const OWN = parseIpv6('e485:d8c8:5fcc:ef1c:1407:e6a4:28b8:749b');
const OWN_HEX = toHex(OWN);
const CLIENT = parseIpv6('fe80::5');
const CID = '0001000a00030001020304050607';
const DUID = serverDuid(OWN);
const SID = `00020012${toHex(DUID)}`;
const SERVER = { own: OWN, duid: DUID };
const IA = (id: string, inner = ''): string =>
  `0003${hex16(12 + inner.length / 2)}${id}0000000000000000${inner}`;
const LENT = (address: string, time = '00000000'): string => `00050018${address}${time}${time}`;
const LEASE = (id: string, more = ''): string =>
  `0003${hex16(40 + more.length / 2)}${id}00f099c00180f600${LENT(OWN_HEX, '01e13380')}${more}`;
const OK = '000d00020000';
const OTHER = 'fd000000000000000000000000000009';
const STRANGER = '000200080002000001020304';

function hex16(value: number): string {
  return value.toString(16).padStart(4, '0');
}

/** A client's datagram around a message. */
function ask(
  message: string,
  change: { port?: number; from?: Uint8Array; to?: Uint8Array; sum?: number } = {},
): Uint8Array {
  const body = fromHex(message);
  const { port = 547, from = CLIENT, to = ALL_DHCP_AGENTS } = change;
  const datagram = concat(u16(546), u16(port), u16(8 + body.length), u16(0), body);
  datagram.set(u16(change.sum ?? (checksum6(17, from, to, datagram) || 0xffff)), 6);
  return encodePacket6(17, from, to, datagram);
}

/** The message that answers, in hex; its envelope is checked. */
function answered(message: string, server = SERVER): string | undefined {
  const reply = answerDhcp6(server, ask(message));
  if (reply === undefined) return undefined;
  const { source, destination, payload } = parsePacket(reply)!;
  expect([toHex(source), toHex(destination), reply[7]]).toEqual([
    `fe80${'0'.repeat(27)}1`,
    toHex(CLIENT),
    255,
  ]);
  expect(toHex(payload.subarray(0, 6))).toBe(`02230222${hex16(payload.length)}`);
  expect(checksum6(17, source, destination, payload)).toBe(0);
  return toHex(payload.subarray(8));
}

test("enftun's own bytes, given its identifier", () => {
  const enftun = { own: OWN, duid: fromHex('00040102030405060708090a0b0c0d0e') };
  expect(answered(`01aabbcc${CID}${IA('00000007')}`, enftun)).toBe(
    `02aabbcc${CID}0002001000040102030405060708090a0b0c0d0e000300280000000700f099c00180f60000050018${OWN_HEX}01e1338001e13380000d00020000`,
  );
});

describe('each message', () => {
  const ids = `${CID}${SID}`;
  const cases: [string, string, string | undefined][] = [
    ['SOLICIT', `01000001${CID}${IA('00000007')}`, `02000001${ids}${LEASE('00000007')}${OK}`],
    ['SOLICIT without an association', `01000001${CID}`, `02000001${ids}${OK}`],
    ['SOLICIT without a client id', `01000001${IA('00000007')}`, undefined],
    ['SOLICIT to a server', `01000001${ids}${IA('00000007')}`, undefined],
    ['REQUEST', `03000002${ids}${IA('00000007')}`, `07000002${ids}${LEASE('00000007')}${OK}`],
    [
      'REQUEST with association 0',
      `03000002${ids}${IA('00000000')}`,
      `07000002${ids}${LEASE('00000000')}${OK}`,
    ],
    ['REQUEST to another server', `03000002${CID}${STRANGER}${IA('00000007')}`, undefined],
    ['REQUEST to no server', `03000002${CID}${IA('00000007')}`, undefined],
    ['REQUEST of nothing', `03000002${ids}`, undefined],
    ['RENEW', `05000003${ids}${IA('00000007', LENT(OWN_HEX))}`, `07000003${ids}${LEASE('00000007')}${OK}`],
    [
      'RENEW of another address: it gets no more time',
      `05000003${ids}${IA('00000007', LENT(OTHER))}`,
      `07000003${ids}${LEASE('00000007', LENT(OTHER))}${OK}`,
    ],
    [
      'RENEW of two associations: there is one address',
      `05000003${ids}${IA('00000007')}${IA('00000008')}`,
      `07000003${ids}${LEASE('00000007')}0003001200000008${'0'.repeat(16)}000d00020002${OK}`,
    ],
    ['RENEW to another server', `05000003${CID}${STRANGER}${IA('00000007')}`, undefined],
    ['REBIND', `06000004${CID}${IA('00000007', LENT(OWN_HEX))}`, `07000004${ids}${LEASE('00000007')}${OK}`],
    ['REBIND to a server', `06000004${ids}${IA('00000007')}`, undefined],
    ['CONFIRM', `04000005${CID}${IA('00000007', LENT(OWN_HEX))}`, `07000005${ids}${OK}`],
    ['CONFIRM as enftun wants it', `04000005${ids}${IA('00000007', LENT(OWN_HEX))}`, `07000005${ids}${OK}`],
    [
      'CONFIRM of another address',
      `04000005${CID}${IA('00000007', LENT(OTHER))}`,
      `07000005${ids}000d00020004`,
    ],
    ['CONFIRM of nothing', `04000005${CID}${IA('00000007')}`, undefined],
    ['RELEASE', `08000006${ids}${IA('00000007', LENT(OWN_HEX))}`, `07000006${ids}${OK}`],
    ['RELEASE to no server', `08000006${CID}${IA('00000007')}`, undefined],
    ['DECLINE', `09000007${ids}${IA('00000007', LENT(OWN_HEX))}`, `07000007${ids}${OK}`],
    ['INFORMATION-REQUEST', `0b000008${CID}`, `07000008${ids}${OK}`],
    ['INFORMATION-REQUEST of nobody', '0b000008', `07000008${SID}${OK}`],
    ['INFORMATION-REQUEST to another server', `0b000008${CID}${STRANGER}`, undefined],
    ['INFORMATION-REQUEST with an association', `0b000008${CID}${IA('00000007')}`, undefined],
    ["a server's message", `02000009${ids}${IA('00000007')}`, undefined],
    ["a relay's message", `0c000009${CID}`, undefined],
    ['two client ids', `01000001${CID}${CID}`, undefined],
    ['a torn option', `01000001${CID}0003000c0000`, undefined],
    ['a torn association', `01000001${CID}0003000400000007`, undefined],
    ['a torn address', `01000001${CID}${IA('00000007', '000500040a0b0c0d')}`, undefined],
    ['half a message', '010000', undefined],
  ];
  for (const [name, message, reply] of cases) {
    test(name, () => expect(answered(message)).toBe(reply));
  }
});

test('only datagrams to the agents, port 547, from the link, whole and with a right checksum', () => {
  const message = `01000001${CID}${IA('00000007')}`;
  expect(answerDhcp6(SERVER, ask(message))).toBeDefined();
  for (const change of [
    { port: 546 },
    { from: OWN },
    { to: parseIpv6('ff02::1') },
    { sum: 0 },
    { sum: 0x1234 },
  ]) {
    expect(answerDhcp6(SERVER, ask(message, change))).toBeUndefined();
  }
  expect(answerDhcp6(SERVER, ask(message).subarray(0, 60))).toBeUndefined();
});

test('the identifier is the identity', () => {
  expect(toHex(DUID)).toBe(`0004${OWN_HEX}`);
});

test('whatever comes: an answer is well formed, and echoes transaction and client', () => {
  const some = fc.constantFrom(CID, SID, STRANGER, IA('00000007'), IA('00000000', LENT(OWN_HEX)), OK, '00');
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 15 }),
      fc.uint8Array({ minLength: 3, maxLength: 3 }),
      fc.array(some, { maxLength: 6 }),
      (type, transaction, options) => {
        const reply = answered(`${hex16(type).slice(2)}${toHex(transaction)}${options.join('')}`);
        if (reply === undefined) return;
        expect(['02', '07']).toContain(reply.slice(0, 2));
        expect(reply.slice(2, 8)).toBe(toHex(transaction));
        expect(reply.includes(SID)).toBe(true);
      },
    ),
  );
});

test('random bytes are met with silence', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(answerDhcp6(SERVER, bytes)).toBeUndefined();
    }),
  );
});
