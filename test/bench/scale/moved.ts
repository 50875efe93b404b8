import { openLink } from '../../../fabric/registry/postgres/link.ts';
import { readServers } from '../../../fabric/registry/postgres/servers.ts';
import type { Option } from '../arguments.ts';
import { run } from './command.ts';
import type { Row } from './report.ts';

export const REGISTRY_OPTION: Option = {
  name: 'registry',
  value: 'FILE',
  help: 'move the registry to PostgreSQL first: FILE holds the address of an empty database, mode 0600 (docs/scale.md)',
};

/** What each device has a row in, once. */
const TABLES = { device: 'the device', handshake: 'its handshake', audit: 'its audit entry' } as const;

/** Moves the registry of a data folder to the server that `file` names: how long it takes, and how much of the disk a device has there, tables and indexes. */
export async function moveToServer(data: string, file: string, devices: number): Promise<Row[]> {
  const { seconds, peakMb } = await run('registry', 'move', file, '--json', '--data', data);
  const { whole, each } = sizes(file);
  return [
    { what: 'registry move', unit: 's', value: seconds },
    { what: '  its memory', unit: 'MB', value: peakMb },
    { what: 'the registry on the disk, a device', unit: 'B', value: whole / devices },
    ...each.map(([what, size]) => ({ what: `  ${what}`, unit: 'B', value: size / devices })),
  ];
}

/** Bytes on the server's disk. */
function sizes(file: string): { whole: number; each: readonly (readonly [what: string, size: number])[] } {
  const link = openLink(readServers(file)!);
  try {
    const size = (of: string): number => Number(link.ask('read', { sql: `SELECT ${of}` }).rows[0]![0]);
    return {
      whole: size('pg_database_size(current_database())'),
      each: Object.entries(TABLES).map(([table, what]) => [
        what,
        size(`pg_total_relation_size('enf.${table}')`),
      ]),
    };
  } finally {
    link.close();
  }
}
