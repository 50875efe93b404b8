import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../protocol/bytes.ts';
import { frameReader, frames } from '../../../protocol/tunnel/frame.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import { encodeVerdict, isControl, parseVerdict, type Verdict } from '../../../protocol/tunnel/verdict.ts';
import { ALPN_CONTROL, ROUTER_ADDRESS } from '../../../protocol/tunnel/wire.ts';

const LAYOUT: [Verdict, string][] = [
  [{ kind: 'evicted' }, '0006f10100000000'],
  [{ kind: 'banned', seconds: 0 }, '0006f10200000000'],
  [{ kind: 'banned', seconds: 40 }, '0006f10200000028'],
  [{ kind: 'suspended', seconds: 40 }, '0006f10600000028'],
  [{ kind: 'unknown' }, '0006f10300000000'],
  [{ kind: 'unregistered' }, '0006f10500000000'],
  [{ kind: 'retired' }, '0006f10700000000'],
  [{ kind: 'retry-after', seconds: 300 }, '0006f1040000012c'],
  [{ kind: 'retry-after', seconds: 0xffffffff }, '0006f104ffffffff'],
];

describe('verdict', () => {
  it('has the documented bytes and comes back as it was', () => {
    expect(ALPN_CONTROL).toBe('enf/1');
    for (const [verdict, hex] of LAYOUT) {
      const frame = encodeVerdict(verdict);
      expect(toHex(frame)).toBe(hex);
      const [packet] = frameReader().push(frame);
      expect(isControl(packet!)).toBe(true);
      expect(parseVerdict(packet!)).toEqual(verdict);
    }
  });

  it('is not an IP packet, and an IP packet is no control message', () => {
    expect(isControl(heartbeat(ROUTER_ADDRESS))).toBe(false);
    expect(parseVerdict(heartbeat(ROUTER_ADDRESS))).toBeUndefined();
    expect(isControl(new Uint8Array(0))).toBe(false);
  });

  it('is ignored if its length, type or kind is another one, or seconds come with a kind that has none', () => {
    for (const bytes of [
      [0xf1, 1, 0, 0, 0],
      [0xf1, 1, 0, 0, 0, 0, 0],
      [0xf2, 1, 0, 0, 0, 0],
      [0xf1, 0, 0, 0, 0, 0],
      [0xf1, 8, 0, 0, 0, 0],
      [0xf1, 7, 0, 0, 0, 1],
      [0xf1, 5, 0, 0, 0, 1],
      [0xf1, 1, 0, 0, 0, 1],
    ]) {
      expect(parseVerdict(Uint8Array.from(bytes))).toBeUndefined();
    }
  });

  it('re-encodes to the bytes it was read from, whatever they are', () => {
    const near = fc
      .tuple(fc.constantFrom(0xf1, 0xf0), fc.nat(7), fc.uint8Array({ minLength: 4, maxLength: 4 }))
      .map(([type, kind, rest]) => Uint8Array.of(type, kind, ...rest));
    fc.assert(
      fc.property(fc.oneof(near, fc.uint8Array({ maxLength: 10 })), (packet) => {
        const verdict = parseVerdict(packet);
        if (verdict !== undefined) expect([...frames(encodeVerdict(verdict))]).toEqual([packet]);
      }),
    );
  });
});
