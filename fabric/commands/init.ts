import type { Command } from '../../cli/program.ts';
import { foundFabric } from '../operations/found.ts';
import { DATA, operator } from './context.ts';

export const init: Command = {
  name: 'init',
  summary: 'Founds a fabric: its keys, certificates, registry, and the trust bundle for the factory.',
  options: [DATA],
  examples: ['enf-fabric init', 'enf-fabric init --data ./fabric'],
  async run(invocation) {
    const founded = await foundFabric(invocation.required('data'), operator());
    invocation.print(
      founded,
      () =>
        `A new fabric in ${founded.data}. Back this folder up: without its keys no device finds the fabric again.\n` +
        `Trust bundle for the factory: ${founded.trust}\n` +
        'Let the first owner in at the console with "enf-fabric console invite".',
    );
    return undefined;
  },
};
