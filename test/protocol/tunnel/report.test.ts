import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import { encodeReport, parseReport, REPORT_REQUEST, type Report } from '../../../protocol/tunnel/report.ts';
import { isControl, parseVerdict } from '../../../protocol/tunnel/verdict.ts';

const LAYOUT: [Report, string][] = [
  [{ version: '0.1.0' }, 'f305302e312e300000000000'],
  [{ version: '1', failure: { code: 'tls.clock', seconds: 300 } }, 'f3013109746c732e636c6f636b0000012c'],
];

const versions = fc.stringMatching(/^[A-Za-z0-9.+~-]{1,24}$/);
const codes = fc.stringMatching(/^[a-z0-9]{1,12}([.-][a-z0-9]{1,12}){0,2}$/);
const seconds = fc.integer({ min: 0, max: 0xffff_ffff });

describe('[C-40] a device’s report', () => {
  it('has the documented bytes and comes back as it was', () => {
    expect(toHex(REPORT_REQUEST)).toBe('f201');
    for (const [report, hex] of LAYOUT) {
      expect(toHex(encodeReport(report)!)).toBe(hex);
      expect(parseReport(fromHex(hex))).toEqual(report);
    }
    const any = fc.record(
      { version: versions, failure: fc.record({ code: codes, seconds }) },
      { requiredKeys: ['version'] },
    );
    fc.assert(
      fc.property(any, (report) => {
        const packet = encodeReport(report)!;
        expect(packet.length).toBeLessThanOrEqual(71);
        expect(isControl(packet)).toBe(true);
        expect(parseVerdict(packet)).toBeUndefined();
        expect(parseReport(packet)).toEqual(report);
      }),
    );
  });

  it('holds an age that is none, or no u32, as near as it can', () => {
    const aged = (age: number) =>
      parseReport(encodeReport({ version: '1', failure: { code: 'a', seconds: age } })!);
    expect(aged(-5)).toEqual({ version: '1', failure: { code: 'a', seconds: 0 } });
    expect(aged(1.9)).toEqual({ version: '1', failure: { code: 'a', seconds: 1 } });
    expect(aged(1e12)).toEqual({ version: '1', failure: { code: 'a', seconds: 0xffff_ffff } });
  });

  it('is not said if version or code are no such words: nothing else leaves the device', () => {
    for (const version of ['', 'x'.repeat(25), '1 2', '1\n', 'é', '<b>']) {
      expect(encodeReport({ version }), version).toBeUndefined();
    }
    for (const code of ['', 'x'.repeat(41), 'Net.down', 'a b', '.a', 'a.', 'a..b', 'key=secret']) {
      expect(encodeReport({ version: '1', failure: { code, seconds: 0 } }), code).toBeUndefined();
    }
  });

  it('is refused if a byte is too much, too little or another one', () => {
    const good = fromHex(LAYOUT[1]![1]);
    for (let length = 0; length < good.length; length++) {
      expect(parseReport(good.subarray(0, length)), `${length} bytes`).toBeUndefined();
    }
    expect(parseReport(concat(good, Uint8Array.of(0)))).toBeUndefined();
    const wrong = [
      'f1013109746c732e636c6f636b0000012c', // another type
      'f300' + '09746c732e636c6f636b0000012c', // no version
      'f3010009746c732e636c6f636b0000012c', // NUL
      'f3011b09746c732e636c6f636b0000012c', // escape
      'f3013c09746c732e636c6f636b0000012c', // <
      'f301e909746c732e636c6f636b0000012c', // no ASCII
      'f3013109746c732e636c6f0a6b0000012c', // a line break in the code
      'f3013109544c532e636c6f636b0000012c', // capitals
      'f3013109746c732e636c6f632e0000012c', // a dot at the end
      'f30131000000012c', // an age of nothing
      'f3ff3109746c732e636c6f636b0000012c', // lengths that lead out of it
      'f30131ff746c732e636c6f636b0000012c',
    ];
    for (const hex of wrong) expect(parseReport(fromHex(hex)), hex).toBeUndefined();
    const long = encodeReport({ version: 'v'.repeat(24), failure: { code: 'c'.repeat(40), seconds: 1 } })!;
    expect(long).toHaveLength(71);
    const longer = concat(
      Uint8Array.of(0xf3, 25),
      new Uint8Array(25).fill(0x31),
      Uint8Array.of(0, 0, 0, 0, 0),
    );
    expect(parseReport(longer)).toBeUndefined();
  });

  it('is never made of random bytes but such as would make them again', () => {
    const bytes = fc.uint8Array({ maxLength: 90 }).map((rest) => concat(Uint8Array.of(0xf3), rest));
    fc.assert(
      fc.property(bytes, (packet) => {
        const report = parseReport(packet);
        if (report !== undefined) expect(encodeReport(report)).toEqual(packet);
      }),
      { numRuns: 2_000 },
    );
  });
});
