import { curves as availableCurves, type Curves } from '../../crypto/curves.ts';
import { selfTestEcdaa } from '../../crypto/ecdaa.ts';
import type { AcceptorOptions } from '../../os/net/acceptor.ts';
import type { ListenAddress } from '../../os/net/listen.ts';
import type { Log } from '../../os/service/log.ts';
import { type Rate, tokenBuckets } from '../../os/service/token-buckets.ts';
import { ERROR_MESSAGE, KNOWN_HEADERS } from '../../protocol/xtt/message.ts';
import type { ServerKey } from '../../protocol/xtt/stateless.ts';
import { type ListeningSocket, openAcceptor } from './acceptor.ts';
import type { HandshakeContext, HandshakeRegistry } from './handshake.ts';
import { DEADLINES, type Deadlines, LIMITS, type Limits } from './limits.ts';
import type { QueueOptions } from './queue.ts';
import { type HandshakeService, handshakeService } from './service.ts';
import { groupVerifiers } from './verifiers.ts';

/** How long a peer may take to read our last message before the socket is closed. */
const LINGER_MS = 1_000;
/** How often a chip may provision: more often than a C enftun does whose tunnel never comes up, which is every 2.3 s. */
const CHIP_RATE = { burst: 300, periodMs: 1_000 };
/** How often the cookie jar is swept for keys that are of no more use. */
const SWEEP_MS = 5_000;

export interface IdentityServer {
  /** The port bound. */
  readonly port: number;
  /** Connections open now. */
  readonly open: number;
  /** True if curves and acceptor are the addon's. */
  readonly native: boolean;
  /** Answers with these certificates from now on. */
  replaceKeys(keys: readonly ServerKey[]): void;
  /** Accepts no more, lets handshakes in progress end for up to `graceMs`, then closes the rest. */
  close(graceMs: number): Promise<void>;
}

export interface IdentityOptions {
  readonly listen: ListenAddress | ListeningSocket;
  /** At least one; the first is for devices that do not say which root they trust. */
  readonly keys: readonly ServerKey[];
  readonly registry: HandshakeRegistry;
  readonly log: Log;
  readonly deadlines?: Deadlines;
  readonly limits?: Limits;
  readonly queue?: Omit<QueueOptions, 'now'>;
  /** The addon's by default, if it was built; with others the acceptor is the portable one, too. */
  readonly curves?: Curves;
  /** Milliseconds on a clock that never runs backwards; for the cookies. */
  readonly now?: () => number;
  /** How often the cookie jar is swept for keys that are of no more use, milliseconds. */
  readonly sweepMs?: number;
  /** How often a chip may provision. */
  readonly chipRate?: Rate;
}

/**
 * Serves XTT identity provisioning on TCP. Every failure ends in an Error message and a closed connection; nothing a
 * peer sends or leaves unsent keeps a socket open beyond its deadlines. After a ClientInit nothing is kept of a client but
 * its connection (docs/adr/0004); the order in which Identity_ClientAttests are served is in `queue.ts`.
 * @throws Failure `net.port-busy`, `net.port-not-permitted`, `net.no-such-address`, `ecdaa.wrong-arithmetic`
 */
export async function startIdentityServer(options: IdentityOptions): Promise<IdentityServer> {
  await selfTestEcdaa();
  const curves = options.curves ?? availableCurves();
  const context = handshakeContext(options, curves);
  const { acceptor, port } = await openAcceptor(
    options.listen,
    acceptorOptions(options, (event) => service.receive(event)),
    curves.native ? undefined : true,
  );
  const service: HandshakeService = handshakeService(acceptor, context, options.log, options.queue);
  const { server, now } = context;
  const sweeping = setInterval(() => server.sweep(now()), options.sweepMs ?? SWEEP_MS).unref();

  async function close(graceMs: number): Promise<void> {
    acceptor.stopAccepting();
    const end = now() + graceMs;
    while (acceptor.open > 0 && now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
    service.dropWaiting();
    acceptor.close();
    // Handshakes that run may still write; only then may the registry close.
    await service.settled();
    clearInterval(sweeping);
  }

  let closing: Promise<void> | undefined;
  return {
    port,
    native: curves.native,
    get open() {
      return acceptor.open;
    },
    replaceKeys: (keys) => server.replace(now(), keys),
    close: (graceMs) => {
      closing ??= close(graceMs);
      return closing;
    },
  };
}

function handshakeContext(
  { keys, registry, now = () => performance.now(), chipRate = CHIP_RATE }: IdentityOptions,
  curves: Curves,
): HandshakeContext {
  return {
    server: curves.server(keys),
    verifiers: groupVerifiers(),
    registry,
    chips: tokenBuckets(chipRate, now),
    now,
  };
}

function acceptorOptions(
  { limits = LIMITS, deadlines = DEADLINES }: IdentityOptions,
  onEvent: AcceptorOptions['onEvent'],
): AcceptorOptions {
  const common = { headers: KNOWN_HEADERS, refusal: ERROR_MESSAGE, lingerMs: LINGER_MS, onEvent };
  return { ...common, ...limits, ...deadlines };
}
