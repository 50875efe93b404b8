import type { Command } from '../../cli/program.ts';
import { DATA, operator } from './common/context.ts';

export const init: Command = {
  name: 'init',
  summary: 'Founds a fabric: its keys, certificates, registry, and the trust bundle for the factory.',
  options: [DATA],
  examples: ['enf-fabric init', 'enf-fabric init --data ./fabric'],
  async run(invocation) {
    const { foundAuthority } = await import('../pki/found.ts');
    const data = invocation.required('data');
    const founded = { data, trust: await foundAuthority(data, operator()) };
    invocation.print(
      founded,
      () =>
        `A new fabric in ${founded.data}. Back it up (enf-fabric backup create): without its keys no device finds the fabric again.\n` +
        `Trust bundle for the factory: ${founded.trust}`,
    );
    return undefined;
  },
};
