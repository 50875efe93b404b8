import { askControl, type Sent, StatusError } from '../../../os/net/control-socket.ts';
import { isFailure } from '../../../protocol/failure.ts';

/** The path at which a fabric tells whether its router leaves service (GET), and begins to (POST). */
export const DRAIN_PATH = '/drain';
/** That at which the router stays in service (POST). */
export const RESUME_PATH = '/resume';

/** In seconds. */
export const LONGEST_DRAIN = 3_600;

/** How a router leaves service: whole seconds, at most LONGEST_DRAIN each. */
export interface DrainWish {
  /** Devices that have another host are gone within this time. */
  readonly within: number;
  /** Those that have none come back so long after the router has ended their tunnels, at the earliest. */
  readonly retryAfter: number;
}

/** What the router of a fabric says about that. */
export interface DrainView {
  /** Since when it leaves service (ISO 8601), and how; null: it does not. */
  readonly draining: (DrainWish & { readonly since: string }) | null;
  /** Tunnels of agents, which are told, and of C peers, which stay until it stops; null: the fabric serves none, and there is nothing to leave. */
  readonly tunnels: { readonly agent: number; readonly c: number } | null;
}

/**
 * What the fabric that listens on `socket` answers: undefined if none does, null if its router has not started yet, or if it is of a version without.
 * @throws Failure `control.…`
 */
export async function askDrain(
  socket: string,
  wish: DrainWish | 'resume' | 'nothing',
): Promise<DrainView | null | undefined> {
  try {
    return (await askControl(socket, questionOf(wish))) as DrainView | null;
  } catch (error) {
    if (isFailure(error, 'control.nobody')) return undefined;
    if (
      isFailure(error, 'control.bad-answer') &&
      error.cause instanceof StatusError &&
      error.cause.status === 404
    )
      return null;
    throw error;
  }
}

function questionOf(wish: Parameters<typeof askDrain>[1]): Sent {
  if (wish === 'nothing') return { method: 'GET', path: DRAIN_PATH };
  return wish === 'resume'
    ? { method: 'POST', path: RESUME_PATH }
    : { method: 'POST', path: DRAIN_PATH, body: wish };
}
