import { type Command, EXIT } from '../../cli/program.ts';
import { CONFIG, readConfig } from './options.ts';

export const netcheck: Command = {
  name: 'netcheck',
  summary:
    'Tries each configured host, address and port: reachability, latency, which server answers TLS, and whether full-size packets arrive; fails if no router of this fabric answers',
  options: [CONFIG],
  examples: ['enf-agent netcheck', 'enf-agent netcheck --json'],
  async run(invocation) {
    const config = await readConfig(invocation);
    const [{ checkNetwork, describeNetwork }, { machineProbes }] = await Promise.all([
      import('../doctor/netcheck.ts'),
      import('../doctor/machine.ts'),
    ]);
    const report = await checkNetwork(machineProbes(config));
    invocation.print(report, () => describeNetwork(report));
    return report.usable ? EXIT.ok : EXIT.failed;
  },
};
