import type { Server } from './server.ts';

const END_CONNECTIONS =
  "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'enf-fabric %'";

/**
 * Has the server's registry be a copy that was made when there were so many audit entries; whoever is connected connects again. One transaction, which
 * has the lock of writing and that of the trail: who has seen what the copy lacks writes nothing to it, and who connects meanwhile reads the copy.
 */
export function putBack(server: Server, entries: number): void {
  server.sql(
    'enf',
    `BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('enf', 0)); LOCK TABLE enf.audit; SET LOCAL session_replication_role = replica;
     DELETE FROM enf.audit WHERE seq > ${entries};
     UPDATE enf.counter SET value = ${entries} WHERE name = 'audit'; ${END_CONNECTIONS}; COMMIT`,
  );
}

/** Ends the connections of whoever is connected. */
export const cut = (server: Server): string => server.sql('postgres', END_CONNECTIONS);
