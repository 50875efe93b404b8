import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Failure } from '../../protocol/failure.ts';

/** A DHCPv6 server's place on a link (RFC 8415 §7). */
export interface DhcpSocket {
  /** Sends to a client, an address as `onMessage` got it; what the kernel refuses is lost. */
  send(message: Uint8Array, to: string): void;
  close(): void;
}

const SERVERS = 'ff02::1:2';
const SERVER_PORT = 547;
const CLIENT_PORT = 546;
/** The kernel's queue of messages that were not read yet. */
const QUEUE_BYTES = 64 * 1_024;

/**
 * Opens a socket that gets what machines on the link of an interface send to all servers, and nothing else. `onMessage` gets a link-local address with its
 * interface, such as `fe80::1%eth1`, and the message. @throws Failure `os.no-dhcp-socket`
 */
export async function openDhcpSocket(
  name: string,
  onMessage: (from: string, message: Uint8Array) => void,
): Promise<DhcpSocket> {
  const socket = createSocket({
    type: 'udp6',
    recvBufferSize: QUEUE_BYTES,
    // All of them are addresses; Node's own takes not every name of an interface in them.
    lookup: (address, _, found) => found(null, address, 6),
  });
  socket.on('message', (message, { address }) => {
    if (address.startsWith('fe80:')) onMessage(address, message);
  });
  try {
    const listening = once(socket, 'listening');
    // The kernel ties a socket with such an address to the interface; other groups and addresses do not reach it.
    socket.bind({ port: SERVER_PORT, address: `${SERVERS}%${name}`, exclusive: true });
    await listening;
    socket.addMembership(SERVERS, `::%${name}`);
  } catch (error) {
    socket.close();
    throw new Failure(
      'os.no-dhcp-socket',
      'operator',
      `no DHCPv6 is answered on ${name}: ${(error as Error).message}`,
      {
        action:
          'Run as root, or grant CAP_NET_BIND_SERVICE: a drop-in of the unit does that, see docs/prefix.md. Another DHCPv6 server on this interface has the port, too.',
        cause: error,
      },
    );
  }
  // An interface that is gone, or a client that is: nobody waits for that.
  socket.on('error', () => {});
  return {
    send: (message, to) => socket.send(message, CLIENT_PORT, to, () => {}),
    close: () => socket.close(),
  };
}
