import { addon } from '../../native/index.ts';
import { Failure } from '../../protocol/failure.ts';

/** A router's place on a link: it hears solicitations and sends advertisements (RFC 4861). */
export interface RouterSocket {
  /** Sends a message to all nodes; false if the kernel refuses it at the moment, as while the interface has no link-local address. */
  advertise(message: Uint8Array): boolean;
  close(): void;
}

/**
 * Opens a socket on an interface. `onSolicitation` gets source (16 bytes) and message of what a machine on the link sends to all routers.
 * @throws Failure `os.no-raw-socket`
 */
export function openRouterSocket(
  name: string,
  onSolicitation: (source: Uint8Array, message: Uint8Array) => void,
): RouterSocket {
  const native = addon();
  try {
    const socket = native.icmp6Open(name, onSolicitation);
    return {
      advertise(message) {
        try {
          native.icmp6Advertise(socket, message);
          return true;
        } catch (error) {
          if (error instanceof TypeError) throw error;
          return false;
        }
      },
      close: () => native.icmp6Close(socket),
    };
  } catch (error) {
    if (error instanceof TypeError) throw error;
    throw new Failure(
      'os.no-raw-socket',
      'operator',
      `no router can be announced on ${name}: ${(error as Error).message}`,
      {
        action: 'Run as root, or grant CAP_NET_RAW: a drop-in of the unit does that, see docs/prefix.md.',
        cause: error,
      },
    );
  }
}
