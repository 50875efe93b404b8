import type { Command } from '../../cli/program.ts';
import { repaint, untilInterrupted } from '../../cli/watch.ts';
import { askStatus } from '../status/client.ts';
import { describeStatus } from '../status/status.ts';
import { CONFIG, SOCKET, socketOf } from './options.ts';

const POLL_MS = 1_000;

export const status: Command = {
  name: 'status',
  summary: 'Shows what the running agent is doing, since when, what went wrong and when it tries again',
  options: [
    CONFIG,
    SOCKET,
    {
      name: 'watch',
      help: 'refresh it each second until Ctrl-C; with --json one line after each change',
    },
  ],
  examples: ['enf-agent status', 'enf-agent status --watch', 'enf-agent status --json | jq .trouble'],
  async run(invocation) {
    const socket = await socketOf(invocation);
    if (invocation.flag('watch')) {
      await watch(socket, invocation.flag('json'));
      return undefined;
    }
    const answer = await askStatus(socket);
    invocation.print(answer, () => describeStatus(answer, Date.now()));
    return undefined;
  },
};

/** An agent that is not running at first is a failure; one that stops meanwhile is not. */
async function watch(socket: string, json: boolean): Promise<void> {
  let answer = await askStatus(socket);
  let last = '';
  await untilInterrupted(POLL_MS, async () => {
    if (last !== '') answer = await askStatus(socket);
    const text = json ? JSON.stringify(answer) : describeStatus(answer, Date.now());
    if (json && text === last) return;
    repaint(text, json);
    last = text;
  });
}
