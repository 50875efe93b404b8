import { type Host, type Server, startServer, stopServer } from '../fabric/registry/postgres/server.ts';

/** Two PostgreSQL servers: one takes changes, the other has each of them before it is answered. */
export interface Databases {
  /** Of both, for the file with the addresses of a registry. */
  readonly urls: readonly string[];
  primary(): Server;
  standby(): Server;
  /** The standby takes changes from now on. The former primary does not run. */
  promote(): void;
  /** The server that was the primary before begins anew as the standby, and is waited for at each commit. */
  rebuild(): Promise<void>;
  close(): Promise<void>;
}

const DATABASE = 'enf';
/** What a standby may have missed while it was away. */
const SETTINGS = { wal_keep_size: '256MB' };

/** Both serve, with an empty database. */
export async function startDatabases(hosts: readonly [Host, Host]): Promise<Databases> {
  let primary = await startServer(SETTINGS, undefined, hosts[0]);
  let standby: Server | undefined;
  const waitForStandby = (): void => {
    primary.sql('postgres', "ALTER SYSTEM SET synchronous_standby_names = 'standby'");
    primary.sql('postgres', 'SELECT pg_reload_conf()');
  };
  const close = async (): Promise<void> => {
    if (standby !== undefined) await stopServer(standby);
    await stopServer(primary);
  };
  try {
    primary.sql('postgres', `CREATE DATABASE ${DATABASE}`);
    standby = await startServer(SETTINGS, primary, hosts[1]);
    waitForStandby();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    urls: [primary.url(DATABASE), standby.url(DATABASE)],
    primary: () => primary,
    standby: () => standby!,
    promote() {
      standby!.sql('postgres', 'SELECT pg_promote()');
      [primary, standby] = [standby!, primary];
    },
    async rebuild() {
      const { host } = standby!;
      await stopServer(standby!);
      standby = await startServer(SETTINGS, primary, host);
      waitForStandby();
    },
    close,
  };
}
