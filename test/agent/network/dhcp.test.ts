import { describe, expect, test } from 'vitest';
import { addressFor, answerDhcp, type DhcpOffer, serverIdOf } from '../../../agent/network/dhcp-answer.ts';
import { openDhcpServer } from '../../../agent/network/dhcp-server.ts';
import { primitives } from '../../../crypto/primitives.ts';
import { concat, fromHex, readU16, readU32, toHex, u16, u32 } from '../../../protocol/bytes.ts';
import { type Asking, encodeOption, MESSAGES, parseDhcpRequest } from '../../../protocol/dhcpv6.ts';
import { formatIpv6, matches, parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';

const PREFIX = parsePrefix('fd00:9:0:7::/64');
const KEY = new Uint8Array(32).fill(7);
const CLIENT = fromHex('0003000102000000000a');
const IAID = fromHex('00000007');
const DNS = parseIpv6('fd00::53');
const LIFETIMES = { preferred: 2_700, valid: 5_400 };
const OFFER: DhcpOffer = {
  ...{ prefix: PREFIX, addresses: true, dns: [DNS], lifetimes: LIFETIMES, isTaken: () => false },
  mac: (...parts) => primitives.hmacSha256(KEY, ...parts),
};
const OWN = addressFor(OFFER, CLIENT, IAID, 0);
const SERVER = serverIdOf(OFFER.mac);

const client = encodeOption(1, CLIENT);
const server = encodeOption(2, SERVER);
const asks = encodeOption(6, u16(23), u16(32));
const association = (...addresses: readonly Uint8Array[]): Uint8Array =>
  encodeOption(
    3,
    IAID,
    new Uint8Array(8),
    ...addresses.map((each) => encodeOption(5, each, new Uint8Array(8))),
  );
const PREFIXES = encodeOption(25, IAID, new Uint8Array(8));
const TEMPORARY = encodeOption(4, IAID);
const message = (type: Asking, ...options: readonly Uint8Array[]): Uint8Array =>
  concat(Uint8Array.of(MESSAGES[type], 1, 2, 3), ...options);

/** Options as text: of an association what it has, else code and value. */
function told(options: Uint8Array): string[] {
  const out: string[] = [];
  for (let at = 0; at < options.length; ) {
    const [code, length] = [readU16(options, at), readU16(options, at + 2)];
    const data = options.subarray(at + 4, at + 4 + length);
    if (code === 3 || code === 25)
      out.push(`${code} ${readU32(data, 4)} ${readU32(data, 8)} [${told(data.subarray(12)).join(', ')}]`);
    else if (code === 4) out.push(`4 [${told(data.subarray(4)).join(', ')}]`);
    else if (code === 5)
      out.push(`${formatIpv6(data.subarray(0, 16))} ${readU32(data, 16)} ${readU32(data, 20)}`);
    else if (code === 13) out.push(`status ${readU16(data, 0)}`);
    else out.push(`${code} ${toHex(data)}`);
    at += 4 + length;
  }
  return out;
}

/** Type and options of the answer but both identifiers; undefined: there is none. */
function answered(asked: Uint8Array, offer = OFFER): string[] | undefined {
  const request = parseDhcpRequest(asked);
  expect(request).toBeDefined();
  const answer = answerDhcp(request!, offer);
  if (answer === undefined) return undefined;
  expect(toHex(answer.message.subarray(1, 4))).toBe('010203');
  const all = told(answer.message.subarray(4));
  expect(all).toContain(`2 ${toHex(SERVER)}`);
  return [String(answer.message[0]), ...all.filter((each) => !/^[12] /.test(each))];
}

const GIVEN = `3 1350 2160 [${formatIpv6(OWN)} 2700 5400]`;
const NONE = '25 0 0 [status 6]';

describe('a machine', () => {
  test('that asks for more than addresses is told the DNS servers, if it asks for them', () => {
    for (const addresses of [true, false]) {
      const offer = { ...OFFER, addresses };
      expect(answered(message('information', client, asks), offer)).toEqual([
        '7',
        `23 ${toHex(DNS)}`,
        '32 00000e10',
      ]);
      // Who does not say who it is need not.
      expect(answered(message('information', asks), offer)).toHaveLength(3);
      expect(answered(message('information', client), offer)).toEqual(['7']);
      expect(answered(message('information', client, server), offer)).toEqual(['7']);
      expect(answered(message('information', client, association()), offer)).toBeUndefined();
    }
    expect(answered(message('information', asks), { ...OFFER, dns: [] })).toEqual(['7', '32 00000e10']);
  });

  test('gets an address, which it requests; at once if it likes', () => {
    expect(answered(message('solicit', client, asks, association()))).toEqual([
      '2',
      GIVEN,
      `23 ${toHex(DNS)}`,
    ]);
    expect(answered(message('solicit', client, association(), encodeOption(14)))).toEqual([
      '7',
      '14 ',
      GIVEN,
    ]);
    expect(answered(message('request', client, server, association(OWN)))).toEqual(['7', GIVEN]);
    expect(answered(message('request', client, server, association()))).toEqual(['7', GIVEN]);
  });

  test('gets no prefix and no temporary address', () => {
    expect(answered(message('solicit', client, association(), PREFIXES, TEMPORARY))).toEqual([
      '2',
      GIVEN,
      NONE,
      '4 [status 2]',
    ]);
    expect(answered(message('solicit', client, PREFIXES))).toEqual(['2', NONE]);
  });

  test('keeps what it has, and gives up what it had of another prefix', () => {
    const old = parseIpv6('fd00:9:0:8::5');
    for (const asked of [
      message('renew', client, server, association(OWN, old)),
      message('rebind', client, association(OWN, old)),
    ])
      expect(answered(asked)).toEqual(['7', `3 1350 2160 [${formatIpv6(OWN)} 2700 5400, fd00:9:0:8::5 0 0]`]);
    expect(answered(message('request', client, server, association(old)))).toEqual(['7', '3 0 0 [status 4]']);
    expect(answered(message('confirm', client, association(OWN)))).toEqual(['7', 'status 0']);
    expect(answered(message('confirm', client, association(OWN, old)))).toEqual(['7', 'status 4']);
    expect(answered(message('confirm', client, association()))).toBeUndefined();
  });

  test('releases what is its own, and nothing else', () => {
    expect(answered(message('release', client, server, association(OWN)))).toEqual(['7', 'status 0']);
    const other = parseIpv6('fd00:9:0:7::5');
    expect(answered(message('release', client, server, association(other)))).toEqual([
      '7',
      '3 0 0 [status 3]',
      'status 0',
    ]);
  });

  test('that declines its address gets another one, four times; it cannot decline for others', () => {
    const taken: string[] = [];
    const offer = { ...OFFER, isTaken: (address: Uint8Array) => taken.includes(formatIpv6(address)) };
    const decline = (address: Uint8Array): void => {
      const request = parseDhcpRequest(message('decline', client, server, association(address)))!;
      taken.push(...answerDhcp(request, offer)!.taken.map(formatIpv6));
    };
    decline(parseIpv6('fd00:9:0:7::5'));
    expect(taken).toEqual([]);
    for (let attempt = 0; attempt < 4; attempt++) {
      const address = addressFor(OFFER, CLIENT, IAID, attempt);
      expect(answered(message('solicit', client, association()), offer)?.[1]).toContain(formatIpv6(address));
      decline(address);
    }
    expect(new Set(taken).size).toBe(4);
    expect(answered(message('solicit', client, association()), offer)).toEqual(['2', '3 0 0 [status 2]']);
  });

  test.each([
    ['asks another server', message('request', client, encodeOption(2, CLIENT), association())],
    ['asks another server for more', message('information', encodeOption(2, CLIENT))],
    ['asks no server for what one has to give', message('request', client, association())],
    ['renews of nobody', message('renew', client, association())],
    ['releases to nobody', message('release', client, association(OWN))],
    ['solicits of one server', message('solicit', client, server, association())],
    ['rebinds of one server', message('rebind', client, server, association())],
    ['does not say who it is', message('solicit', association())],
  ])('that %s is not answered', (_, asked) => {
    expect(answered(asked)).toBeUndefined();
  });

  test('is given nothing where no addresses are given', () => {
    const offer = { ...OFFER, addresses: false };
    for (const asked of [
      message('solicit', client, association()),
      message('request', client, server, association()),
      message('rebind', client, association(OWN)),
      message('confirm', client, association(OWN)),
    ])
      expect(answered(asked, offer)).toBeUndefined();
  });
});

test('addresses are of who asks, of the key and the prefix, and never reserved ones', () => {
  const of = (duid: number, iaid: number, offer = OFFER): Uint8Array =>
    addressFor(offer, u32(duid), u32(iaid), 0);
  const all = new Set<string>();
  for (let duid = 0; duid < 50; duid++)
    for (let iaid = 0; iaid < 20; iaid++) {
      const address = of(duid, iaid);
      expect(matches(PREFIX, address)).toBe(true);
      // RFC 5453 reserves what begins with 00, 02 and fd.
      expect(address[8]! >> 6).toBe(1);
      all.add(toHex(address));
    }
  expect(all.size).toBe(1_000);
  expect(of(1, 2)).toEqual(of(1, 2));
  const elsewhere = of(1, 2, { ...OFFER, prefix: parsePrefix('fd00:9:0:8::/64') });
  expect(formatIpv6(elsewhere).startsWith('fd00:9:0:8:')).toBe(true);
  const mac: DhcpOffer['mac'] = (...parts) => primitives.hmacSha256(new Uint8Array(32), ...parts);
  expect(of(1, 2, { ...OFFER, mac })).not.toEqual(of(1, 2));
  expect(toHex(SERVER)).toMatch(/^0004[0-9a-f]{32}$/);
});

test('a LAN is answered a hundred times at once, and not more', async () => {
  const sent: Uint8Array[] = [];
  let ask: (from: string, message: Uint8Array) => void = () => {};
  const { close } = await openDhcpServer('eth1', { ...OFFER, key: KEY }, async (_, listener) => {
    ask = listener;
    return { send: (answer) => void sent.push(answer), close: () => {} };
  });
  const asked = message('solicit', client, association());
  const start = performance.now();
  for (let i = 0; i < 1_000; i++) ask('fe80::7%eth1', asked);
  const most = 100 + Math.ceil((performance.now() - start) / 20);
  expect(sent.length).toBeGreaterThanOrEqual(100);
  expect(sent.length).toBeLessThanOrEqual(most);
  close();
});
