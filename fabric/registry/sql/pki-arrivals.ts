import type { CertificateFacts } from '../../../crypto/certificates.ts';
import { concat, equal, toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { EVERYTHING } from '../../access/scope.ts';
import { isReserved } from '../address.ts';
import type { Admits, Vouched, VouchedDevice, Voucher } from '../pki.ts';
import { VOUCHED_KEY } from '../pki.ts';
import type { Act, Device } from '../records.ts';
import { bytes, type Database, prepare } from './base/statements.ts';
import { requireWithinLimits } from './counts/limits.ts';
import { findDevice } from './inventory/devices.ts';
import { requireGroup } from './inventory/groups.ts';
import type { Keep } from './privacy/part.ts';
import { requireAnyTaken } from './roster/listed.ts';
import { ADMISSION, appendAudit } from './trail/audit.ts';
import { recordChange } from './trail/changes.ts';
import { noteOfDevice } from './trail/notes.ts';

export const hasAnchors = (db: Database): boolean =>
  prepare(db, 'SELECT EXISTS (SELECT 1 FROM anchor WHERE removed IS NULL)').pluck().get() === 1;

/** Rows of one certificate that are looked at: more than two addresses are no better than two. */
const LOOKED_AT = 16;

interface ListedRow {
  anchor: number;
  address: Uint8Array;
  subject: string | null;
  serial: Uint8Array | null;
  spki: Uint8Array | null;
}

const fits = ({ subject, serial, spki }: ListedRow, facts: CertificateFacts): boolean =>
  (subject === null || subject === facts.subject) &&
  (serial === null || equal(bytes(serial), facts.serial)) &&
  (spki === null || equal(bytes(spki), facts.spki));

/**
 * The address that is listed for a certificate that names none. Which owner is meant nobody knows then: where rows give different ones, it is that at
 * which the CA of its owner has vouched for it before, so that nobody can put a machine out by listing it, too. One that is new has none then: who
 * lists others' certificates takes them in nowhere.
 */
export function listedAddress(db: Database, facts: CertificateFacts): Uint8Array | undefined {
  const rows = prepare(
    db,
    `SELECT * FROM (SELECT * FROM listed_device WHERE spki = ? LIMIT ?) AS by_spki
     UNION SELECT * FROM (SELECT * FROM listed_device WHERE serial = ? LIMIT ?) AS by_serial
     UNION SELECT * FROM (SELECT * FROM listed_device WHERE subject = ? LIMIT ?) AS by_subject`,
  ).all(facts.spki, LOOKED_AT, facts.serial, LOOKED_AT, facts.subject, LOOKED_AT) as ListedRow[];
  const found = new Map(
    rows.filter((row) => fits(row, facts)).map(({ address }) => [toHex(address), bytes(address)]),
  );
  const [only, ...others] = [...found.values()];
  if (others.length === 0) return only;
  const known = [...found.values()].filter((address) => hasShown(db, address, facts));
  return known.length === 1 ? known[0] : undefined;
}

/** The addresses that one CA lists for a certificate. */
export function listedBy(db: Database, anchor: number, facts: CertificateFacts): Uint8Array[] {
  const by = (column: 'spki' | 'serial' | 'subject', value: Uint8Array | string): ListedRow[] =>
    prepare(db, `SELECT * FROM listed_device WHERE ${column} = ? AND anchor = ? LIMIT ?`).all(
      value,
      anchor,
      LOOKED_AT,
    ) as ListedRow[];
  const rows = [...by('spki', facts.spki), ...by('serial', facts.serial), ...by('subject', facts.subject)];
  return rows.filter((row) => fits(row, facts)).map(({ address }) => bytes(address));
}

/** Whether the device with this address has come with this key. */
export const hasShown = (db: Database, address: Uint8Array, { spki }: CertificateFacts): boolean =>
  prepare(db, 'SELECT 1 FROM shown_certificate WHERE address = ? AND spki = ?').get(address, spki) !==
  undefined;

/** A CA of a network. */
interface AnchorRow extends Voucher {
  readonly admits: Admits;
  /** How many devices are listed. */
  readonly listed: number;
}

/** The CAs of networks. */
export interface NetworkAnchors {
  /** Those of the network with this prefix (16 bytes), which are its owner's. */
  of(prefix: Uint8Array): readonly AnchorRow[];
  /** One has changed. */
  clear(): void;
}

/** Networks whose CAs are remembered. */
const REMEMBERED = 1_000;

/** Reads the CAs of each network once, until a change of groups, of which every change of a CA is one. */
export function networkAnchors(db: Database): NetworkAnchors {
  const known = new Map<string, readonly AnchorRow[]>();
  const read = (prefix: Uint8Array): readonly AnchorRow[] => {
    // In this order: an owner has few CAs, but a network may have many groups.
    const rows = prepare(
      db,
      `SELECT anchor.id, grp.gid, anchor.certificate, anchor.others, admits, listed
       FROM network CROSS JOIN anchor CROSS JOIN grp
       WHERE network.prefix = ? AND anchor.owner = network.owner AND anchor.removed IS NULL
         AND grp.anchor = anchor.id AND +grp.network = network.id
       ORDER BY anchor.id`,
    ).all(prefix) as (Omit<AnchorRow, 'anchor'> & { readonly id: number })[];
    return rows.map(({ id, gid, certificate, others, admits, listed }) => ({
      ...{ anchor: id, gid: bytes(gid), certificate: bytes(certificate), others: bytes(others) },
      ...{ admits, listed },
    }));
  };
  return {
    of(prefix) {
      const key = toHex(prefix.subarray(0, 8));
      const found = known.get(key);
      if (found !== undefined) return found;
      const rows = read(prefix);
      if (known.size >= REMEMBERED) known.clear();
      known.set(key, rows);
      return rows;
    },
    clear: () => known.clear(),
  };
}

/** The CAs that may vouch for an address: those of its network. */
export function vouchers(
  db: Database,
  anchors: NetworkAnchors,
  address: Uint8Array,
  facts: CertificateFacts,
): readonly Voucher[] {
  if (isReserved(address.subarray(8))) return [];
  const prefix = new Uint8Array(16);
  prefix.set(address.subarray(0, 8));
  return anchors.of(prefix).filter((anchor) => mayCome(db, anchor, address, facts));
}

/** What is listed for the address must be so, whomever the CA admits. */
function mayCome(
  db: Database,
  { anchor, admits, listed }: AnchorRow,
  address: Uint8Array,
  facts: CertificateFacts,
): boolean {
  if (listed === 0) return admits === 'anybody';
  const row = prepare(db, 'SELECT * FROM listed_device WHERE anchor = ? AND address = ?').get(
    anchor,
    address,
  ) as ListedRow | undefined;
  return row === undefined ? admits === 'anybody' : fits(row, facts);
}

/** False if the CA is no longer there, or one of the certificates was revoked. */
export function vouches(db: Database, { anchor, names }: Vouched): boolean {
  const count = prepare(db, 'SELECT revoked FROM anchor WHERE id = ? AND removed IS NULL')
    .pluck()
    .get(anchor);
  if (count === undefined || count === 0) return count === 0;
  const revoked = prepare(
    db,
    "SELECT 1 FROM revoked_certificate WHERE anchor = ? AND serial = ? AND issuer IN (?, x'')",
  );
  return names.every(({ serial, issuerHash }) => revoked.get(anchor, serial, issuerHash) === undefined);
}

/** No chip has such a one, and no other device in the group. */
const pseudonymOf = (address: Uint8Array): Uint8Array =>
  concat(new Uint8Array(1), address, new Uint8Array(48));

interface ShownRow {
  anchor: number;
  serial: Uint8Array;
  spki: Uint8Array;
}

export interface VouchedParts {
  readonly locate: (source: string) => string | undefined;
  readonly keep: Keep['address'];
}

/**
 * Takes the device of the certificate in; `enrolled`: its owner wants it in again, if it was evicted.
 * @throws Failure `fabric.group-full`, `fabric.country-unexpected`, `fabric.not-resident`, `fabric.unknown-device`
 */
export function admitVouched(
  db: Database,
  act: Act,
  shown: VouchedDevice,
  parts: VouchedParts,
  enrolled = false,
): void {
  const { address, gid, anchor, facts } = shown;
  const known = findDevice(db, EVERYTHING, address);
  if (known === undefined) admitNew(db, act, shown, parts);
  else if (known.kind !== 'pki') throw otherKind(address);
  else if (isShown(db, shown) || !(enrolled || mayShow(db, known, shown))) return;
  else admitAgain(db, act, shown, known, parts);
  prepare(
    db,
    `INSERT INTO shown_certificate (address, anchor, serial, spki, subject, not_before, not_after) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (address) DO UPDATE SET anchor = excluded.anchor, serial = excluded.serial, spki = excluded.spki, subject = excluded.subject,
       not_before = excluded.not_before, not_after = excluded.not_after`,
  ).run(
    ...[address, anchor, facts.serial, facts.spki, facts.subject],
    ...[facts.notBefore * 1_000, facts.notAfter * 1_000],
  );
  if (known === undefined || !equal(known.gid, gid)) recordChange(db, 'device', address);
}

/**
 * Does another certificate change anything for the device? Not if it is out for good, and only a newer one after its eviction. One that the fabric has
 * issued ends no eviction: it may be a renewal from before; a code does.
 */
function mayShow(db: Database, { standing, address }: Device, { anchor, facts }: VouchedDevice): boolean {
  if (standing === 'banned' || standing === 'retired') return false;
  return standing === 'active' || (!isIssued(db, anchor, facts) && isNewer(db, address, facts));
}

const isIssued = (db: Database, anchor: number, { serial }: CertificateFacts): boolean =>
  prepare(db, 'SELECT 1 FROM issued WHERE serial = ? AND anchor = ?').get(serial, anchor) !== undefined;

/** Whether this certificate is the one that the device has shown last. */
export function isShown(db: Database, { address, anchor, facts }: VouchedDevice): boolean {
  const last = prepare(db, 'SELECT anchor, serial, spki FROM shown_certificate WHERE address = ?').get(
    address,
  ) as ShownRow | undefined;
  return (
    last?.anchor === anchor && equal(bytes(last.serial), facts.serial) && equal(bytes(last.spki), facts.spki)
  );
}

function admitNew(
  db: Database,
  act: Act,
  { address, gid, anchor, facts, source }: VouchedDevice,
  { locate, keep }: VouchedParts,
): void {
  const group = requireGroup(db, EVERYTHING, gid);
  requireAnyTaken(db, group, NOT_SAID);
  const country = locate(source);
  requireWithinLimits(db, group, country);
  prepare(
    db,
    `INSERT INTO device (gid, pseudonym, address, longterm_key, created, handshake_at, handshake_from, country, owner)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    ...[gid, pseudonymOf(address), address, VOUCHED_KEY, act.at, act.at, keep(source, group.owner)],
    ...[country ?? null, group.owner],
  );
  appendAudit(db, {
    ...act,
    owner: group.owner,
    action: ADMISSION,
    subject: formatIpv6(address),
    detail: { gid: toHex(gid), ca: anchor, serial: toHex(facts.serial) },
  });
}

export const NOT_SAID = 'a certificate does not say so';

/** With another certificate, perhaps of another CA. */
function admitAgain(
  db: Database,
  act: Act,
  { address, gid, anchor, facts, source }: VouchedDevice,
  known: Device,
  { locate, keep }: VouchedParts,
): void {
  const group = requireGroup(db, EVERYTHING, gid);
  requireAnyTaken(db, group, NOT_SAID);
  const { owner } = group;
  const readmitted = known.standing === 'evicted';
  if (!equal(known.gid, gid)) moveTo(db, address, known.gid, gid);
  prepare(
    db,
    'UPDATE device SET evicted = CASE WHEN ? = 1 THEN 0 ELSE evicted END, handshake_at = ?, handshake_from = ?, country = ? WHERE address = ?',
  ).run(readmitted ? 1 : 0, act.at, keep(source, owner), locate(source) ?? null, address);
  if (readmitted) recordChange(db, 'device', address);
  const detail = { ca: anchor, serial: toHex(facts.serial), ...(readmitted && { rekeyed: true }) };
  if (readmitted)
    appendAudit(db, { ...act, owner, action: 'device.readmit', subject: formatIpv6(address), detail });
  else noteOfDevice(db, act, 'device.certificate', address, detail, owner);
}

/** Was the certificate issued after the one that the device has shown last? */
const isNewer = (db: Database, address: Uint8Array, { notBefore }: CertificateFacts): boolean =>
  (prepare(db, 'SELECT not_before FROM shown_certificate WHERE address = ?').pluck().get(address) as number) <
  notBefore * 1_000;

/** The numbers of groups are kept by triggers on devices that come and go, which none does here; one that is banned or retired does not come. */
function moveTo(db: Database, address: Uint8Array, from: Uint8Array, to: Uint8Array): void {
  const { evicted, connected } = prepare(
    db,
    `SELECT evicted, tunnel_at IS NOT NULL AND tunnel_ended IS NULL AS connected FROM device WHERE address = ?`,
  ).get(address) as { evicted: number; connected: number };
  prepare(db, 'UPDATE device SET gid = ? WHERE address = ?').run(to, address);
  prepare(db, 'INSERT INTO group_size (gid, devices) VALUES (?, 0) ON CONFLICT DO NOTHING').run(to);
  const count = prepare(
    db,
    'UPDATE group_size SET devices = devices + ?, evicted = evicted + ?, connected = connected + ? WHERE gid = ?',
  );
  count.run(-1, -evicted, -connected, from);
  count.run(1, evicted, connected, to);
}

export const otherKind = (address: Uint8Array): Failure =>
  new Failure(
    'fabric.unknown-device',
    'operator',
    `the device ${formatIpv6(address)} proves itself with a TPM, or with a registered key`,
    {
      action: 'Give its certificate another address.',
    },
  );
