import type { Check, Finding } from './check.ts';
import type { Probes } from './probes.ts';

/** What one check has found. */
export interface Examined extends Finding {
  readonly id: string;
}

/** Carries out the checks one after the other. A mistake in one is its finding, and does not keep the others from being made. */
export async function examine(checks: readonly Check[], probes: Probes): Promise<readonly Examined[]> {
  const findings: Examined[] = [];
  for (const { id, run } of checks) {
    findings.push({ id, ...(await run(probes).catch(mistake)) });
  }
  return findings;
}

const mistake = (error: unknown): Finding => ({
  outcome: 'failed',
  message: `the check itself failed: ${(error as Error)?.message ?? String(error)}`,
  remedy: 'Report this.',
});

/** The findings for people, one line each and what to do below. */
export function describeFindings(findings: readonly Examined[]): string {
  const width = Math.max(...findings.map(({ id }) => id.length));
  return findings
    .flatMap(({ id, outcome, message, remedy }) => [
      `${outcome.padEnd(7)}  ${id.padEnd(width)}  ${message}`,
      ...(remedy === undefined ? [] : [`${' '.repeat(11 + width)}→ ${remedy}`]),
    ])
    .join('\n');
}

/** False if anything has failed. */
export const isHealthy = (findings: readonly Examined[]): boolean =>
  findings.every(({ outcome }) => outcome !== 'failed');
