import { describe, expect, test } from 'vitest';
import { groupVerifier } from '../../crypto/ecdaa.ts';
import { primitives } from '../../crypto/primitives.ts';
import { parseLabel } from '../../protocol/label.ts';
import { type Forgery, forger, makeChip, makeGroup, signAs } from './admit/fleet.ts';
import { addressOf, percentile } from './admit/load.ts';
import type { Figures } from './admit/measure.ts';
import { verdicts } from './admit/report.ts';

const group = makeGroup('test');
const { gpk, basename } = parseLabel(group.label);
const verifier = groupVerifier(primitives, gpk, basename);
const messages = Array.from({ length: 8 }, () => primitives.random(64));
const verdict = (signatures: readonly Uint8Array[]): Promise<boolean[]> =>
  Promise.all(signatures.map((signature, i) => verifier.verify(signature, messages[i]!)));

describe('the devices of the load generator', () => {
  test('sign as members: any message, with the same pseudonym each time', async () => {
    const chip = makeChip(group);
    const signatures = messages.map((message) => signAs(chip, message));
    expect(await verdict(signatures)).toEqual(messages.map(() => true));
    expect(new Set(signatures.map((signature) => String(signature.slice(356)))).size).toBe(1);
    expect(await verdict(signatures.toReversed())).toEqual(messages.map(() => false));
  });

  test.each<Forgery>(['bad-schnorr', 'bad-credential', 'cancelling'])(
    'forge as told: no %s is taken, also beside good ones',
    async (kind) => {
      const forge = forger(kind, group);
      expect(await verdict(messages.map(forge))).toEqual(messages.map(() => false));
      const good = makeChip(group);
      const mixed = messages.map((message, i) => (i % 2 === 0 ? signAs(good, message) : forge(message)));
      expect(await verdict(mixed)).toEqual(messages.map((_, i) => i % 2 === 0));
    },
  );

  test('two that cancel differ from good ones in T alone, by opposite points', async () => {
    const chip = forger('cancelling', group);
    const [a, b] = [chip(messages[0]!), chip(messages[0]!)];
    const rest = (signature: Uint8Array) => [signature.slice(64, 194), signature.slice(259, 324)];
    expect(rest(a)).toEqual(rest(b));
    expect(a.slice(194, 259)).not.toEqual(b.slice(194, 259));
  });
});

test('percentiles and addresses', () => {
  const sorted = Array.from({ length: 100 }, (_, i) => i + 1);
  expect([0, 0.5, 0.99, 1].map((share) => percentile(sorted, share))).toEqual([1, 51, 100, 100]);
  expect(percentile([], 0.5)).toBeNaN();
  expect(new Set(Array.from({ length: 5_000 }, (_, i) => addressOf(1, i))).size).toBe(5_000);
  expect([addressOf(1, 0), addressOf(2, 249), addressOf(3, 250)]).toEqual([
    '127.1.0.1',
    '127.2.0.250',
    '127.3.1.1',
  ]);
});

describe('the table', () => {
  const good: Figures = {
    arithmetic: 'lanes',
    verify_one_ms: 0.7,
    verify_batch64_ms: 0.1,
    noble_verify_ms: 36,
    noble_batch64_ms: 19,
    issue_ms: 0.2,
    sign_ms: 0.3,
    noble_issue_ms: 24,
    noble_sign_ms: 33,
    handshakes_per_s: 1_100,
    cpu_ms_per_handshake: 0.4,
    p256_sign_verify_ms: 0.11,
    p99_ms_at_80: 100,
    processes2_ratio: 1.8,
    half_open_bytes: 500,
    idle10k_ratio: 0.95,
    forged50_ratio: 0.7,
  };
  const missed = (change: Partial<Figures>): string[] =>
    verdicts({ ...good, ...change }).flatMap(({ what, reached }) => (reached ? [] : [what]));

  test('says what was reached and what was not', () => {
    expect(missed({})).toEqual([]);
    expect(missed({ verify_one_ms: 1.1 })).toEqual(['verify one, against noble', 'verify one']);
    // A batch need not be as fast where the processor has no lanes.
    expect(missed({ noble_batch64_ms: 9 })).toEqual(['verify in a batch of 64, against noble']);
    expect(missed({ noble_batch64_ms: 9, arithmetic: 'adx' })).toEqual([]);
    expect(missed({ cpu_ms_per_handshake: 0.45 })).toEqual(['… in P-256 signatures and verifications']);
    expect(missed({ handshakes_per_s: 999, half_open_bytes: 2_049, p99_ms_at_80: 251 })).toEqual([
      'handshakes on one core',
      'p99 at 80 % of that load',
      'a half-open connection',
    ]);
    expect(missed({ processes2_ratio: 1.6, idle10k_ratio: 0.8, forged50_ratio: 0.5 })).toHaveLength(3);
  });
});
