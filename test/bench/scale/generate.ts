import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { EVERYTHING } from '../../../fabric/access/scope.ts';
import { foundAuthority } from '../../../fabric/pki/found.ts';
import { parseNetwork } from '../../../fabric/registry/records.ts';
import { prepare } from '../../../fabric/registry/sql/base/statements.ts';
import { addGroup } from '../../../fabric/registry/sql/inventory/groups.ts';
import { addNetwork } from '../../../fabric/registry/sql/inventory/networks.ts';
import { appendAudit } from '../../../fabric/registry/sql/trail/audit.ts';
import { openDatabase } from '../../../fabric/registry/sqlite/database.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';

const NETWORK = parseNetwork('fd00:8f80:8000:1::/64');
/** Devices of one transaction. */
const BATCH = 10_000;

/** The id of the group, as many hex digits as commands need. */
export interface Generated {
  readonly data: string;
  readonly gid: string;
}

/**
 * Founds a fabric in an empty folder and registers devices in one group, with what each leaves in the registry: its row and tunnel, its
 * handshake and its entry in the audit trail. What is random about them is; nobody has their keys.
 */
export async function generate(data: string, devices: number): Promise<Generated> {
  await foundAuthority(data, 'bench');
  const db = openDatabase(join(data, 'registry.db'));
  db.exec('PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144');
  const gid = new Uint8Array(randomBytes(32));
  const act = { at: Date.now(), actor: 'bench' };
  const group = { gid, gpk: randomBytes(258), basename: randomBytes(8), name: 'all', network: NETWORK };
  db.transaction(() => {
    addNetwork(db, EVERYTHING, act, NETWORK, { name: 'bench' });
    addGroup(db, EVERYTHING, act, group);
  })();
  const add = db.transaction((first: number, last: number) => {
    for (let n = first; n < last; n++) register(n);
  });
  function register(n: number): void {
    const random = randomBytes(16 + 65 + 65);
    const address = Buffer.concat([NETWORK.address.subarray(0, 8), random.subarray(0, 8)]);
    const pseudonym = random.subarray(16, 81);
    const at = act.at - 60_000 + (n % 60_000);
    prepare(
      db,
      `INSERT INTO device (gid, pseudonym, address, longterm_key, created, handshake_at, handshake_from,
         tunnel_at, tunnel_from, tunnel_ended, reported_at, agent_version)
       VALUES (?, ?, ?, ?, ?, ?, '192.0.2.7', ?, '192.0.2.7:40000', ?, ?, '1.0.0')`,
    ).run(gid, pseudonym, address, random.subarray(81), at, at, at, at + 1_000, at);
    prepare(
      db,
      `INSERT INTO handshake (at, source, suite, gid, pseudonym, proven, result, address)
       VALUES (?, '192.0.2.7', 1, ?, ?, 1, 'ok', ?)`,
    ).run(at, gid, pseudonym, address);
    const detail = { gid: toHex(gid), pseudonym: toHex(pseudonym.subarray(1, 11)) };
    appendAudit(db, {
      at,
      actor: 'fabric',
      owner: 1,
      action: 'device.admit',
      subject: formatIpv6(address),
      detail,
    });
  }
  for (let n = 0; n < devices; n += BATCH) {
    add(n, Math.min(devices, n + BATCH));
    await setImmediate();
  }
  db.close();
  return { data, gid: toHex(gid).slice(0, 16) };
}
