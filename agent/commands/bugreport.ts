import type { Command, Invocation } from '../../cli/program.ts';
import { createFile } from '../../os/files/create.ts';
import { isFailure } from '../../protocol/failure.ts';
import type { Config } from '../config/config.ts';
import { CONFIG, readConfig } from './options.ts';

export const bugreport: Command = {
  name: 'bugreport',
  summary:
    'Writes one file with what remote support needs: versions, status, doctor, configuration, log, routes, TPM; no secrets',
  options: [
    CONFIG,
    {
      name: 'out',
      value: 'FILE',
      help: 'where to write it; "-" is standard output (default: a new file here)',
    },
    { name: 'unit', value: 'UNIT', help: 'the systemd unit whose log is included', default: 'enf-agent' },
  ],
  examples: ['enf-agent bugreport', 'enf-agent bugreport --out - | less'],
  async run(invocation) {
    const [{ machineSources, writeReport }, { CHECKS }, { machineProbes }] = await Promise.all([
      import('../doctor/bugreport.ts'),
      import('../doctor/checks/all.ts'),
      import('../doctor/machine.ts'),
    ]);
    const config = await configOrFailure(invocation);
    const probes = config instanceof Error ? undefined : machineProbes(config);
    const report = await writeReport(probes, config, machineSources(invocation.required('unit')), CHECKS);
    const out = invocation.option('out') ?? `enf-bugreport-${stamp()}.txt`;
    if (out === '-') {
      invocation.print({ report }, () => report);
      return undefined;
    }
    await createFile(out, report);
    invocation.print(
      { file: out },
      () => `${out} is written. Look through it before you send it to anybody.`,
    );
    return undefined;
  },
};

/** A configuration that cannot be read is what the report is about. */
async function configOrFailure(invocation: Invocation): Promise<Config | Error> {
  try {
    return await readConfig(invocation);
  } catch (error) {
    if (!isFailure(error)) throw error;
    return error;
  }
}

const stamp = (): string => new Date().toISOString().replace(/[-:]|\.\d+/g, '');
