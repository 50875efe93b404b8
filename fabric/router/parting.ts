import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { encodeVerdict, type Verdict } from '../../protocol/tunnel/verdict.ts';

/** A peer behind TLS whose handshake is complete. */
export interface Connection {
  readonly tls: TLSSocket;
  /** The TCP connection under it. */
  readonly raw: Socket;
  /** The peer offered our ALPN name, so it understands verdicts; otherwise it is a C peer. */
  readonly understands: boolean;
  /** The outer address and port. */
  readonly from: string;
}

/**
 * Ends a connection in the way that makes the peer do the right thing (enftun.md §1):
 *
 *  - our peers hear the verdict, then the orderly close;
 *  - a C peer takes a reset for "provision anew", so it gets one only if it is evicted; after the orderly
 *    close (close_notify, then FIN) it just reconnects.
 *
 * The orderly close keeps reading, and throwing away, until the peer has closed, too: closing a TCP socket
 * with unread data would send a reset. After `lingerMs` it is cut off.
 */
export function part(connection: Connection, verdict: Verdict | undefined, lingerMs: number): void {
  const { tls, raw, understands } = connection;
  if (tls.destroyed) return;
  if (verdict?.kind === 'evicted' && !understands) {
    raw.resetAndDestroy();
    return;
  }
  tls.resume();
  if (verdict !== undefined && understands) tls.end(encodeVerdict(verdict));
  else tls.end();
  const deadline = setTimeout(() => tls.destroy(), lingerMs);
  tls.once('close', () => clearTimeout(deadline));
}
