import { ONLY, runChecks } from '../../cli/examine.ts';
import type { Command } from '../../cli/program.ts';
import { CHECKS } from '../doctor/checks/all.ts';
import { machineProbes } from '../doctor/probes.ts';
import { listNetworks } from '../operations/networks.ts';
import { eachRow } from '../registry/pages.ts';
import { DATA, withLocalFabric } from './common/context.ts';

export const doctor: Command = {
  name: 'doctor',
  summary:
    'Checks the fabric and its host: ok, warning, skipped or failed, each with what to do; fails if a check failed.',
  options: [ONLY, DATA],
  examples: ['enf-fabric doctor', 'enf-fabric doctor --only host-services', 'enf-fabric doctor --json'],
  run: (invocation) =>
    withLocalFabric(invocation, (fabric) => {
      const networks = () => eachRow((page) => fabric.run(listNetworks, page));
      return runChecks(invocation, CHECKS, machineProbes(invocation.required('data'), networks));
    }),
};
