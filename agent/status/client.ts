import { askControl } from '../../os/net/control-socket.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import type { Status } from './status.ts';

/** The status of the running agent. @throws Failure `agent.not-running`, `control.…` */
export async function askStatus(socket: string): Promise<Status> {
  return (await ask(socket, 'GET', '/v1/status')) as Status;
}

/** Asks the running agent; `patienceMs` instead of the usual few seconds. @throws Failure `agent.not-running`, `control.…` */
export async function ask(
  socket: string,
  method: 'GET' | 'POST',
  path: string,
  patienceMs?: number,
  body?: unknown,
): Promise<unknown> {
  try {
    return await askControl(socket, { method, path, body }, patienceMs);
  } catch (error) {
    if (!isFailure(error, 'control.nobody')) throw error;
    throw new Failure('agent.not-running', 'operator', `no agent is running here: ${error.message}`, {
      action: 'Start it with "systemctl start enf-agent"; "journalctl -u enf-agent" shows why it stopped.',
      cause: error,
    });
  }
}

/** True if an agent answers on the socket. @throws Failure `control.…` if another program does */
export async function isRunning(socket: string): Promise<boolean> {
  try {
    await askStatus(socket);
    return true;
  } catch (error) {
    if (isFailure(error, 'agent.not-running')) return false;
    throw error;
  }
}
