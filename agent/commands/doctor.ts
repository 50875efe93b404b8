import { type Command, EXIT } from '../../cli/program.ts';
import { Failure } from '../../protocol/failure.ts';
import { CONFIG, JSON_OUTPUT, readConfig } from './options.ts';

export const doctor: Command = {
  name: 'doctor',
  summary:
    'Checks this machine and its path to the fabric: ok, warning, skipped or failed, each with what to do; fails if a check failed',
  options: [
    CONFIG,
    { name: 'only', value: 'ID', help: 'only this check; may be given several times', many: true },
    JSON_OUTPUT,
  ],
  examples: [
    'enf-agent doctor',
    'enf-agent doctor --only dns --only tls',
    'enf-agent doctor --json | jq \'.findings[] | select(.outcome == "failed")\'',
  ],
  async run(invocation) {
    const config = await readConfig(invocation);
    const [{ CHECKS }, { describeFindings, examine, isHealthy }, { machineProbes }] = await Promise.all([
      import('../doctor/checks/all.ts'),
      import('../doctor/examine.ts'),
      import('../doctor/machine.ts'),
    ]);
    const only = invocation.options('only');
    const unknown = only.find((id) => !CHECKS.some((check) => check.id === id));
    if (unknown !== undefined) {
      throw new Failure('cli.bad-value', 'operator', `--only: there is no check "${unknown}"`, {
        action: `Known: ${CHECKS.map(({ id }) => id).join(', ')}.`,
      });
    }
    const chosen = only.length === 0 ? CHECKS : CHECKS.filter(({ id }) => only.includes(id));
    const findings = await examine(chosen, machineProbes(config));
    const healthy = isHealthy(findings);
    invocation.print({ healthy, findings }, () => describeFindings(findings));
    return healthy ? EXIT.ok : EXIT.failed;
  },
};
