import type { Command } from '../../cli/program.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Renewal } from '../status/api.ts';
import { ask, askStatus } from '../status/client.ts';
import type { Status } from '../status/status.ts';
import { CONFIG, SOCKET, socketOf } from './options.ts';

const POLL_MS = 250;
/** For the answer itself, when the end has come. */
const ANSWER_MS = 5_000;

export const provision: Command = {
  name: 'provision',
  summary:
    'Makes the running agent repeat the handshake: a new key, the same address; the old identity stays until the new one works',
  options: [
    CONFIG,
    SOCKET,
    { name: 'force', help: 'do it even if the device has an identity' },
    { name: 'timeout', value: 'SECONDS', help: 'how long to wait for the result', default: '60' },
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
    const patienceMs = seconds * 1_000;
    const path = `/v1/provision?wait=${seconds}`;
    const { accepted, end } = (await ask(socket, 'POST', path, patienceMs + ANSWER_MS)) as Renewal;
    if (!accepted) {
      throw new Failure(
        'agent.cannot-renew',
        'retry',
        `the agent cannot run the handshake while it is ${before.situation}`,
        { action: 'See "enf-agent status"; try again when that is over.' },
      );
    }
    if (end !== undefined && (end === null || 'failure' in end)) throw notRenewed(end?.failure);
    // An agent of an earlier version does not wait for the end.
    const after = await (end ? askStatus(socket) : outcome(socket, before.handshakes, patienceMs));
    invocation.print(after, () => `provisioned: identity ${after.address}`);
    return undefined;
  },
};

/** Looks until one more handshake is done. @throws Failure `agent.not-renewed` */
async function outcome(socket: string, handshakesBefore: number, patienceMs: number): Promise<Status> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const status = await askStatus(socket);
    if (status.handshakes > handshakesBefore) return status;
    const stopped = status.situation !== 'provisioning' && status.trouble !== null;
    if (!stopped && performance.now() < deadline) continue;
    throw notRenewed(status.trouble ?? undefined);
  }
}

function notRenewed(
  failure: { readonly code: string; readonly message: string; readonly action?: string | null } | undefined,
): Failure {
  const why = failure ? `: ${failure.message} [${failure.code}]` : '';
  return new Failure('agent.not-renewed', 'retry', `the handshake is not finished${why}`, {
    action: failure?.action ?? 'The former identity is still in use; "enf-agent status" shows it.',
  });
}
