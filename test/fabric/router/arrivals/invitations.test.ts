import { expect, test } from 'vitest';
import { invitations } from '../../../../fabric/router/invitations.ts';
import type { Verdict } from '../../../../protocol/tunnel/verdict.ts';

const UNREGISTERED: Verdict = { kind: 'unregistered' };

test('[H-C1] a source is told fifty times, then once a second; another source is told as well', () => {
  let now = 0;
  const invited = invitations(() => now);
  const told = (host: string, times: number): number =>
    Array.from({ length: times }, () => invited.limit(UNREGISTERED, host)).filter(
      (verdict) => verdict.kind === 'unregistered',
    ).length;
  expect(told('192.0.2.1', 100)).toBe(50);
  expect(told('192.0.2.2', 1)).toBe(1);
  now = 3_000;
  expect(told('192.0.2.1', 100)).toBe(3);
  now = 10_000_000;
  expect(told('192.0.2.1', 100)).toBe(50);
  expect(told('2001:db8::1', 30) + told('2001:db8::2', 30)).toBe(50);
});

test('[H-C1] other verdicts are not limited', () => {
  const invited = invitations(() => 0);
  const banned: Verdict = { kind: 'banned', seconds: 40 };
  for (let i = 0; i < 200; i++) expect(invited.limit(banned, '192.0.2.1')).toBe(banned);
  expect(invited.limit(UNREGISTERED, '192.0.2.1')).toBe(UNREGISTERED);
});

test('[H-C1] sources beyond the table’s bound make it forget the oldest, and no more', () => {
  const invited = invitations(() => 0);
  const use = (host: string): string => invited.limit(UNREGISTERED, host).kind;
  for (let i = 0; i < 50; i++) use('192.0.2.1');
  expect(use('192.0.2.1')).toBe('unknown');
  for (let i = 0; i < 4_095; i++) use(`10.0.${i >> 8}.${i & 255}`);
  expect(use('192.0.2.1')).toBe('unknown');
  for (let i = 0; i < 4_096; i++) use(`10.1.${i >> 8}.${i & 255}`);
  expect(use('192.0.2.1')).toBe('unregistered');
});
