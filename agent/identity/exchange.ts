import { dial } from '../../os/net/dial.ts';
import type { Lookup } from '../../os/net/lookup.ts';
import { readMessage, writeAll } from '../../os/net/message-stream.ts';
import type { HttpProxy } from '../../os/net/proxy.ts';
import type { Exchange } from './provision.ts';

/**
 * Connects to the identity server. `timeoutMs` is for the connection, and again for each message; `signal` cuts it at
 * any time. @throws Failure `net.…`
 */
export async function openExchange(options: {
  readonly hosts: readonly string[];
  readonly port: number;
  readonly mark: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly lookup?: Lookup;
  readonly proxy?: HttpProxy | undefined;
}): Promise<Exchange> {
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
