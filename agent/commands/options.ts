import type { Invocation, Option } from '../../cli/program.ts';
import { readBounded } from '../../os/files/read.ts';
import { type Config, DEFAULT_PATH, parseConfig } from '../config/config.ts';

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
  help: 'the control socket, instead of the one in the configuration',
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
