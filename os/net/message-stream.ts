import type { Socket } from 'node:net';
import { concat } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { announcedLength, HEADER_LENGTH } from '../../protocol/xtt/message.ts';

/**
 * Reads one XTT message: exactly the 4-byte header, then what it announces, never a byte further (xtt-protocol.md §10.1).
 * `timeoutMs` is the deadline for the whole message, however slowly its bytes arrive. The socket must be paused or new:
 * nothing else may read from it.
 * @throws Failure `xtt.bad-header`, `net.closed`, `net.timeout`
 */
export function readMessage(socket: Socket, timeoutMs: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let header: Uint8Array | undefined;
    let wanted = HEADER_LENGTH;
    const take = () => {
      try {
        for (;;) {
          // Before the end of the stream read(n) gives n bytes or null; after it, what is left.
          const bytes: Buffer | null = socket.read(wanted);
          if (bytes === null) {
            if (socket.readableEnded || socket.destroyed) fail(closed(socket));
            return;
          }
          if (bytes.length < wanted) return fail(closed(socket));
          if (header !== undefined) return finish(concat(header, bytes));
          header = Uint8Array.from(bytes);
          wanted = announcedLength(header) - HEADER_LENGTH;
          if (wanted === 0) return finish(header);
        }
      } catch (error) {
        fail(error);
      }
    };
    const onGone = () => fail(closed(socket));
    const timer = setTimeout(() => fail(late('no complete message from', socket, timeoutMs)), timeoutMs);
    const stop = () => {
      clearTimeout(timer);
      socket.off('readable', take).off('end', onGone).off('error', onGone).off('close', onGone);
    };
    const finish = (message: Uint8Array) => {
      stop();
      resolve(message);
    };
    const fail = (error: unknown) => {
      stop();
      reject(error);
    };
    socket.on('readable', take).on('end', onGone).on('error', onGone).on('close', onGone);
    take();
  });
}

/** Writes all of `bytes`; resolves when the kernel has accepted them.
 * @throws Failure `net.closed`, `net.timeout` (the peer does not read)
 */
export function writeAll(socket: Socket, bytes: Uint8Array, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => settle(closed(socket));
    const timer = setTimeout(
      () => settle(late('the message could not be sent to', socket, timeoutMs)),
      timeoutMs,
    );
    const settle = (failure?: Failure) => {
      clearTimeout(timer);
      socket.off('close', onClose).off('error', onClose);
      if (failure === undefined) resolve();
      else reject(failure);
    };
    socket.on('close', onClose).on('error', onClose);
    socket.write(bytes, (error) => settle(error ? closed(socket, error) : undefined));
  });
}

function closed(socket: Socket, cause: Error | null = socket.errored): Failure {
  const reason = (cause as NodeJS.ErrnoException | null)?.code;
  return new Failure(
    'net.closed',
    'retry',
    `the peer closed the connection in the middle of the exchange${reason === undefined ? '' : ` (${reason})`}`,
    { action: 'See the log of the peer for the reason.', cause: cause ?? undefined },
  );
}

function late(what: string, socket: Socket, timeoutMs: number): Failure {
  return new Failure(
    'net.timeout',
    'retry',
    `${what} ${socket.remoteAddress ?? 'the peer'} within ${timeoutMs} ms`,
    {
      action: 'Check the network path to the peer.',
    },
  );
}
