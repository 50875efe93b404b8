import { formatIpv6 } from '../../../../protocol/ipv6.ts';
import { HOST } from '../../../access/scope.ts';
import type { Act } from '../../records.ts';
import { type Database, prepare } from '../base/statements.ts';
import { DAY_MS } from '../counts/history.ts';
import { appendAudit } from './audit.ts';

/** What the fabric itself notes of a device in the audit trail, as often as the device causes it. */
export type Noted = 'device.rekey' | 'device.certificate' | 'device.twins' | 'device.moves';

/** Entries of one kind about one device within a day; the others are counted. */
const LISTED = 3;

/**
 * Appends an entry about a device, but only so many a day: the first one of a later day says in `unlisted` how many were left out before
 * it. In the caller's transaction, as `appendAudit`.
 */
export function noteOfDevice(
  db: Database,
  act: Act,
  action: Noted,
  address: Uint8Array,
  detail: Record<string, unknown>,
  owner = ownerOfDevice(db, address),
): void {
  const { times, former } = counted(db, act.at, action, address);
  if (times > LISTED) return;
  const unlisted = times === 1 ? Math.max(0, former - LISTED) : 0;
  appendAudit(db, {
    ...act,
    owner,
    action,
    subject: formatIpv6(address),
    detail: unlisted === 0 ? detail : { ...detail, unlisted },
  });
}

/** Whose a device is; `HOST` if there is none. */
export const ownerOfDevice = (db: Database, address: Uint8Array): number =>
  (prepare(db, 'SELECT owner FROM device WHERE address = ?').pluck().get(address) as number | undefined) ??
  HOST;

/** Counts one more: how often it was within this day, and within the one before it. */
function counted(
  db: Database,
  at: number,
  action: Noted,
  address: Uint8Array,
): { readonly times: number; readonly former: number } {
  const last = prepare(db, 'SELECT since, times FROM noted WHERE address = ? AND action = ?').get(
    address,
    action,
  ) as { since: number; times: number } | undefined;
  // A day that began in the future is one of a clock that was wrong.
  const goesOn = last !== undefined && Math.abs(at - last.since) < DAY_MS;
  const times = goesOn ? last.times + 1 : 1;
  prepare(
    db,
    `INSERT INTO noted VALUES (?, ?, ?, ?)
     ON CONFLICT (address, action) DO UPDATE SET since = excluded.since, times = excluded.times`,
  ).run(address, action, goesOn ? last.since : at, times);
  return { times, former: goesOn ? 0 : (last?.times ?? 0) };
}
