import type { Server } from './server.ts';

/** Has the server's registry be a copy that was made when there were so many audit entries; whoever is connected connects again. */
export function putBack(server: Server, entries: number): void {
  server.sql(
    'enf',
    `SET session_replication_role = replica; DELETE FROM enf.audit WHERE seq > ${entries};
     UPDATE enf.counter SET value = ${entries} WHERE name = 'audit'`,
  );
  cut(server);
}

/** Ends the connections of whoever is connected. */
export const cut = (server: Server): string =>
  server.sql(
    'postgres',
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'enf-fabric %'",
  );
