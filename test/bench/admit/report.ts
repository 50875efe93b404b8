import type { EcdaaFigures } from '../ecdaa.ts';
import { columns, figure } from '../table.ts';
import type { Figures } from './measure.ts';

interface Connection {
  readonly what: string;
  readonly value: string;
  readonly must: string;
  readonly reached: boolean;
}

const line = (what: string, value: string, must: string, reached: boolean): Connection => ({
  what,
  value,
  must,
  reached,
});

/** What the addon's arithmetic must reach; a batch more where the processor has eight lanes. */
function arithmeticVerdicts(f: EcdaaFigures): Connection[] {
  const times = (what: string, slow: number, fast: number, least: number): Connection =>
    line(what, `${figure(slow / fast)}×`, `≥ ${least}×`, slow / fast >= least);
  const batch = f.arithmetic === 'lanes' ? 100 : 80;
  return [
    times('verify one, against noble', f.noble_verify_ms, f.verify_one_ms, 40),
    times('verify in a batch of 64, against noble', f.noble_batch64_ms, f.verify_batch64_ms, batch),
    line('verify one', `${figure(f.verify_one_ms)} ms`, '≤ 1.0 ms', f.verify_one_ms <= 1),
    line(
      'verify in a batch of 64, each',
      `${figure(f.verify_batch64_ms)} ms`,
      '≤ 0.2 ms',
      f.verify_batch64_ms <= 0.2,
    ),
    times('issue a credential, against noble', f.noble_issue_ms, f.issue_ms, 40),
    times('sign on the host, against noble', f.noble_sign_ms, f.sign_ms, 40),
  ];
}

/** The figures beside what they must reach. */
export function verdicts(f: Figures): Connection[] {
  const yardsticks = f.cpu_ms_per_handshake / f.p256_sign_verify_ms;
  return [
    ...arithmeticVerdicts(f),
    line(
      'handshakes on one core',
      `${figure(f.handshakes_per_s)}/s`,
      '≥ 1000/s',
      f.handshakes_per_s >= 1_000,
    ),
    line('CPU of a handshake', `${figure(f.cpu_ms_per_handshake)} ms`, '', true),
    line('… in P-256 signatures and verifications', figure(yardsticks), '≤ 4', yardsticks <= 4),
    line('p99 at 80 % of that load', `${figure(f.p99_ms_at_80)} ms`, '≤ 250 ms', f.p99_ms_at_80 <= 250),
    line('two processes against one', `${figure(f.processes2_ratio)}×`, '≥ 1.7×', f.processes2_ratio >= 1.7),
    line(
      'a half-open connection',
      `${figure(f.half_open_bytes)} bytes`,
      '≤ 2048 bytes',
      f.half_open_bytes <= 2_048,
    ),
    line('among 10,000 idle connections', figure(f.idle10k_ratio), '≥ 0.9', f.idle10k_ratio >= 0.9),
    line('beside as many forged clients', figure(f.forged50_ratio), '≥ 0.6', f.forged50_ratio >= 0.6),
  ];
}

function table(arithmetic: string, verdicts: readonly Connection[]): string {
  const rows = verdicts.map(({ what, value, must, reached }) => [
    what,
    value,
    must,
    must === '' ? '' : reached ? 'pass' : 'short',
  ]);
  return columns([`admission, ECDAA ${arithmetic}`, 'measured', 'must reach', ''], rows);
}

/** The table of the arithmetic alone. */
export function reportArithmetic(figures: EcdaaFigures): string {
  return table(figures.arithmetic, arithmeticVerdicts(figures));
}

/** The table of one run, and what else was seen. */
export function report(figures: Figures, remarks: readonly string[]): string {
  return `${table(figures.arithmetic, verdicts(figures))}\n\n${remarks.join('\n')}`;
}
