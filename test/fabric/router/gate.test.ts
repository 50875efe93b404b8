import { describe, expect, it } from 'vitest';
import { createGate, type GateLimits } from '../../../fabric/router/gate.ts';

const LIMITS: GateLimits = {
  pending: 5,
  pendingPerSource: 3,
  refusalBurst: 4,
  refusalsPerSecond: 2,
  sources: 100,
};

function gateAt(limits: Partial<GateLimits> = {}) {
  const clock = { ms: 0 };
  return { clock, gate: createGate({ ...LIMITS, ...limits }, () => clock.ms) };
}

describe('gate', () => {
  it('bounds the handshakes of one source and of all', () => {
    const { gate } = gateAt();
    expect([1, 2, 3, 4].map(() => gate.enter('a'))).toEqual([true, true, true, false]);
    expect([1, 2, 3].map(() => gate.enter('b'))).toEqual([true, true, false]);
    expect(gate.pending).toBe(5);
    gate.leave('a');
    expect(gate.enter('b')).toBe(true);
    expect(gate.enter('c')).toBe(false);
  });

  it('shuts out a source that was refused too often, and no other one, until time has passed', () => {
    const { gate, clock } = gateAt();
    const attempt = (source: string): boolean => {
      const open = gate.enter(source);
      if (open) {
        gate.leave(source);
        gate.refused(source);
      }
      return open;
    };
    expect([1, 2, 3, 4, 5, 6].map(() => attempt('a'))).toEqual([true, true, true, true, false, false]);
    expect(attempt('b')).toBe(true);
    clock.ms += 499;
    expect(attempt('a')).toBe(false);
    clock.ms += 1;
    expect(attempt('a')).toBe(true);
    expect(attempt('a')).toBe(false);
    clock.ms += 3_600_000;
    expect([1, 2, 3, 4, 5].map(() => attempt('a'))).toEqual([true, true, true, true, false]);
  });

  it('forgives within bounded time however many were refused at once', () => {
    const { gate, clock } = gateAt();
    for (let i = 0; i < 1000; i++) gate.refused('a');
    clock.ms += 1000 * ((2 * LIMITS.refusalBurst) / LIMITS.refusalsPerSecond);
    expect(gate.enter('a')).toBe(true);
  });

  it('remembers a bounded number of sources and forgets the oldest', () => {
    const { gate } = gateAt({ sources: 10 });
    for (let i = 0; i < 4; i++) gate.refused('a');
    for (let i = 0; i < 9; i++) gate.refused(`b${i}`);
    expect(gate.enter('a')).toBe(false);
    for (let i = 9; i < 12; i++) gate.refused(`b${i}`);
    expect(gate.enter('a')).toBe(true);
  });

  it('keeps its count when a source with a handshake under way is forgotten', () => {
    const { gate } = gateAt({ sources: 1 });
    expect(gate.enter('a')).toBe(true);
    for (let i = 0; i < 70; i++) gate.refused(`b${i}`);
    gate.leave('a');
    expect(gate.pending).toBe(0);
  });
});
