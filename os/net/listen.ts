import type { Server } from 'node:net';
import { isIP } from 'node:net';
import { Failure } from '../../protocol/failure.ts';

/** Where to listen; `port` 0 lets the system choose. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Parses `[::]:444` or `127.0.0.1:4440`; names are not looked up. @throws Failure `net.bad-listen-address` */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  const family = match?.[1] === undefined ? 4 : 6;
  if (!match || isIP(host) !== family || port > 65_535) {
    throw new Failure(
      'net.bad-listen-address',
      'operator',
      `expected an address and a port such as [::]:444 or 192.0.2.1:444, got ${JSON.stringify(text.slice(0, 60))}`,
      { action: 'Write IPv6 addresses in brackets; names are not accepted here.' },
    );
  }
  return { host, port };
}

/** The inverse of `parseListen`: `[::]:444`. */
export function formatListen({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Binds a server and resolves to its port. `what` names it in the failure ("the identity server").
 * @throws Failure `net.port-busy`, `net.port-not-permitted`, `net.no-such-address`
 */
export function listen(server: Server, address: ListenAddress, what: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenFailure(address, what, error)));
    server.listen({ host: address.host, port: address.port, backlog: 4096 }, () => {
      server.removeAllListeners('error');
      // Accept errors (no file descriptors left, for instance) concern one connection.
      server.on('error', () => {});
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : address.port);
    });
  });
}

/** The failure for an error of listen(2) or bind(2). */
export function listenFailure(address: ListenAddress, what: string, error: unknown): Failure {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
  const where = formatListen(address);
  if (code === 'EADDRINUSE') {
    return new Failure('net.port-busy', 'operator', `${what} cannot listen on ${where}: the port is in use`, {
      action: `Find the other program with "ss -ltnp 'sport = :${address.port}'", or choose another port.`,
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new Failure(
      'net.port-not-permitted',
      'operator',
      `${what} is not permitted to listen on ${where} (${code})`,
      {
        action: 'Ports below 1024 need root or CAP_NET_BIND_SERVICE; grant it or choose a higher port.',
        cause: error,
      },
    );
  }
  return new Failure('net.no-such-address', 'operator', `${what} cannot listen on ${where}: ${code}`, {
    action: 'Give an address that this machine has, or [::] for all of them.',
    cause: error,
  });
}
