import { type Command, EXIT } from '../../cli/program.ts';
import { repaint, untilInterrupted } from '../../cli/watch.ts';
import { askStatus } from '../status/client.ts';
import { describeStatus, type Status } from '../status/status.ts';
import { CONFIG, SOCKET, socketOf } from './options.ts';

const POLL_MS = 1_000;

export const status: Command = {
  name: 'status',
  summary: 'Shows what the running agent is doing, since when, what went wrong and when it tries again',
  options: [
    CONFIG,
    SOCKET,
    { name: 'check', help: 'the exit code says whether it is online: 0, else 1; prints one line' },
    {
      name: 'watch',
      help: 'refresh it each second until Ctrl-C; with --json one line after each change',
    },
  ],
  examples: [
    'enf-agent status',
    'enf-agent status --watch',
    'enf-agent status --check && rsync …',
    'enf-agent status --json | jq .trouble',
  ],
  async run(invocation) {
    const socket = await socketOf(invocation);
    if (invocation.flag('watch')) {
      await watch(socket, invocation.flag('json'));
      return undefined;
    }
    const answer = await askStatus(socket);
    if (invocation.flag('check')) {
      invocation.print(answer, () => checkLine(answer));
      return answer.situation === 'online' ? EXIT.ok : EXIT.failed;
    }
    invocation.print(answer, () => describeStatus(answer, Date.now()));
    return undefined;
  },
};

/** For a script that shows what it has found. */
const checkLine = ({ situation, address, trouble }: Status): string =>
  `${situation}${address === null ? '' : ` as ${address}`}${trouble === null ? '' : `: ${trouble.message} [${trouble.code}]`}`;

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
