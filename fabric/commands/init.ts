import type { Command } from '../../cli/program.ts';
import { foundAuthority } from '../pki/authority.ts';
import { DATA, operator } from './context.ts';

export const init: Command = {
  name: 'init',
  summary: 'Founds a fabric: its keys, certificates, registry, and the trust bundle for the factory.',
  options: [DATA],
  examples: ['enf-fabric init', 'enf-fabric init --data ./fabric'],
  async run(invocation) {
    const data = invocation.required('data');
    const trust = await foundAuthority(data, operator());
    invocation.print(
      { data, trust },
      () =>
        `A new fabric in ${data}. Back this folder up: without its keys no device finds the fabric again.\n` +
        `Trust bundle for the factory: ${trust}`,
    );
    return undefined;
  },
};
