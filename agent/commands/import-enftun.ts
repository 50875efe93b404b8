import type { Command } from '../../cli/program.ts';
import { absolutePath } from '../../os/files/read.ts';
import { Failure } from '../../protocol/failure.ts';
import { DEFAULT_PATH } from '../config/config.ts';
import type { EnftunImport } from '../enftun/import.ts';
import { isRunning } from '../status/client.ts';

export const importEnftun: Command = {
  name: 'import-enftun',
  summary:
    'Imports an enftun installation: its configuration, certificate and key, with the same address and without a handshake',
  arguments: '<conf>',
  options: [
    { name: 'config', value: 'FILE', help: 'the configuration to write', default: DEFAULT_PATH },
    {
      name: 'base',
      value: 'DIR',
      help: 'directory that relative file names in the old configuration refer to: the one enftun was started in',
      default: '.',
    },
    {
      name: 'state',
      value: 'DIR',
      help: "state.directory of the new configuration, instead of its unit's",
    },
    { name: 'dry-run', help: 'show what would be written, and write nothing' },
  ],
  examples: [
    'enf-agent import-enftun /etc/enftun/enf0.conf --dry-run',
    'systemctl disable --now enftun@enf0 && enf-agent import-enftun /etc/enftun/enf0.conf --base /etc/enftun',
    'enf-agent import-enftun /etc/enftun/enf1.conf --base /etc/enftun --config /etc/enf/enf1.toml',
  ],
  async run(invocation) {
    const { prepareImport } = await import('../enftun/import.ts');
    const base = absolutePath(invocation.required('base'));
    const state = invocation.option('state');
    const prepared = await prepareImport(
      invocation.positionals[0]!,
      absolutePath(invocation.required('config')),
      (name) => absolutePath(name, base),
      state && absolutePath(state),
    );
    const { address, mode, configuration, notes } = prepared;
    if (invocation.flag('dry-run')) {
      invocation.print({ address, mode, configuration, notes, written: false }, () => describe(prepared));
      return undefined;
    }
    for (const socket of prepared.sockets) {
      if (!(await isRunning(socket))) continue;
      throw new Failure(
        'agent.running',
        'operator',
        `the agent at ${socket} is running and would overwrite the state`,
        { action: `Stop it first: systemctl stop ${prepared.unit}.` },
      );
    }
    await prepared.write();
    invocation.print({ address, mode, configuration, notes, written: true }, () =>
      [
        `${address} is imported; ${configuration.path} is written.`,
        ...notes.map((note) => `  · ${note}`),
      ].join('\n'),
    );
    return undefined;
  },
};

const describe = ({ address, configuration, tlsRoot, stateDirectory, notes }: EnftunImport): string =>
  [
    `identity ${address} → ${stateDirectory}`,
    `TLS root → ${tlsRoot.path}`,
    `configuration → ${configuration.path}:`,
    '',
    configuration.text.trimEnd(),
    '',
    ...notes.map((note) => `  · ${note}`),
  ].join('\n');
