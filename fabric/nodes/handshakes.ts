import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import type { Nodes } from '../registry/nodes.ts';
import { eachRow } from '../registry/pages.ts';

/** How often it is looked whether other nodes serve handshakes, while this one drains: one that is lost says nothing. */
const LOOK_MS = 5_000;

/** The identity server of this node. */
export interface Accepting {
  readonly accepts: boolean;
  /** Accepts no more, and waits for handshakes in progress. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/** Handshakes at this node while it drains. */
export interface HandshakeKeeper {
  /** From now on other nodes serve them, as soon and as long as one does; or this one does again. */
  drain(draining: boolean): void;
  close(): Promise<void>;
}

export interface HandshakeParts {
  readonly server: Accepting;
  readonly nodes: Pick<Nodes, 'nodes' | 'onNodeChange'>;
  /** The name of this node. */
  readonly own: string;
  readonly log: Log;
  readonly lookMs?: number;
}

/** Has other nodes serve handshakes while this one drains: it stops accepting only while another one serves them that does not drain itself. */
export function keepHandshakes({
  server,
  nodes,
  own,
  log,
  lookMs = LOOK_MS,
}: HandshakeParts): HandshakeKeeper {
  const failed = repeatedLine(log, 'error', { subjects: 1 });
  let draining = false;
  let looking: Promise<void> | undefined;
  let again = false;
  let closed = false;

  async function lookOnce(): Promise<void> {
    const goes = draining && (await othersServe(nodes, own));
    if (closed || goes !== server.accepts) return;
    await (goes ? server.pause() : server.resume());
    log('notice', `handshakes are served ${goes ? 'by other nodes' : 'here'}`);
  }

  function look(): void {
    if (closed) return;
    again = looking !== undefined;
    looking ??= lookOnce()
      .catch((error: unknown) =>
        failed('', `handshakes of a node that drains: ${(error as Error).message}`, error),
      )
      .then(() => {
        looking = undefined;
        if (again) look();
      });
  }

  const unsubscribe = nodes.onNodeChange(look);
  const timer = setInterval(look, lookMs);
  return {
    drain(now) {
      draining = now;
      look();
    },
    async close() {
      closed = true;
      clearInterval(timer);
      unsubscribe();
      await looking;
      failed.close();
    },
  };
}

/** Whether a node other than this one serves handshakes, and does not drain. */
async function othersServe(nodes: Pick<Nodes, 'nodes'>, own: string): Promise<boolean> {
  for await (const { name, state, serves } of eachRow(nodes.nodes))
    if (name !== own && state === 'serving' && serves.includes('identity')) return true;
  return false;
}
