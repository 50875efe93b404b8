import type { DrainMessage, DrainOrder } from '../../protocol/tunnel/drain.ts';
import type { TunnelSession } from '../tunnel/session.ts';

/** Whether the router of the tunnel leaves service; `elsewhere`: there is another host. */
export type DrainEvent =
  | { readonly kind: 'drained'; readonly order: DrainOrder; readonly elsewhere: boolean }
  | { readonly kind: 'undrained' };

/** What a message of a router about leaving service means for this device; undefined: nothing. */
export async function drainEvent(
  message: DrainMessage | 'ignored',
  tunnel: Pick<TunnelSession, 'leave'>,
): Promise<DrainEvent | undefined> {
  if (message === 'ignored') return undefined;
  if (message.kind === 'stay') return { kind: 'undrained' };
  const { kind: _, ...order } = message;
  return { kind: 'drained', order, elsewhere: await tunnel.leave() };
}

/** Reports in an order that the lifecycle understands: a router that leaves service may say so before the tunnel is up. */
export function afterUp<Event extends { readonly kind: string }>(
  report: (event: Event | DrainEvent) => void,
): (event: Event | DrainEvent) => void {
  let up = false;
  let early: Event | DrainEvent | undefined;
  return (event) => {
    if (!up && (event.kind === 'drained' || event.kind === 'undrained')) {
      early = event;
      return;
    }
    report(event);
    if (event.kind !== 'up') return;
    up = true;
    const next = early;
    early = undefined;
    if (next !== undefined) report(next);
  };
}
