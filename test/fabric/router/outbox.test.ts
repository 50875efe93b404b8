import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { outbox } from '../../../fabric/router/outbox.ts';
import { frames } from '../../../protocol/tunnel/frame.ts';

describe('outbox', () => {
  it('gives whole frames back in order, however pushing and taking alternate', () => {
    const step = fc.oneof(
      fc.constant('take' as const),
      fc.uint8Array({ minLength: 1, maxLength: 1496 }),
      fc.integer({ min: 1, max: 1496 }).map((length) => new Uint8Array(length).fill(length)),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const box = outbox(1_000_000);
        const pushed: Uint8Array[] = [];
        const taken: Uint8Array[] = [];
        for (const each of steps) {
          if (each === 'take') taken.push(...frames(box.take() ?? new Uint8Array(0)));
          else {
            expect(box.push(each)).toBe(true);
            pushed.push(each);
          }
        }
        for (let block = box.take(); block !== undefined; block = box.take()) taken.push(...frames(block));
        expect(taken).toEqual(pushed);
        expect(box.waiting).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it('refuses what goes beyond its limit, header included, and takes it once there is room', () => {
    const box = outbox(100);
    expect(box.push(new Uint8Array(48))).toBe(true);
    expect(box.push(new Uint8Array(49))).toBe(false);
    expect(box.push(new Uint8Array(48))).toBe(true);
    expect(box.waiting).toBe(100);
    expect(box.push(new Uint8Array(1))).toBe(false);
    box.take();
    expect(box.push(new Uint8Array(1))).toBe(true);
  });

  it('copies: what happens to a packet afterwards does not matter', () => {
    const box = outbox(1000);
    const packet = Uint8Array.of(1, 2, 3);
    box.push(packet);
    packet.fill(9);
    expect([...frames(box.take()!)]).toEqual([Uint8Array.of(1, 2, 3)]);
  });

  it('gives blocks of at most 64 KB', () => {
    const box = outbox(512 * 1024);
    while (box.push(new Uint8Array(1400)));
    const lengths: number[] = [];
    for (let block = box.take(); block !== undefined; block = box.take()) lengths.push(block.length);
    expect(lengths.length).toBeGreaterThan(7);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(65_536);
  });

  it('forgets all when it is cleared', () => {
    const box = outbox(1000);
    box.push(new Uint8Array(10));
    box.clear();
    expect(box.waiting).toBe(0);
    expect(box.take()).toBeUndefined();
  });
});
