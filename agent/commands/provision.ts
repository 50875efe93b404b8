import type { Command } from '../../cli/program.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Renewal } from '../status/api.ts';
import { ask, askStatus } from '../status/client.ts';
import type { Status } from '../status/status.ts';
import { CONFIG, JSON_OUTPUT, SOCKET, socketOf } from './options.ts';

const POLL_MS = 250;

export const provision: Command = {
  name: 'provision',
  summary:
    'Makes the running agent repeat the handshake: a new key, the same address; the old identity stays until the new one works',
  options: [
    CONFIG,
    SOCKET,
    { name: 'force', help: 'do it even if the device has an identity' },
    { name: 'timeout', value: 'SECONDS', help: 'how long to wait for the result', default: '60' },
    JSON_OUTPUT,
  ],
  examples: ['enf-agent provision --force'],
  async run(invocation) {
    const socket = await socketOf(invocation);
    const seconds = Number(invocation.required('timeout'));
    if (!(seconds > 0 && seconds <= 3_600)) {
      throw new Failure('cli.bad-value', 'operator', '--timeout: expected 1 to 3600 seconds', {
        action: 'Give a number of seconds, e.g. --timeout 60.',
      });
    }
    const before = await askStatus(socket);
    if (before.address !== null && !invocation.flag('force')) {
      throw new Failure('agent.not-confirmed', 'operator', `this device has an identity, ${before.address}`, {
        action: 'Add --force if its key is to be replaced; the address stays.',
      });
    }
    const { accepted } = (await ask(socket, 'POST', '/v1/provision')) as Renewal;
    if (!accepted) {
      throw new Failure(
        'agent.cannot-renew',
        'retry',
        `the agent cannot run the handshake while it is ${before.situation}`,
        { action: 'See "enf-agent status"; try again when that is over.' },
      );
    }
    const after = await outcome(socket, before.handshakes, seconds * 1_000);
    invocation.print(after, () => `provisioned: identity ${after.address}`);
    return undefined;
  },
};

/** Waits until one more handshake is done. @throws Failure `agent.not-renewed` */
async function outcome(socket: string, handshakesBefore: number, patienceMs: number): Promise<Status> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const status = await askStatus(socket);
    if (status.handshakes > handshakesBefore) return status;
    const stopped = status.situation !== 'provisioning' && status.trouble !== null;
    if (!stopped && performance.now() < deadline) continue;
    const why = status.trouble ? `: ${status.trouble.message} [${status.trouble.code}]` : '';
    throw new Failure('agent.not-renewed', 'retry', `the handshake is not finished${why}`, {
      action: status.trouble?.action ?? 'The former identity is still in use; "enf-agent status" shows it.',
    });
  }
}
