import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import SQLite from 'better-sqlite3';
import type { DeviceView } from '../../fabric/operations/views/devices.ts';
import type { NetworkView } from '../../fabric/operations/views/groups.ts';
import { loadAuthority } from '../../fabric/pki/authority.ts';
import { FILES } from '../../fabric/pki/files.ts';
import { parseTrust } from '../../protocol/identity/trust.ts';
import { forgotten } from './expectations.ts';
import { certificates } from './load.ts';
import type { Look } from './replay.ts';
import { type Serving, serveFolder } from './serving.ts';

/** What is wrong with a fabric that was on a disk. */
export const lookAtFabric: Look = async (folder, { marks }) => {
  const serving = await serveFolder(join(folder, 'fabric'));
  try {
    const wrong = unsound(join(serving.data, FILES.registry));
    // Fails if a key does not belong to its certificate, or one is not whole.
    await loadAuthority(serving.data);
    parseTrust(await readFile(join(serving.data, FILES.trust), 'utf8'));
    const found = new Map([...(await certificates(serving)), ...(await registered(serving))]);
    return [...wrong, ...forgotten(marks, found)];
  } finally {
    await serving.kill();
  }
};

/** What the registry of a fabric has, by the subjects of which clients are told. @throws Failure if its trail is broken, or ends before what was noted beside the registry */
export async function registered(serving: Serving): Promise<ReadonlyMap<string, string>> {
  await serving.run('audit-verify');
  const found = new Map<string, string>();
  for await (const { address, standing, longtermKey } of rowsOf<DeviceView>(serving, 'device-list')) {
    found.set(`key ${address}`, longtermKey);
    found.set(`standing ${address}`, standing);
  }
  for await (const { prefix, name } of rowsOf<NetworkView>(serving, 'network-list'))
    found.set(`network ${prefix}`, name);
  return found;
}

/** What SQLite says of the file and its references. */
function unsound(path: string): string[] {
  const db = new SQLite(path, { readonly: true });
  try {
    const integrity = db.pragma('integrity_check', { simple: true });
    const dangling = db.pragma('foreign_key_check') as unknown[];
    return [
      ...(integrity === 'ok' ? [] : [`integrity_check: ${integrity}`]),
      ...(dangling.length === 0 ? [] : [`foreign_key_check: ${dangling.length} rows`]),
    ];
  } finally {
    db.close();
  }
}

async function* rowsOf<Row>(serving: Serving, list: string): AsyncGenerator<Row> {
  let after: string | undefined;
  do {
    const input = { limit: 1_000, ...(after !== undefined && { after }) };
    const page = await serving.run<{ rows: Row[]; next?: string }>(list, input);
    yield* page.rows;
    after = page.next;
  } while (after !== undefined);
}
