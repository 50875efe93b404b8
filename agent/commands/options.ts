import { readConfigFile } from '../../cli/config/file.ts';
import type { Invocation, Option } from '../../cli/program.ts';
import { type Config, DEFAULT_PATH, MANUAL, parseConfig } from '../config/config.ts';

export const CONFIG: Option = {
  name: 'config',
  value: 'FILE',
  help: 'the configuration',
  default: DEFAULT_PATH,
};
export const SOCKET: Option = {
  name: 'socket',
  value: 'PATH',
  help: 'the control socket, instead of the one in the configuration',
};

/** The configuration that `--config` names. @throws Failure `config.…`, `os.not-readable` */
export async function readConfig(invocation: Invocation): Promise<Config> {
  const path = invocation.required('config');
  return parseConfig(await readConfigFile(path, MANUAL), path);
}

/** The control socket that is meant: `--socket`, or the configuration's. */
export async function socketOf(invocation: Invocation): Promise<string> {
  return invocation.option('socket') ?? (await readConfig(invocation)).control.socket;
}
