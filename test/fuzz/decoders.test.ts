import packet from 'dns-packet';
import { afterAll, describe, expect, test } from 'vitest';
import { answerDhcp } from '../../agent/network/dhcp-answer.ts';
import { judgeCertificate, readCertificate, readRevocationList } from '../../crypto/certificates.ts';
import { answerQuery, type Names } from '../../fabric/dns/answer.ts';
import { parseSuffix, placeOf } from '../../fabric/dns/zone.ts';
import { certificatesIn, readListed } from '../../fabric/operations/contract/ca-files.ts';
import { addRule } from '../../fabric/operations/traffic/rules.ts';
import { concat, equal, fromHex } from '../../protocol/bytes.ts';
import { parseDhcpRequest } from '../../protocol/dhcpv6.ts';
import { isFailure } from '../../protocol/failure.ts';
import { decodeBase64 } from '../../protocol/identity/base64.ts';
import { revocationListIn } from '../../protocol/identity/revocation-list.ts';
import { parseIpv6, parsePrefix } from '../../protocol/ipv6.ts';
import { caFolder } from '../fabric/openssl-ca.ts';
import { NETWORK, opened, registryFile } from '../fabric/place.ts';
import { mutated } from './mutate.ts';

/**
 * What strangers and owners send, changed at random, through the decoders of certificates, lists, names and rules: each ends in a result or in a
 * refusal that is meant, and nothing that was signed is taken for something else. `test/fuzz/decoders.sh` goes on for longer; FUZZ_SEED repeats one.
 */
const { FUZZ_SECONDS, FUZZ_SEED } = process.env;
const TIMES = 400;
const LONG_MS = 1_000 * Number(FUZZ_SECONDS ?? 0);

type Decode = (bytes: Uint8Array) => unknown;

/** Calls `decode` with changed copies of `seeds`, and says which one it was that went wrong. */
async function fuzz(seeds: readonly Uint8Array[], decode: Decode, times = TIMES): Promise<void> {
  const first = Number(FUZZ_SEED ?? (LONG_MS > 0 ? Date.now() % 1_000_000_000 : 1));
  const end = performance.now() + LONG_MS;
  for (let n = 0; n < times || performance.now() < end; n++) {
    if (FUZZ_SEED !== undefined && n > 0) return;
    const bytes = mutated(seeds, first + n);
    try {
      await decode(bytes);
    } catch (error) {
      throw new Error(
        `FUZZ_SEED=${first + n}: ${(error as Error).message}\n${Buffer.from(bytes).toString('hex')}`,
        {
          cause: error,
        },
      );
    }
  }
}

/** Refusals that are meant; all else is a finding. */
async function refusing(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isFailure(error)) throw error;
  }
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder('latin1').decode(bytes);
const derOf = (pem: string): Uint8Array => decodeBase64(pem.replaceAll(/-----[^-]+-----|\s/g, ''))!;

const files = caFolder();
afterAll(() => files.remove());
const root = files.ca({ subject: '/CN=root' });
const issuing = files.ca({ subject: '/CN=issuing', by: root, key: 'p384' });
const leaf = files.leaf({ subject: '/CN=pump', by: issuing, addresses: ['fd00:1:2:3:a::1'] });
const chain = [root, issuing].map(({ pem }) => derOf(pem));
const lists = [files.crl(root, []), files.crl(root, ['01', 'FF02']), files.crl(issuing, ['7F'])];

describe('changed at random', () => {
  test('a list of revoked certificates says what was signed, or nothing', async () => {
    const issuers = concat(...chain);
    const seeds = lists.map(derOf);
    const signed = seeds.map((der) => readRevocationList(der, issuers)!);
    expect(signed.every(({ refused }) => refused === undefined)).toBe(true);
    await fuzz(seeds, (bytes) => {
      const read = readRevocationList(bytes, issuers);
      if (read === undefined || read.refused !== undefined) return;
      const same = signed.some(
        (each) =>
          equal(each.issuerHash, read.issuerHash) &&
          equal(each.revoked, read.revoked) &&
          each.thisUpdate === read.thisUpdate,
      );
      expect(same).toBe(true);
    });
  });

  test('a certificate is read within its bounds, and one that nobody has signed is not vouched for', async () => {
    const der = derOf(leaf.pem);
    const good = readCertificate(der)!;
    const now = Math.floor(Date.now() / 1_000);
    expect((await judgeCertificate(der, chain[1]!, chain[0]!, now)).refused).toBeUndefined();
    await fuzz([der], async (bytes) => {
      const facts = readCertificate(bytes);
      if (facts === undefined) return;
      expect([0, 16, 32]).toContain(facts.addresses.length);
      expect(facts.serial.length).toBeLessThanOrEqual(20);
      expect([facts.spki, facts.issuerHash, facts.subjectHash].every(({ length }) => length === 32)).toBe(
        true,
      );
      expect(facts.subject.length).toBeLessThan(1_024);
      const { refused, names } = await judgeCertificate(bytes, chain[1]!, chain[0]!, now);
      expect(names.length).toBeLessThanOrEqual(6);
      if (refused !== undefined) return;
      expect([facts.addresses, facts.spki, facts.serial]).toEqual([good.addresses, good.spki, good.serial]);
    });
    await fuzz([...chain], (bytes) => {
      const facts = readCertificate(bytes);
      if (facts !== undefined) expect(facts.subject.length).toBeLessThan(1_024);
    });
  });

  test('files of a CA are read, or refused', async () => {
    const pem = utf8(root.pem + issuing.pem);
    await fuzz([pem, ...chain], (bytes) =>
      refusing(() => {
        for (const each of certificatesIn(bytes, 'x')) readCertificate(each);
      }),
    );
    await fuzz(lists.map(utf8), (bytes) => {
      const der = revocationListIn(bytes);
      if (der !== undefined) readRevocationList(der, chain[0]!);
    });
    const csv = utf8('address,subject,serial,spki\nfd00::1,"CN=a, b",4f:02,\nfd00::2,"a ""b""",1,\n');
    await fuzz([csv], (bytes) => {
      const text = textOf(bytes);
      const { rows, wrong } = readListed(text, ['fd00::/64']);
      expect(rows.length + wrong.length).toBeLessThanOrEqual(text.split('\n').length);
      for (const { address } of rows) parseIpv6(address);
    });
  });

  test('a DNS message is answered to its question, within what a client takes, or not at all', async () => {
    const address = parseIpv6('fd00:1:2:3::a1');
    const zone = { suffix: 'plant.internal', prefix: address.subarray(0, 8) };
    const names: Names = { addressOf: async () => address, nameOf: async () => 'pump' };
    const opt = {
      ...{
        type: 'OPT' as const,
        name: '.' as const,
        udpPayloadSize: 4_096,
        extendedRcode: 0,
        ednsVersion: 0,
      },
      ...{ flags: 0, flag_do: false, options: [] },
    };
    const seeds = ['AAAA', 'PTR', 'SOA', 'ANY', 'AXFR'].flatMap((type) =>
      ['pump.plant.internal', `1.a.0.0.${'0.'.repeat(12)}3.0.0.0.2.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa`].map(
        (name) =>
          packet.encode({
            ...{ type: 'query', id: 4_711, flags: packet.RECURSION_DESIRED },
            questions: [{ name, type: type as 'AAAA', class: 'IN' }],
            ...(type !== 'SOA' && { additionals: [opt] }),
          }),
      ),
    );
    await fuzz(seeds, async (bytes) => {
      for (const overTcp of [false, true]) {
        const answer = await answerQuery(bytes, zone, names, overTcp);
        if (answer === undefined) continue;
        expect(answer.length).toBeLessThanOrEqual(overTcp ? 65_535 : 1_232);
        expect([answer[0], answer[1], answer[2]! & 0x80]).toEqual([bytes[0], bytes[1], 0x80]);
        const { answers = [], questions = [] } = packet.decode(Buffer.from(answer));
        for (const each of answers) expect(each.name).toBe(questions[0]?.name);
      }
    });
    await fuzz([utf8('plant.internal'), utf8('a-b.c.')], (bytes) =>
      refusing(() => {
        const suffix = parseSuffix(textOf(bytes));
        expect(suffix.length).toBeLessThanOrEqual(100);
        expect(placeOf({ ...zone, suffix }, `x.${suffix}`).kind).toBe('label');
      }),
    );
  });

  test('a message of a DHCPv6 client is ignored, or answered within bounds', async () => {
    const prefix = parsePrefix('fd00:9:0:7::/64');
    const offer = {
      ...{ prefix, addresses: true, dns: [parseIpv6('fd00::53')], isTaken: () => false },
      ...{ lifetimes: { preferred: 2_700, valid: 5_400 }, mac: () => new Uint8Array(32) },
    };
    const client = '0001000a0003000102000000000a';
    const association =
      '0003002800000007000000000000000000050018fd00000900000007000000000000004200000a8c00001518';
    const seeds = ['01', '04', '06', '08', '0b'].map((type) =>
      fromHex(`${type}a1b2c3${client}0006000400170020000e00000019000c000000080000000000000000${association}`),
    );
    await fuzz(seeds, (bytes) => {
      const request = parseDhcpRequest(bytes);
      const answer = request && answerDhcp(request, offer);
      if (answer === undefined) return;
      expect(answer.message.subarray(1, 4)).toEqual(bytes.subarray(1, 4));
      // It says no more than it was asked, but for one address in each association, the server and its DNS servers.
      expect(answer.message.length).toBeLessThanOrEqual(bytes.length + 8 * 28 + 100);
    });
  });

  test('a rule is refused, or comes out as it went in', async () => {
    const registry = opened(registryFile());
    await registry.addNetwork('root', NETWORK, 'plant');
    const context = {
      ...{ registry, whole: registry, actor: 'root', now: Date.now },
      running: { notify: async () => '', presence: async () => undefined },
    };
    const ends = ['any', 'host', 'outside', 'network:plant', 'device:fd00:1:2:3::7', 'group:00'].map(utf8);
    const base = { network: 'plant', action: 'deny', direction: 'in' } as const;
    await fuzz(ends, (bytes) => refusing(() => addRule.run(context, { ...base, with: textOf(bytes) })), 150);
    const traffic = ['any', 'icmpv6', 'tcp/22', 'udp/8000-8100'].map(utf8);
    await fuzz(
      traffic,
      (bytes) =>
        refusing(async () => {
          const { view } = await addRule.run(context, { ...base, traffic: textOf(bytes) });
          const again = await addRule.run(context, { ...base, traffic: view.traffic });
          expect(again.view.traffic).toBe(view.traffic);
          const [, first, last = first] = /^(?:tcp|udp)\/(\d+)(?:-(\d+))?$/.exec(view.traffic) ?? [];
          if (first === undefined) expect(['any', 'icmpv6', 'tcp', 'udp']).toContain(view.traffic);
          else expect([Number(first) <= Number(last), Number(last) <= 65_535]).toEqual([true, true]);
        }),
      150,
    );
  });
});
