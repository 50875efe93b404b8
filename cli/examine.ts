import { Failure } from '../protocol/failure.ts';
import { type Check, type Finding, failing } from './check.ts';
import { EXIT, type Invocation, type Option } from './program.ts';

/** What every `doctor` can do. */
export const ONLY: Option = {
  name: 'only',
  value: 'ID',
  help: 'only this check; may be given several times',
  many: true,
};

/** Carries out the checks, or those of `--only`, and prints what they find. Returns the exit code. @throws Failure `cli.bad-value` */
export async function runChecks<Probes>(
  invocation: Invocation,
  checks: readonly Check<Probes>[],
  probes: Probes,
): Promise<number> {
  const only = invocation.options('only');
  const unknown = only.find((id) => !checks.some((check) => check.id === id));
  if (unknown !== undefined) {
    throw new Failure('cli.bad-value', 'operator', `--only: there is no check "${unknown}"`, {
      action: `Known: ${checks.map(({ id }) => id).join(', ')}.`,
    });
  }
  const chosen = only.length === 0 ? checks : checks.filter(({ id }) => only.includes(id));
  const findings = await examine(chosen, probes);
  const healthy = isHealthy(findings);
  invocation.print({ healthy, findings }, () => describeFindings(findings));
  return healthy ? EXIT.ok : EXIT.failed;
}

/** What one check has found. */
export interface Examined extends Finding {
  readonly id: string;
}

/** Carries out the checks one after the other. A failure or a mistake in one is its finding, and does not keep the others from being made. */
export async function examine<Probes>(
  checks: readonly Check<Probes>[],
  probes: Probes,
): Promise<readonly Examined[]> {
  const findings: Examined[] = [];
  for (const { id, run } of checks) {
    findings.push({ id, ...(await run(probes).catch(failing).catch(mistake)) });
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
