import { isFailure } from '../../protocol/failure.ts';
import { bgpSessions } from './birdc.ts';

/** BIRD of this node, as its fabric sees it. */
export interface BirdWatch {
  /** Its control socket. */
  readonly socket: string;
  /** Why other nodes learn of no route here, or why that is not known; null: they learn of them. */
  readonly failing: string | null;
  /** Asks it: true if it does not run, or has a session with no other node. What is not known is not so. */
  lost(): Promise<boolean>;
}

/** Whether BIRD tells other nodes of the routes here, asked at its control socket. */
export function watchBird(socket: string, ask = bgpSessions): BirdWatch {
  let failing: string | null = null;
  return {
    socket,
    get failing() {
      return failing;
    },
    async lost() {
      try {
        const sessions = await ask(socket);
        failing = sessions === undefined ? 'BIRD does not run' : amiss(sessions);
        return sessions === undefined || (sessions.length > 0 && failing !== null);
      } catch (error) {
        if (!isFailure(error)) throw error;
        failing = error.message;
        return error.code !== 'bgp.not-permitted';
      }
    },
  };
}

/** Without any session of ours another configuration may do their work. */
function amiss(sessions: readonly { readonly established: boolean }[]): string | null {
  if (sessions.length === 0) return 'BIRD has no session that "enf-fabric bgp config" has made';
  return sessions.some(({ established }) => established) ? null : 'BIRD has its session with no other node';
}
