import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  MOST_RATES,
  RATE_FIELDS,
  type RateLimit,
  type RateParty,
  ratesOf,
} from '../../../fabric/registry/rates.ts';
import { encodeRates } from '../../../fabric/router/rates.ts';
import { groupTable } from '../../../fabric/router/rules.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { parsePrefix } from '../../../protocol/ipv6.ts';
import { runParts } from '../parts.ts';

const PARTS = ['router/rates/rates', 'router/police', 'packet/frame', 'packet/packet', 'packet/checksum'];
const NETWORK = parsePrefix('fd00:1::/64');

describe("the router's rate limits", () => {
  for (const sanitizer of ['', 'address,undefined']) {
    it(`are exact by any clock, and refuse what they are not (${sanitizer || 'as shipped'})`, async () => {
      const done = await runParts('router/rates_parts', PARTS, sanitizer);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }

  it('of a device are those that the fabric itself finds', async () => {
    const lines: string[] = [];
    const expected: number[][] = [];
    for (const count of [1, 2, 3, 8, 40, MOST_RATES + 2]) {
      const groups = groupTable();
      const limits = limitsOf(count);
      lines.push(`=${toHex(encodeRates(limits, groups))}`);
      for (let i = 0; i < 200; i++) {
        const device = { address: addressOf(below(count + 4)), gid: gidOf(below(count + 4)) };
        const rates = ratesOf(limits, device);
        expected.push(RATE_FIELDS.map(([direction, what]) => rates[direction][what] ?? 0));
        lines.push(`${groups.numberOf(device.gid)} ${toHex(device.address)}`);
      }
    }
    const folder = mkdtempSync(join(tmpdir(), 'enf-rates-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'devices');
    writeFileSync(file, `${lines.join('\n')}\n`);
    const { code, stdout, stderr } = await runParts(
      'router/rates_parts',
      PARTS,
      'address,undefined',
      [],
      [file],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const told = stdout.trim().split('\n');
    expect(told.map((line) => line.trim().split(' ').map(Number))).toEqual(expected);
    expect(new Set(told).size).toBeGreaterThan(50);
  });
});

let state = 7;
/** Numbers that are the same in each run. */
function below(most: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * most);
}

const gidOf = (number: number): Uint8Array => {
  const gid = new Uint8Array(32).fill(1);
  gid.set([number >> 8, number & 0xff]);
  return gid;
};
const addressOf = (number: number): Uint8Array => {
  const address = NETWORK.address.slice();
  address.set([number >> 8, number & 0xff], 13);
  return address;
};

/** So many of a network, of each party one at most; the first two are those of all. */
function limitsOf(count: number): RateLimit[] {
  const parties = Array.from({ length: count }, (_, i): RateParty => {
    if (i < 2) return { kind: i === 0 ? 'any' : 'max' };
    return i % 2 === 0
      ? { kind: 'group', gid: gidOf(i), network: NETWORK }
      : { kind: 'device', address: addressOf(i) };
  });
  const value = (): object | number => [{}, 0, 1, 1_000 + below(9), 10_000_000_000][below(5)]!;
  return parties.map((devices) => {
    const rates = { in: {}, out: {} } as Record<'in' | 'out', Record<string, number>>;
    for (const [direction, what] of RATE_FIELDS) {
      const given = value();
      if (typeof given === 'number') rates[direction][what] = given;
    }
    return { network: NETWORK, devices, rates, changed: 0 };
  });
}
