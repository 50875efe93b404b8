import { curves as availableCurves, type Curves } from '../../crypto/curves.ts';
import { selfTestEcdaa } from '../../crypto/ecdaa.ts';
import type { Knock } from '../../os/net/acceptor.ts';
import { quietly } from '../../os/service/limited-log.ts';
import type { Log } from '../../os/service/log.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { cookieJar } from '../../protocol/xtt/cookie.ts';
import { announcedLength, ERROR_MESSAGE, KNOWN_HEADERS } from '../../protocol/xtt/message.ts';
import { type Entrance, openDoor } from './acceptor.ts';
import { type Account, type Books, type Desk, provision, welcome } from './handshake.ts';
import type { Limits } from './limits.ts';
import { type LaneOptions, lanes } from './queue.ts';
import { suspectList } from './reputation.ts';
import { groupVerifiers } from './verifiers.ts';

/** How long a peer may take for each of its messages, from our last one to its last byte. */
export interface Deadlines {
  readonly helloMs: number;
  readonly claimMs: number;
}

export const DEADLINES: Deadlines = { helloMs: 10_000, claimMs: 10_000 };
export const LIMITS: Limits = { total: 16_384, perSource: 64 };

/** How long a peer may take to read our last words before the socket is taken away. */
const LINGER_MS = 1_000;
/** How often keys of the cookie jar that are of no more use are looked for. */
const SWEEP_MS = 5_000;
const NOTHING = new Uint8Array(0);

/** Refusals that a device brings upon itself by forging, replaying or not speaking the protocol. */
const HOSTILE = /^xtt\.(?!cookie-jar-full|expired-cookie|error-received)/;

export interface IdentityServer {
  /** The port bound. */
  readonly port: number;
  /** Connections open now. */
  readonly open: number;
  /** True if curves and door are the addon's. */
  readonly native: boolean;
  /** Accepts no more, lets handshakes in progress end for up to `graceMs`, then cuts the rest. */
  close(graceMs: number): Promise<void>;
}

export interface IdentityOptions {
  readonly listen: Entrance;
  /** 169 bytes. */
  readonly certificate: Uint8Array;
  /** Private key of the certificate, 32 bytes. */
  readonly key: Uint8Array;
  readonly registry: Books;
  readonly log: Log;
  readonly deadlines?: Deadlines;
  readonly limits?: Limits;
  readonly lanes?: Omit<LaneOptions, 'now'>;
  /** The addon's by default, if it was built; with others the door is the portable one, too. */
  readonly curves?: Curves;
  /** Milliseconds on a clock that never runs backwards; for the cookies. */
  readonly now?: () => number;
  /** How often the cookie jar forgets keys that are of no more use, milliseconds. */
  readonly sweepMs?: number;
}

/**
 * Serves XTT identity provisioning on TCP. Every failure ends in an Error message and a closed connection; nothing a
 * peer sends or leaves unsent keeps a socket open beyond its deadlines. Of a client that said hello nothing is kept but
 * its connection (docs/adr/0004); the order in which claims are served is in `lanes.ts`.
 * @throws Failure `net.port-busy`, `net.port-not-permitted`, `net.no-such-address`, `ecdaa.wrong-arithmetic`
 */
export async function startIdentityServer(options: IdentityOptions): Promise<IdentityServer> {
  await selfTestEcdaa();
  const { registry, log } = options;
  const { native, primitives, signer } = options.curves ?? availableCurves();
  const now = options.now ?? (() => performance.now());
  const desk: Desk = {
    primitives,
    certificate: options.certificate,
    sign: signer(options.key),
    jar: cookieJar(primitives),
    verifiers: groupVerifiers(),
    books: registry,
    now,
  };
  const suspects = suspectList(now);
  const waiting = lanes({ ...options.lanes, now });
  const working = new Set<Promise<void>>();
  const warn = quietly((message) => log('notice', message));
  const overload = quietly((message) => log('warning', message));
  const tell = quietly((message) => log('info', message), { burst: 20, quietMs: 1_000 });

  const { door, port } = await openDoor(
    options.listen,
    {
      headers: KNOWN_HEADERS,
      refusal: ERROR_MESSAGE,
      ...(options.limits ?? LIMITS),
      ...(options.deadlines ?? DEADLINES),
      lingerMs: LINGER_MS,
      onKnock: (knock) => {
        if (knock.event === 'crowded') overload(`too many handshakes at once, turned away ${knock.source}`);
        else if (knock.event !== 'message') refuse(knock, accountOf(knock), brokenOff(knock));
        else if (knock.answered) receiveClaim(knock);
        else receiveHello(knock);
      },
    },
    native ? undefined : true,
  );

  function receiveHello(knock: Knock): void {
    const account = accountOf(knock);
    if (waiting.crowded(suspects.isSuspect(knock.source))) {
      sendAway(knock);
      return;
    }
    try {
      const reply = welcome(desk, knock.bytes, account);
      door.answer(knock.id, reply, account.suite!);
    } catch (error) {
      refuse(knock, account, error);
    }
  }

  function receiveClaim(knock: Knock): void {
    waiting.enter(suspects.isSuspect(knock.source), {
      run: () => track(judge(knock)),
      drop: () => sendAway(knock),
    });
  }

  async function judge(knock: Knock): Promise<void> {
    const account = accountOf(knock);
    try {
      const { finished, address } = await provision(desk, knock.bytes, account);
      door.part(knock.id, finished);
      suspects.trust(knock.source);
      tell(`${formatIpv6(address)} provisioned from ${account.source}`);
    } catch (error) {
      refuse(knock, account, error);
    }
  }

  /** There is no time for this one: its own back-off brings it back. Nothing is written, it made no handshake. */
  function sendAway(knock: Knock): void {
    door.part(knock.id, ERROR_MESSAGE);
    overload(`too much to do, sent away ${knock.source}`);
  }

  function refuse(knock: Knock, account: Account, error: unknown): void {
    // An Error is never answered by an Error: two programs would talk for ever.
    door.part(knock.id, isFailure(error, 'xtt.error-received') ? NOTHING : ERROR_MESSAGE);
    const result = isFailure(error) ? error.code : 'internal';
    if (!isFailure(error)) log('error', `handshake from ${account.source}: ${(error as Error).stack}`);
    if (HOSTILE.test(result)) suspects.blame(knock.source);
    warn(`refused a handshake from ${account.source}: ${result}`);
    void track(
      registry.refused({ ...account, result }).catch((failed: Error) => {
        log('error', `cannot note a refused handshake: ${failed.message}`);
      }),
    );
  }

  function track(work: Promise<void>): Promise<void> {
    working.add(work);
    return work.finally(() => working.delete(work));
  }

  const sweeping = setInterval(() => desk.jar.sweep(now()), options.sweepMs ?? SWEEP_MS).unref();
  let closing: Promise<void> | undefined;
  async function close(graceMs: number): Promise<void> {
    door.shut();
    const end = now() + graceMs;
    while (door.open > 0 && now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
    waiting.dismiss();
    door.close();
    // What was begun may still write; only then may the registry close.
    while (waiting.load > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await Promise.allSettled(working);
    clearInterval(sweeping);
  }

  return {
    port,
    native,
    get open() {
      return door.open;
    },
    close: (graceMs) => {
      closing ??= close(graceMs);
      return closing;
    },
  };
}

/** What is known of a peer before its message is looked at. */
function accountOf({ source, note }: Knock): Account {
  return { source, proven: false, ...(note === 0 ? {} : { suite: note }) };
}

/** Why there is no message. */
function brokenOff(knock: Knock): Failure {
  if (knock.event === 'late') {
    return new Failure('net.timeout', 'retry', `no whole message from ${knock.source} in time`, {
      action: 'Check the path to the peer.',
    });
  }
  if (knock.event === 'gone') {
    return new Failure(
      'net.closed',
      'retry',
      'the peer closed the connection in the middle of the exchange',
      {
        action: 'See the peer’s log for its reason.',
      },
    );
  }
  try {
    announcedLength(knock.bytes);
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
  throw new Error('the door refused a header that is a good one');
}
