import type { Command } from '../../cli/program.ts';
import { renderConfig } from '../config/config.ts';
import { CONFIG, JSON_OUTPUT, readConfig } from './options.ts';

export const checkConfig: Command = {
  name: 'check-config',
  summary: 'Checks the configuration and prints it with all defaults filled in; touches nothing else',
  options: [CONFIG, JSON_OUTPUT],
  examples: ['enf-agent check-config', 'enf-agent check-config --config ./agent.toml --json'],
  async run(invocation) {
    const config = await readConfig(invocation);
    invocation.print(config, () => renderConfig(config));
    return undefined;
  },
};
