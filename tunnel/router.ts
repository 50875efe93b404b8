import { addon } from '../native/index.ts';
import type { PeerHandle, RouterCounters, RouterEvent, RouterSettings } from '../native/router/router.ts';

export type { PeerHandle, RouterCounters, RouterEvent };

/** Whose an address is; packets for `nobody`'s go to the host. */
export type Whose = 'nobody' | 'device' | 'unknown';

/** The native threads of a tunnel router: they forward packets, and report peers that ask to be admitted. */
export interface RouterThreads {
  readonly port: number;
  /** Peers that are not admitted yet. */
  readonly pending: number;
  /** Admits the peer under its address (16 bytes). Devices of equal `network` (a number from 1 on) reach each other. */
  admit(peer: PeerHandle, address: Uint8Array, network: number): void;
  /** Ends its connection (native/router/router.ts). */
  disconnect(peer: PeerHandle, verdict: Uint8Array, reset: boolean, excused: boolean): void;
  answer(thread: number, address: Uint8Array, whose: Whose): void;
  forget(address: Uint8Array): void;
  counted(peer: PeerHandle): RouterCounters;
  /** The counters of each thread; when they have ended, the last values. */
  counters(): readonly RouterCounters[];
  /** Resolves when nothing is open any more. Any number of times. */
  close(): Promise<void>;
}

const ANSWERS = { nobody: 0, device: 1, unknown: 2 } as const;

/**
 * Starts the threads (port 0: the system chooses). They own the TUN's descriptor if this succeeds.
 * @throws Error with a `code`, as `routerStart`
 */
export function startRouterThreads(
  listen: { readonly host: string; readonly port: number },
  identity: { readonly certificate: string; readonly key: string },
  settings: RouterSettings,
  onEvent: (event: RouterEvent) => void,
): RouterThreads {
  const native = addon();
  let last: readonly RouterCounters[] | undefined;
  let announce = (): void => {};
  const stopped = new Promise<void>((resolve) => {
    announce = resolve;
  });
  const receive = (event: RouterEvent): void => {
    if (event.kind === 'stopped') {
      last = native.routerCounters(handle);
      announce();
    }
    onEvent(event);
  };
  const { certificate, key } = identity;
  const handle = native.routerStart(settings, listen.host, listen.port, certificate, key, receive);
  return {
    port: native.routerPort(handle),
    get pending() {
      return native.routerPending(handle);
    },
    admit: (peer, address, network) => native.routerAdmit(handle, peer, address, network),
    disconnect: (peer, verdict, reset, excused) =>
      native.routerDisconnect(handle, peer, verdict, reset, excused),
    answer: (thread, address, whose) => native.routerAnswer(handle, thread, address, ANSWERS[whose]),
    forget: (address) => native.routerForget(handle, address),
    counted: (peer) => native.routerPeerCounters(peer),
    counters: () => last ?? native.routerCounters(handle),
    close() {
      native.routerClose(handle);
      return stopped;
    },
  };
}
