import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { type TokenBuckets, tokenBuckets } from '../../os/service/token-buckets.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { answerQuery, type Names } from './answer.ts';
import { serverAddress, type Zone } from './zone.ts';

/** The server of one zone. */
export interface NameServer {
  close(): void;
}

/** Questions of one device, and of all in the network: what is beyond is dropped, as the network itself would. */
const RATE_OF_ONE = { burst: 100, periodMs: 50 };
const RATE_OF_ALL = { burst: 1_000, periodMs: 1 };
const ALL = 'all';
const DNS_PORT = 53;
const TCP = { connections: 64, ofOne: 4, idleMs: 5_000, lifeMs: 30_000, mostBytes: 512 };

/**
 * Serves a zone on UDP and TCP at the host's address in the network.
 * @throws an error of Node, `EADDRNOTAVAIL` as long as the host does not have that address
 */
export async function startNameServer(zone: Zone, names: Names, port = DNS_PORT): Promise<NameServer> {
  const address = formatIpv6(serverAddress(zone));
  const mayAsk = limiter();
  const udp = createSocket({ type: 'udp6', ipv6Only: true });
  const tcp = createServer({ noDelay: true });
  const close = (): void => {
    udp.close();
    tcp.close();
    for (const socket of connections) socket.destroy();
  };
  const connections = serveTcp(tcp, (message, from) =>
    mayAsk(from) ? answerQuery(message, zone, names, true) : undefined,
  );
  udp.on('message', (message, client) => {
    if (mayAsk(client.address))
      void answerQuery(message, zone, names, false).then(
        (answer) => send(udp, answer, client),
        () => {},
      );
  });
  try {
    udp.bind({ address, port, exclusive: true });
    await once(udp, 'listening');
    tcp.listen({ host: address, port, ipv6Only: true, exclusive: true });
    await once(tcp, 'listening');
  } catch (error) {
    close();
    throw error;
  }
  // An answer that cannot be sent is lost, as any packet may be.
  udp.on('error', () => {});
  tcp.on('error', () => {});
  return { close };
}

/** True while the source, and all together, ask no more often than they may. */
function limiter(): (source: string) => boolean {
  const each: TokenBuckets = tokenBuckets(RATE_OF_ONE);
  const all = tokenBuckets(RATE_OF_ALL);
  return (source) => each.take(source) === 0 && all.take(ALL) === 0;
}

function send(udp: UdpSocket, answer: Uint8Array | undefined, { address, port }: RemoteInfo): void {
  if (answer === undefined) return;
  try {
    udp.send(answer, port, address, () => {});
  } catch {
    // Closed meanwhile.
  }
}

type AnswerTo = (message: Uint8Array, from: string) => Promise<Uint8Array | undefined> | undefined;

/** Answers what comes over connections, each message behind its length (RFC 1035 §4.2.2). Returns the open ones. */
function serveTcp(server: Server, answerTo: AnswerTo): ReadonlySet<Socket> {
  const open = new Set<Socket>();
  const ofSource = new Map<string, number>();
  server.maxConnections = TCP.connections;
  server.on('connection', (socket) => {
    const from = socket.remoteAddress ?? '';
    const others = ofSource.get(from) ?? 0;
    socket.on('error', () => {});
    if (others >= TCP.ofOne) return void socket.destroy();
    open.add(socket);
    ofSource.set(from, others + 1);
    const life = setTimeout(() => socket.destroy(), TCP.lifeMs);
    socket.setTimeout(TCP.idleMs, () => socket.destroy());
    socket.once('close', () => {
      clearTimeout(life);
      open.delete(socket);
      const left = ofSource.get(from)! - 1;
      if (left === 0) ofSource.delete(from);
      else ofSource.set(from, left);
    });
    void answerEach(socket, (message) => answerTo(message, from))
      .catch(() => {})
      .finally(() => socket.destroy());
  });
  return open;
}

/** One message after the other: whoever sends many waits for the answers. Ends with one that is too long, or is not answered. */
async function answerEach(
  socket: Socket,
  answer: (message: Uint8Array) => Promise<Uint8Array | undefined> | undefined,
): Promise<void> {
  let read = Buffer.alloc(0);
  for await (const piece of socket as AsyncIterable<Buffer>) {
    read = Buffer.concat([read, piece]);
    for (;;) {
      if (read.length < 2) break;
      const length = read.readUInt16BE(0);
      if (length > TCP.mostBytes) return;
      if (read.length < 2 + length) break;
      const response = await answer(read.subarray(2, 2 + length));
      if (response === undefined) return;
      read = read.subarray(2 + length);
      const header = Buffer.alloc(2);
      header.writeUInt16BE(response.length);
      if (!socket.write(Buffer.concat([header, response]))) await once(socket, 'drain');
    }
  }
}
