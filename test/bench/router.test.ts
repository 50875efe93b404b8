import { expect, test } from 'vitest';
import { report } from './router/report.ts';

const figures = {
  cpu_s_per_gb: 2.2,
  gbps: 2.1,
  cpu_s_per_gb_single: 3.2,
  gbps_single: 1.7,
  ruled_rate: 0.97,
  limited_rate: 0.98,
  vouched_more_ms: 0.4,
  vouched_main_more_ms: 0.07,
  accept_main_ms: 0.15,
  vouched_main_ms: 0.22,
  accept_ms: 0.75,
  accepts_per_s: 300,
  p256_sign_verify_ms: 0.1,
  idle_bytes: 25_700,
};

test('each figure of the router stands beside what it must reach', () => {
  const lines = report(figures).split('\n');
  expect(lines.filter((line) => line.endsWith('pass'))).toHaveLength(8);
  expect(lines.find((line) => line.startsWith('an idle connection'))).toMatch(/25\.7 KB +≤ 30 KB +pass$/);
  expect(lines.find((line) => line.startsWith('… in P-256'))).toMatch(/7\.50 +≤ 8 +pass$/);
});

test.each([
  ['8 pairs', { cpu_s_per_gb: 3.1 }, /… CPU for each GB.*short$/m],
  ['rules', { ruled_rate: 0.94 }, /1,000 rules +94\.0 % +≥ 95 % +short$/m],
  ['limits', { limited_rate: 0.94 }, /rate limits +94\.0 % +≥ 95 % +short$/m],
  ['certificates', { vouched_more_ms: 1.1 }, /CPU more +1\.10 ms +≤ 1 ms +short$/m],
  ['main thread', { vouched_main_more_ms: 0.11 }, /that is more +0\.110 ms +≤ 0\.1 ms +short$/m],
  ['comings', { accept_ms: 3.1, p256_sign_verify_ms: 0.4 }, /… CPU for each +3\.10 ms.*short$/m],
  ['yardsticks', { p256_sign_verify_ms: 0.09 }, /verifications +8\.33 +≤ 8 +short$/m],
  ['idle ones', { idle_bytes: 30_100 }, /an idle connection.*short$/m],
])('what is short of it is said to be: %s', (_, worse, line) => {
  const text = report({ ...figures, ...worse });
  expect(text).toMatch(line);
  expect(text.match(/pass$/gm)).toHaveLength(7);
});
