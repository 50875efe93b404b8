import { openLink } from '../../../fabric/registry/postgres/link.ts';
import { readServers } from '../../../fabric/registry/postgres/servers.ts';
import { cpuOfProcess } from '../processes.ts';

/** Processes of the server that work for the registry: those of connections, and those that write to the disk. */
const PROCESSES = `SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
  AND (datname = current_database() OR backend_type IN ('walwriter', 'background writer', 'checkpointer'))`;
const IS_HERE =
  "SELECT coalesce(inet_server_addr() << '127.0.0.0/8' OR inet_server_addr() = '::1', true)::int";

/** CPU seconds so far of the database's processes as they are now. `file` has its address; NaN if it is on another machine. */
export function databaseCpu(file: string): () => number {
  const link = openLink(readServers(file) ?? []);
  try {
    if (link.ask('read', { sql: IS_HERE }).rows[0]![0] !== '1') return () => Number.NaN;
    const pids = link.ask('read', { sql: PROCESSES }).rows.map(([pid]) => Number(pid));
    return () => pids.reduce((sum, pid) => sum + cpuOfProcess(pid), 0);
  } finally {
    link.close();
  }
}
