import { ONLY, runChecks } from '../../cli/examine.ts';
import type { Command } from '../../cli/program.ts';
import { CONFIG, readConfig } from './options.ts';

export const doctor: Command = {
  name: 'doctor',
  summary:
    'Checks this machine and its path to the fabric: ok, warning, skipped or failed, each with what to do; fails if a check failed',
  options: [CONFIG, ONLY],
  examples: [
    'enf-agent doctor',
    'enf-agent doctor --only dns --only tls',
    'enf-agent doctor --json | jq \'.findings[] | select(.outcome == "failed")\'',
  ],
  async run(invocation) {
    const config = await readConfig(invocation);
    const [{ CHECKS }, { machineProbes }] = await Promise.all([
      import('../doctor/checks/all.ts'),
      import('../doctor/machine.ts'),
    ]);
    return runChecks(invocation, CHECKS, machineProbes(config));
  },
};
