import { isIPv6 } from 'node:net';
import { addon } from '../../native/index.ts';
import type { SocketHandle } from '../../native/net/net.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { aborted, type ConnectOptions, connectFirst, hostsInTurns } from './connect.ts';

/** An HTTP proxy with the method CONNECT (RFC 9110 §9.3.6). */
export interface HttpProxy {
  /** A name or a literal address. */
  readonly host: string;
  readonly port: number;
  /** `user:password`; undefined: it requires none. Called for each connection, so that it may change. */
  login(): Promise<string | undefined>;
}

/**
 * Connects to the first host that the proxy reaches. The socket is then connected to that host; not a byte from it has been read.
 * @throws Failure `net.proxy-unreachable`, `net.proxy-login`, `net.proxy-refused`, `net.proxy-failed`, `net.aborted`, `os.…`
 */
export async function connectThrough(proxy: HttpProxy, options: ConnectOptions): Promise<SocketHandle> {
  const { signal } = options;
  const login = await proxy.login();
  let failure: Failure | undefined;
  const found = await hostsInTurns(options, async (endpoint, turn, leftMs) => {
    const { host, port } = endpoint;
    const socket = await reachProxy(proxy, { ...options, timeoutMs: leftMs, signal: turn }, signal);
    try {
      await ask(socket, proxy, `${isIPv6(host) ? `[${host}]` : host}:${port}`, login, turn);
      return { socket, place: endpoint };
    } catch (error) {
      addon().socketClose(socket);
      if (!isFailure(error) || error.code === 'net.proxy-login') throw error;
      failure = error;
      return undefined;
    }
  });
  if (found !== undefined) return found;
  throw failure ?? new Error('no host to connect to');
}

/** @throws Failure `net.proxy-unreachable`, `net.aborted`, `os.not-permitted` */
async function reachProxy(
  proxy: HttpProxy,
  options: ConnectOptions,
  outer: AbortSignal | undefined,
): Promise<SocketHandle> {
  try {
    return await connectFirst({
      ...{ ...options, hosts: [proxy.host], port: proxy.port },
      // What is known of addresses is about those of the hosts.
      ...{ onTried: undefined, addressOrder: undefined },
    });
  } catch (error) {
    if (outer?.aborted) throw aborted(outer);
    if (!isFailure(error) || error.code === 'os.not-permitted') throw error;
    throw new Failure('net.proxy-unreachable', 'retry', `the proxy cannot be reached: ${error.message}`, {
      action: 'Check remote.proxy, and that the proxy is running and reachable from this network.',
      cause: error,
    });
  }
}

/** @throws Failure `net.proxy-login`, `net.proxy-refused`, `net.proxy-failed` */
async function ask(
  socket: SocketHandle,
  proxy: HttpProxy,
  target: string,
  login: string | undefined,
  turn: AbortSignal,
): Promise<void> {
  const named = `the proxy ${proxy.host} port ${proxy.port}`;
  const lines = [`CONNECT ${target} HTTP/1.1`, `Host: ${target}`];
  if (login !== undefined)
    lines.push(`Proxy-Authorization: Basic ${Buffer.from(login, 'utf8').toString('base64')}`);
  const answer = await answerTo(socket, `${lines.join('\r\n')}\r\n\r\n`, turn).catch((error: Error) => {
    const reason = REASONS[(error as NodeJS.ErrnoException).code ?? ''] ?? error.message;
    throw failed(`${named} ${reason} when asked for ${target}`);
  });
  const [, status, reason = ''] = /^HTTP\/1\.[01] (\d{3}) ?([ -~]{0,60})/.exec(answer) ?? [];
  if (status === undefined) throw failed(`${named} does not answer in HTTP`);
  if (status.startsWith('2')) return;
  const response = `${status} ${reason}`.trim();
  if (status === '407') {
    const complaint =
      login === undefined ? 'requires a user name and a password' : 'rejects our user name and password';
    throw new Failure('net.proxy-login', 'operator', `${named} ${complaint} (${response})`, {
      action: 'Put "user:password" into the file that remote.proxy-login-file names, or into remote.proxy.',
    });
  }
  if (/^4(?!08|29)/.test(status)) {
    throw new Failure(
      'net.proxy-refused',
      'operator',
      `${named} refuses to connect to ${target} (${response})`,
      {
        action:
          'Configure the proxy to allow CONNECT to the ports of the tunnel router and the identity server.',
      },
    );
  }
  throw failed(`${named} could not connect to ${target} (${response})`);
}

const REASONS: Record<string, string> = {
  EPIPE: 'closed the connection',
  ECONNRESET: 'closed the connection',
  EMSGSIZE: 'sent an answer that is too long',
  ETIMEDOUT: 'did not answer',
};

const failed = (message: string): Failure =>
  new Failure('net.proxy-failed', 'retry', message, {
    action: 'See the log of the proxy; check that it can reach the fabric.',
  });

/** The head of the answer. @throws Error of the socket; ETIMEDOUT when the turn is over */
function answerTo(socket: SocketHandle, question: string, turn: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(Object.assign(new Error('late'), { code: 'ETIMEDOUT' }));
    if (turn.aborted) return late();
    turn.addEventListener('abort', late, { once: true });
    addon().socketAsk(socket, Buffer.from(question, 'utf8'), (error, answer) => {
      turn.removeEventListener('abort', late);
      if (error) reject(error);
      else resolve(Buffer.from(answer!).toString('latin1'));
    });
  });
}
