import { createServer, type Socket } from 'node:net';
import type { Log } from '../../os/log.ts';
import { primitives } from '../../os/primitives.ts';
import { deterministicSigner } from '../../protocol/crypto/ecdsa.ts';
import { isFailure } from '../../protocol/failure.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { cookieJar } from '../../protocol/xtt/cookie.ts';
import { ERROR_MESSAGE } from '../../protocol/xtt/message.ts';
import { type ListenAddress, listen } from '../listen.ts';
import { peerAddress } from '../peer.ts';
import type { Registry } from '../registry/registry.ts';
import { type Account, type Deadlines, type Desk, serveHandshake } from './handshake.ts';
import { connectionCounter, type Limits } from './limits.ts';
import { groupVerifiers } from './verifiers.ts';

export const DEADLINES: Deadlines = { helloMs: 10_000, claimMs: 10_000 };
export const LIMITS: Limits = { total: 1_024, perSource: 64 };

/** How long a peer may take to read our last words before the socket is taken away. */
const LINGER_MS = 1_000;
/** At most one line about refusals in this time: they come from anybody, and each is in the history anyway. */
const QUIET_MS = 10_000;

export interface IdentityServer {
  /** The port bound. */
  readonly port: number;
  /** Connections open now. */
  readonly open: number;
  /** Accepts no more, lets handshakes in progress end for up to `graceMs`, then cuts the rest. */
  close(graceMs: number): Promise<void>;
}

export interface IdentityOptions {
  readonly listen: ListenAddress;
  /** 169 bytes. */
  readonly certificate: Uint8Array;
  /** Private key of the certificate, 32 bytes. */
  readonly key: Uint8Array;
  readonly registry: Pick<Registry, 'openGroup' | 'admit' | 'refused'>;
  readonly log: Log;
  readonly deadlines?: Deadlines;
  readonly limits?: Limits;
  /** Milliseconds on a clock that never runs backwards; for the cookies. */
  readonly now?: () => number;
}

/**
 * Serves XTT identity provisioning on TCP. Every failure ends in an Error message and a closed connection; nothing a
 * peer sends or leaves unsent keeps a socket open beyond its deadlines.
 * @throws Failure `net.port-busy`, `net.port-not-permitted`, `net.no-such-address`
 */
export async function startIdentityServer(options: IdentityOptions): Promise<IdentityServer> {
  const { registry, log } = options;
  const desk: Desk = {
    certificate: options.certificate,
    sign: deterministicSigner(options.key),
    jar: cookieJar(primitives),
    verifiers: groupVerifiers(),
    registry,
    deadlines: options.deadlines ?? DEADLINES,
    now: options.now ?? (() => performance.now()),
  };
  const counter = connectionCounter(options.limits ?? LIMITS);
  const sockets = new Set<Socket>();
  const handshakes = new Set<Promise<void>>();
  const warn = quietly(log);

  // Half-open: a peer that has said all it has to say may shut down its side and still gets its answer.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => {});
    const source = peerAddress(socket.remoteAddress);
    const leave = counter.enter(source);
    if (leave === undefined) {
      socket.destroy();
      warn(`too many handshakes at once, turned away ${source}`);
      return;
    }
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      leave();
    });
    const handshake = attend(socket, source).finally(() => handshakes.delete(handshake));
    handshakes.add(handshake);
  });

  async function attend(socket: Socket, source: string): Promise<void> {
    const account: Account = { source, proven: false };
    try {
      const { finished, address } = await serveHandshake(desk, socket, account);
      hangUp(socket, finished);
      log('info', `${formatIpv6(address)} provisioned from ${source}`);
    } catch (error) {
      // An Error is never answered by an Error: two programs would talk for ever.
      hangUp(socket, isFailure(error, 'xtt.error-received') ? undefined : ERROR_MESSAGE);
      await remember(socket, account, error);
    }
  }

  async function remember(socket: Socket, account: Account, error: unknown): Promise<void> {
    const result = isFailure(error) ? error.code : 'internal';
    if (!isFailure(error)) log('error', `handshake from ${account.source}: ${(error as Error).stack}`);
    // Whoever connects and says nothing (a port scan, a health check) made no handshake.
    if (socket.bytesRead === 0) return;
    warn(`refused a handshake from ${account.source}: ${result}`);
    try {
      await registry.refused({ ...account, result });
    } catch (failed) {
      log('error', `cannot note a refused handshake: ${(failed as Error).message}`);
    }
  }

  const port = await listen(server, options.listen, 'the identity server');
  server.on('error', (error) => warn(`cannot accept a connection: ${error.message}`));
  return {
    port,
    get open() {
      return counter.open;
    },
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      await closed;
      clearTimeout(cut);
      await Promise.allSettled(handshakes);
    },
  };
}

/** Says the last words, if any, and closes: in order if the peer lets us, by force after `LINGER_MS`. */
function hangUp(socket: Socket, words: Uint8Array | undefined): void {
  if (socket.destroyed) return;
  // Unread bytes would turn the close into a reset, which may overtake our last words.
  socket.resume();
  if (words === undefined) socket.end();
  else socket.end(words);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

/** Logs a warning, then counts for a while, so that nobody can fill the log from outside. */
function quietly(log: Log): (message: string) => void {
  let silentUntil = 0;
  let suppressed = 0;
  return (message) => {
    const now = performance.now();
    if (now < silentUntil) {
      suppressed++;
      return;
    }
    log('notice', suppressed === 0 ? message : `${message} (and ${suppressed} more before)`);
    silentUntil = now + QUIET_MS;
    suppressed = 0;
  };
}
