import { Socket } from 'node:net';
import { addon } from '../../native/index.ts';
import { type ConnectOptions, connectFirst } from './connect.ts';
import { connectThrough, type HttpProxy } from './proxy.ts';

export interface DialOptions extends ConnectOptions {
  /** An HTTP proxy to connect through; it receives the hosts as configured, names unresolved. */
  readonly proxy?: HttpProxy | undefined;
}

/**
 * Connects over TCP to the first host that answers. Hosts take turns, each with an equal share of the time that is
 * left; the addresses of one host are tried in parallel, each a quarter second after the one before, so that
 * an unreachable one delays no other. Literal addresses need no resolver. The socket has SO_MARK from before connecting, keepalive,
 * TCP_USER_TIMEOUT and TCP_NODELAY, and an error listener, so that an error between two uses shows as `close` and in
 * the next use instead of ending the process.
 * @throws Failure `net.unreachable`, `net.timeout`, `net.no-such-host`, `net.aborted`, `os.not-permitted`, `net.proxy-…`
 */
export async function dial(options: DialOptions): Promise<Socket> {
  const socket = new Socket({ fd: await dialDescriptor(options), readable: true, writable: true });
  socket.on('error', () => {});
  return socket;
}

/**
 * The same for a caller without Node's streams: a non-blocking descriptor, which the caller owns.
 * @throws Failure as `dial`
 */
export async function dialDescriptor(options: DialOptions): Promise<number> {
  const { proxy } = options;
  return addon().socketTake(
    await (proxy === undefined ? connectFirst(options) : connectThrough(proxy, options)),
  );
}
