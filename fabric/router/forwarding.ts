import type { Log } from '../../os/log.ts';
import type { TunDevice } from '../../os/tun.ts';
import { concat } from '../../protocol/bytes.ts';
import { encodeFrame, frames } from '../../protocol/tunnel/frame.ts';
import type { Counters, DropCause } from './counters.ts';
import type { Session } from './session.ts';
import type { Decision, Switch } from './switch.ts';

/** Moves packets between sessions and the TUN as the switch decides. */
export interface Forwarding {
  /** Packets that a session received, as one batch. */
  fromSession(from: Session, packets: readonly Uint8Array[]): void;
  /** No more packets from or to the TUN. The TUN stays open; whoever opened it closes it. */
  stop(): void;
}

/** Starts to forward. `total` counts what no session accounts for: drops of packets that the host sent. */
export function startForwarding(
  table: Switch<Session>,
  tun: TunDevice | undefined,
  total: Counters,
  log: Log,
): Forwarding {
  /** Sessions that got packets in the batch at hand. */
  const touched = new Set<Session>();
  let stopped = false;
  let tunFailed = false;

  const flush = (): void => {
    for (const session of touched) session.flush();
    touched.clear();
  };

  const offer = (session: Session, packet: Uint8Array): void => {
    session.offer(packet);
    touched.add(session);
  };

  const toTun = (from: Session, batch: readonly Uint8Array[]): void => {
    if (tun === undefined || batch.length === 0 || stopped) return;
    let refused = batch.length;
    try {
      refused = tun.write(concat(...batch)).dropped;
    } catch (error) {
      if (!tunFailed) log('error', `cannot write to ${tun.name}: ${(error as Error).message}`);
      tunFailed = true;
    }
    for (let i = 0; i < refused; i++) from.dropped('tun-refused');
  };

  const dropFromTun = (cause: DropCause): void => {
    total.drops[cause] += 1;
  };

  tun?.start(
    (batch) => {
      if (stopped) return;
      for (const packet of frames(batch)) {
        const decision = table.fromTun(packet);
        if (decision.to === 'port') offer(decision.port, packet);
        else if (decision.to === 'nowhere') dropFromTun(decision.cause);
      }
      flush();
      tun.resume();
    },
    (failure) => log('error', `${failure.message}; devices still reach each other, but not the host`),
  );

  return {
    fromSession(from, packets) {
      const forTun: Uint8Array[] = [];
      for (const packet of packets) {
        const decision: Decision<Session> = table.fromPort(from, packet);
        switch (decision.to) {
          case 'port':
            offer(decision.port, packet);
            break;
          case 'sender':
            offer(from, decision.answer);
            break;
          case 'tun':
            forTun.push(encodeFrame(packet));
            break;
          case 'nowhere':
            from.dropped(decision.cause);
            break;
        }
      }
      toTun(from, forTun);
      flush();
    },
    stop() {
      stopped = true;
    },
  };
}
