import { type DialOptions, dial } from '../../os/net/dial.ts';
import { readMessage, writeAll } from '../../os/net/message-stream.ts';
import type { Exchange } from './provision.ts';

/**
 * Connects to the identity server. `timeoutMs` is for the connection, and again for each message; `signal` cuts it at
 * any time. @throws Failure `net.…`
 */
export async function openExchange(
  options: DialOptions & { readonly signal: AbortSignal },
): Promise<Exchange> {
  const { timeoutMs, signal } = options;
  const socket = await dial(options);
  const cut = (): void => void socket.destroy();
  signal.addEventListener('abort', cut, { once: true });
  return {
    send: (message) => writeAll(socket, message, timeoutMs),
    receive: () => readMessage(socket, timeoutMs),
    close() {
      signal.removeEventListener('abort', cut);
      socket.destroySoon();
    },
  };
}
