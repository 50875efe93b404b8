import { columns, figure } from '../table.ts';
import type { Figures } from './measure.ts';

/** The figures beside what they must reach. */
export function report(f: Figures): string {
  const line = (what: string, value: string, must = '', reached = true): string[] => [
    what,
    value,
    must,
    must === '' ? '' : reached ? 'pass' : 'short',
  ];
  const yardsticks = f.accept_ms / f.p256_sign_verify_ms;
  const kilobytes = f.idle_bytes / 1e3;
  return columns(
    ['router', 'measured', 'must reach', ''],
    [
      line('8 pairs of devices, 1,222-byte packets', `${figure(f.gbps)} Gbit/s`),
      line('… CPU for each GB', `${figure(f.cpu_s_per_gb)} s`, '≤ 3 s', f.cpu_s_per_gb <= 3),
      line('with a TLS record for each packet', `${figure(f.gbps_single)} Gbit/s`),
      line('… CPU for each GB', `${figure(f.cpu_s_per_gb_single)} s`),
      line(
        'packets of 100 bytes with 1,000 rules',
        `${figure(f.ruled_rate * 100)} %`,
        '≥ 95 %',
        f.ruled_rate >= 0.95,
      ),
      line(
        'packets of 100 bytes with rate limits',
        `${figure(f.limited_rate * 100)} %`,
        '≥ 95 %',
        f.limited_rate >= 0.95,
      ),
      line('devices that come and go', `${figure(f.accepts_per_s)}/s`),
      line('… CPU for each', `${figure(f.accept_ms)} ms`, '≤ 3 ms', f.accept_ms <= 3),
      line('… in P-256 signatures and verifications', figure(yardsticks), '≤ 8', yardsticks <= 8),
      line('… of it the main thread', `${figure(f.accept_main_ms)} ms`),
      line(
        'with a certificate of a CA, and a known one above it: CPU more',
        `${figure(f.vouched_more_ms)} ms`,
        '≤ 1 ms',
        f.vouched_more_ms <= 1,
      ),
      line('… of the main thread', `${figure(f.vouched_main_ms)} ms`),
      line(
        '… that is more',
        `${figure(f.vouched_main_more_ms)} ms`,
        '≤ 0.1 ms',
        f.vouched_main_more_ms <= 0.1,
      ),
      line('an idle connection', `${figure(kilobytes)} KB`, '≤ 30 KB', kilobytes <= 30),
    ],
  );
}
