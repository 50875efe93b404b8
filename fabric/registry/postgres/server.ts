import type { Failure } from '../../../protocol/failure.ts';
import { openLink } from './link.ts';
import { unfinished, unfinishedMove } from './migrate.ts';
import { shownAddress } from './servers.ts';

/** A database server, as it answers for itself. */
export interface DatabaseServer {
  /** Without its password. */
  readonly address: string;
  /** As the server writes it, such as `15.18`; absent if it cannot be used. */
  readonly version?: string;
  /** It takes no changes. */
  readonly standby?: boolean;
  /** Nobody between here and there can read what is said: TLS, or a socket of this host. */
  readonly closed?: boolean;
  readonly failure?: Failure;
  /** It has a registry that is not whole, and this says how to go on. */
  readonly unfinished?: Failure;
}

const QUESTION = `SELECT current_setting('server_version'), pg_is_in_recovery(),
  inet_server_addr() IS NULL OR EXISTS (SELECT 1 FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl)`;

/** Asks a server; waits for its answer. */
export function askServer(url: string): DatabaseServer {
  const address = shownAddress(url);
  const link = openLink([url]);
  try {
    const [version, standby, closed] = link.ask('read', { sql: QUESTION }).rows[0]!;
    const move = unfinishedMove(link);
    return {
      ...{ address, version: version!.split(' ')[0]!, standby: standby === 't', closed: closed === 't' },
      ...(move && { unfinished: unfinished(move) }),
    };
  } catch (error) {
    return { address, failure: error as Failure };
  } finally {
    link.close();
  }
}
