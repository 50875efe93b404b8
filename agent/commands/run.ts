import type { Command } from '../../cli/program.ts';
import { CONFIG, readConfig } from './options.ts';

export const run: Command = {
  name: 'run',
  summary: 'Provisions the device if it has no identity yet, and keeps its tunnel up; the service runs this',
  options: [CONFIG],
  examples: ['enf-agent run --config /etc/enf/agent.toml'],
  async run(invocation) {
    const config = await readConfig(invocation);
    // Up to here nothing has touched the system; check-config ends at this line.
    const { runAgent } = await import('../service/run.ts');
    return (await runAgent(config)) || undefined;
  },
};
