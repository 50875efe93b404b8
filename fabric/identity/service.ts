import type { Acceptor, AcceptorEvent } from '../../os/net/acceptor.ts';
import { sourceOf } from '../../os/net/peer.ts';
import type { Log } from '../../os/service/log.ts';
import { repeatedLine, repeats } from '../../os/service/repeats.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { announcedLength, checkClearHeader, ERROR_MESSAGE } from '../../protocol/xtt/message.ts';
import { ABANDONED, type Handshake } from '../registry/records.ts';
import { batched } from './batched.ts';
import { answerClientAttest, type HandshakeContext, type HandshakeRecord } from './handshake.ts';
import { isHostile } from './hostile.ts';
import { type QueueOptions, workQueue } from './queue.ts';
import { sourceReputation } from './reputation.ts';

const NOTHING = new Uint8Array(0);
/** Lines of those who need not prove anything: any number of them can come. */
const STRANGERS = { each: 1, subjects: 10 };
/** Refused handshakes that get a row in the history, by source; the others are counted. */
const RECORDED = { each: 100, subjects: 1_000, periodMs: 60_000 };

/** Serves the handshakes that an acceptor reports. */
export interface HandshakeService {
  receive(event: AcceptorEvent): void;
  /** Refuses the handshakes that wait in the queue. */
  dropWaiting(): void;
  /** Resolves when no handshake runs and nothing is to be written any more. */
  settled(): Promise<void>;
}

/** ClientInits are answered at the end of the event loop's turn, all at once, an Identity_ClientAttest in its turn (queue.ts). */
export function handshakeService(
  acceptor: Pick<Acceptor, 'answer' | 'finish'>,
  context: HandshakeContext,
  log: Log,
  queueOptions: Omit<QueueOptions, 'now'> = {},
): HandshakeService {
  const reputation = sourceReputation(context.now);
  const queue = workQueue({ ...queueOptions, now: context.now });
  const { track, settled } = pendingWork();
  const logRefused = repeatedLine(log, 'notice', STRANGERS);
  const logOverload = repeatedLine(log, 'warning', STRANGERS);
  const logError = repeatedLine(log, 'error', STRANGERS);
  const logProvisioned = repeatedLine(log, 'info');
  const answerWithOthers = batched(answerTogether);
  const refusals = repeats<Refusal>((refusal, more) => {
    void track(
      context.registry.refused(refusal, more).catch((failed: Error) => {
        logError('registry', `cannot record a refused handshake: ${failed.message}`, failed);
      }),
    );
  }, RECORDED);

  function receiveClientInit(event: AcceptorEvent): void {
    const record = recordOf(event);
    if (queue.congested(reputation.isSuspect(event.source), event.source)) {
      shed(event);
      return;
    }
    try {
      record.suite = checkClearHeader(event.bytes, 'clientInit');
      answerWithOthers({ event, record });
    } catch (error) {
      refuse(event, record, error);
    }
  }

  function answerTogether(hellos: readonly Hello[]): void {
    let replies: readonly unknown[];
    try {
      replies = context.server.answerAll(
        context.now(),
        hellos.map(({ event }) => event.bytes),
      );
    } catch (error) {
      replies = hellos.map(() => error);
    }
    for (const [i, { event, record }] of hellos.entries()) {
      try {
        const reply = replies[i];
        if (!(reply instanceof Uint8Array)) throw reply;
        acceptor.answer(event.id, reply, record.suite!);
      } catch (error) {
        refuse(event, record, error);
      }
    }
  }

  function receiveClientAttest(event: AcceptorEvent): void {
    const arrivedMs = performance.now();
    const job = { run: () => track(provision(event, arrivedMs)), drop: () => shed(event) };
    queue.add(reputation.isSuspect(event.source), job, event.source);
  }

  async function provision(event: AcceptorEvent, arrivedMs: number): Promise<void> {
    const record = recordOf(event);
    try {
      const { finished, address } = await answerClientAttest(context, event.bytes, record, arrivedMs);
      acceptor.finish(event.id, finished);
      reputation.forgive(event.source);
      const device = formatIpv6(address);
      logProvisioned(device, `${device} provisioned from ${record.source}`);
    } catch (error) {
      refuse(event, record, error);
    }
  }

  /** Refuses for lack of time: the device tries again after its own back-off. Not a handshake for the history. */
  function shed(event: AcceptorEvent): void {
    acceptor.finish(event.id, ERROR_MESSAGE);
    logOverload(sourceOf(event.source), `overloaded, refused a handshake from ${event.source}`);
  }

  function refuse(event: AcceptorEvent, record: HandshakeRecord, error: unknown): void {
    // An Error is never answered by an Error: two programs would do so for ever.
    const hasLeft = isFailure(error, ABANDONED);
    acceptor.finish(event.id, hasLeft || isFailure(error, 'xtt.error-received') ? NOTHING : ERROR_MESSAGE);
    const result = isFailure(error) ? error.code : 'internal';
    const source = sourceOf(event.source);
    if (!isFailure(error)) logError(source, `handshake from ${record.source}: ${(error as Error).stack}`);
    if (isHostile(result)) reputation.penalise(event.source);
    const what = hasLeft ? 'a handshake was begun and left' : 'refused a handshake';
    logRefused(source, `${what} from ${record.source}: ${result}`, error);
    refusals.add(`${source} ${result}`, { ...record, result });
  }

  return {
    receive(event) {
      if (event.kind === 'over-limit')
        logOverload(sourceOf(event.source), `too many connections at once, closed one from ${event.source}`);
      else if (event.kind !== 'message') refuse(event, recordOf(event), failureOf(event));
      else if (event.answered) receiveClientAttest(event);
      else receiveClientInit(event);
    },
    dropWaiting: () => queue.dropWaiting(),
    async settled() {
      // ClientInits that have just come are answered or refused first.
      await new Promise((resolve) => setImmediate(resolve));
      while (queue.load > 0) await new Promise((resolve) => setTimeout(resolve, 10));
      for (const each of [refusals, logRefused, logOverload, logProvisioned]) each.close();
      await settled();
      logError.close();
    },
  };
}

type Refusal = Omit<Handshake, 'at'>;

/** A ClientInit whose header was checked. */
interface Hello {
  readonly event: AcceptorEvent;
  readonly record: HandshakeRecord;
}

/** Promises that have to be awaited before the registry may close. */
function pendingWork(): { track(work: Promise<void>): Promise<void>; settled(): Promise<unknown> } {
  const pending = new Set<Promise<void>>();
  return {
    track(work) {
      pending.add(work);
      return work.finally(() => pending.delete(work));
    },
    settled: () => Promise.allSettled(pending),
  };
}

/** What is known of a peer before its message is looked at. */
function recordOf({ source, tag }: AcceptorEvent): HandshakeRecord {
  return { source, proven: false, ...(tag === 0 ? {} : { suite: tag }) };
}

/** Why there is no message. */
function failureOf(event: AcceptorEvent): Failure {
  if (event.kind === 'timeout') {
    return new Failure('net.timeout', 'retry', `no complete message from ${event.source} in time`, {
      action: 'Check the path to the peer.',
    });
  }
  if (event.kind === 'left') {
    return new Failure(
      'net.abandoned',
      'retry',
      'the peer left after the answer to its first message, and claimed nothing',
      {
        action: 'Nothing, if it only looked (enf-fabric netcheck); else see whether it trusts this fabric.',
      },
    );
  }
  if (event.kind === 'closed') {
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
    announcedLength(event.bytes);
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
  throw new Error('the acceptor reported a known header as a bad one');
}
