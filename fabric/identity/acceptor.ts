import {
  type Acceptor,
  type AcceptorOptions,
  hasNativeAcceptor,
  nativeAcceptor,
  openListener,
} from '../../os/net/acceptor.ts';
import { type ListenAddress, listen, listenFailure } from '../../os/net/listen.ts';
import { portableAcceptor } from './portable-acceptor.ts';

const WHAT = 'the identity server';

/** A listening socket that the parent process opened. */
export interface ListeningSocket {
  readonly descriptor: number;
}

/**
 * Opens the acceptor of the identity server: the addon's if it was built (and `portable` is not set), else one on node:net.
 * @throws Failure `net.port-busy`, `net.port-not-permitted`, `net.no-such-address`
 */
export async function openAcceptor(
  on: ListenAddress | ListeningSocket,
  options: AcceptorOptions,
  portable = !hasNativeAcceptor(),
): Promise<{ readonly acceptor: Acceptor; readonly port: number }> {
  if ('descriptor' in on) return { acceptor: nativeAcceptor(on.descriptor, options), port: 0 };
  if (portable) {
    const { server, acceptor } = portableAcceptor(options);
    return { acceptor, port: await listen(server, on, WHAT) };
  }
  const { descriptor, port } = openListeningSocket(on);
  return { acceptor: nativeAcceptor(descriptor, options), port };
}

/**
 * Opens the listening socket that several processes will share.
 * @throws Failure `net.port-busy`, `net.port-not-permitted`, `net.no-such-address`
 */
export function openListeningSocket(address: ListenAddress): ListeningSocket & { readonly port: number } {
  try {
    return openListener(address.host, address.port);
  } catch (error) {
    throw listenFailure(address, WHAT, error);
  }
}
