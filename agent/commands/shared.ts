import type { Invocation, Option } from '../../cli/program.ts';
import { readBounded } from '../../os/files/read.ts';
import { askControl } from '../../os/net/control-socket.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { type Config, DEFAULT_PATH, parseConfig } from '../config/config.ts';
import type { Status } from '../status/status.ts';

export const CONFIG: Option = {
  name: 'config',
  value: 'FILE',
  help: 'the configuration',
  default: DEFAULT_PATH,
};
export const JSON_OUTPUT: Option = { name: 'json', help: 'print JSON' };
export const SOCKET: Option = {
  name: 'socket',
  value: 'PATH',
  help: 'its control socket, instead of asking the configuration',
};

/** The configuration that `--config` names. @throws Failure `config.…`, `os.no-file`, `os.not-readable` */
export async function readConfig(invocation: Invocation): Promise<Config> {
  const path = invocation.required('config');
  return parseConfig(new TextDecoder().decode(await readBounded(path, 'configuration')), path);
}

/** The control socket that is meant: `--socket`, or the configuration's. */
export async function socketOf(invocation: Invocation): Promise<string> {
  return invocation.option('socket') ?? (await readConfig(invocation)).control.socket;
}

/** What the running agent says of itself. @throws Failure `agent.not-running`, `control.…` */
export async function askStatus(socket: string): Promise<Status> {
  return (await ask(socket, 'GET', '/v1/status')) as Status;
}

/** Asks the running agent. @throws Failure `agent.not-running`, `control.…` */
export async function ask(socket: string, method: 'GET' | 'POST', path: string): Promise<unknown> {
  try {
    return await askControl(socket, { method, path });
  } catch (error) {
    if (!isFailure(error, 'control.nobody')) throw error;
    throw new Failure('agent.not-running', 'operator', `no agent is running here: ${error.message}`, {
      action: 'Start it with "systemctl start enf-agent"; "journalctl -u enf-agent" says why it stopped.',
      cause: error,
    });
  }
}
