import type { ServerKey } from '../../protocol/xtt/stateless.ts';
import { type StartOptions, startIdentity } from './start.ts';

/** An identity server that can leave its port to nobody, and come back to it. */
export interface PausableIdentity {
  readonly port: number;
  readonly native: boolean;
  /** Whether devices are accepted. */
  readonly accepts: boolean;
  replaceKeys(keys: readonly ServerKey[]): void;
  /** Accepts no more, and waits for handshakes in progress; the system refuses devices that come, and they try another address. */
  pause(): Promise<void>;
  /** Accepts again. @throws Failure see `startIdentity`: it is paused still */
  resume(): Promise<void>;
  close(): Promise<void>;
}

/** Starts an identity server; handshakes in progress have `graceMs` to end when it is paused or closed. @throws Failure see `startIdentity` */
export async function startPausable(options: StartOptions, graceMs: number): Promise<PausableIdentity> {
  let { keys } = options;
  let server: Awaited<ReturnType<typeof startIdentity>> | undefined = await startIdentity(options);
  const { port, native } = server;
  const listen = { ...options.listen, port };
  let turn: Promise<void> = Promise.resolve();
  let closed = false;
  /** One after the other, in the order in which they were asked for. */
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const done = turn.then(work);
    turn = done.catch(() => {});
    return done;
  };
  const pause = (): Promise<void> =>
    inTurn(async () => {
      const pausing = server;
      server = undefined;
      await pausing?.close(graceMs);
    });
  return {
    port,
    native,
    get accepts() {
      return server !== undefined;
    },
    replaceKeys(next) {
      keys = next;
      server?.replaceKeys(next);
    },
    pause,
    resume: () =>
      inTurn(async () => {
        if (!closed) server ??= await startIdentity({ ...options, listen, keys });
        // They were replaced meanwhile.
        server?.replaceKeys(keys);
      }),
    close() {
      closed = true;
      return pause();
    },
  };
}
