import { equal } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6, formatPrefix } from '../../../protocol/ipv6.ts';
import type { Scope } from '../../access/scope.ts';
import { isReserved } from '../address.ts';
import { type EnrolmentCode, MOST_CODES, type NewCode } from '../issuing.ts';
import { LOOKED_AT, type Page, type PageRequest, pageOf, parseNumberCursor } from '../pages.ts';
import type { Act } from '../records.ts';
import { inScope } from './base/owned.ts';
import { bytes, type Database, prepare } from './base/statements.ts';
import { nameExists } from './inventory/devices.ts';
import { requireNetwork } from './inventory/networks.ts';
import { appendAudit } from './trail/audit.ts';

/** Codes for enrolment. What is stored is their hash: a copy of the registry lets nobody in. */

export interface CodeRow {
  id: number;
  owner: number;
  network: Uint8Array;
  name: string | null;
  address: Uint8Array | null;
  created_by: string;
  created: number;
  expires: number;
  used: number | null;
  serial: Uint8Array | null;
  withdrawn: number | null;
}

interface NamedRow extends CodeRow {
  owner_name: string;
}

const SELECT = `SELECT enrolment_code.*, owner.name AS owner_name
  FROM enrolment_code JOIN owner ON owner.id = enrolment_code.owner`;

const codeOf = (row: NamedRow): EnrolmentCode => ({
  id: row.id,
  owner: row.owner_name,
  network: { address: bytes(row.network), length: 64 },
  ...(row.name !== null && { name: row.name }),
  ...(row.address !== null && { address: bytes(row.address) }),
  createdBy: row.created_by,
  created: row.created,
  expires: row.expires,
  ...(row.used !== null && { used: row.used }),
  ...(row.serial !== null && { serial: bytes(row.serial) }),
  ...(row.withdrawn !== null && { withdrawn: row.withdrawn }),
});

export function listCodes(db: Database, scope: Scope, page: PageRequest): Page<EnrolmentCode> {
  const before = parseNumberCursor('codes', page.after) ?? Number.MAX_SAFE_INTEGER;
  const own = inScope(scope, 'enrolment_code.owner');
  const rows = prepare(
    db,
    `${SELECT} WHERE enrolment_code.id < ? AND ${own.sql} ORDER BY enrolment_code.id DESC LIMIT ?`,
  ).all(before, ...own.values, page.limit + 1) as NamedRow[];
  const { rows: shown, next } = pageOf('codes', page, rows, ({ id }) => id);
  return { rows: shown.map(codeOf), next };
}

/** How long one that is over is still listed. */
const KEPT_MS = 30 * 86_400_000;

/**
 * `requireIssuer` refuses a network for which no CA issues.
 * @throws Failure `fabric.unknown-network`, `pki.address-not-free`, `pki.too-many-codes`, `fabric.name-exists`
 */
export function addCodes(
  db: Database,
  scope: Scope,
  act: Act,
  codes: readonly NewCode[],
  requireIssuer: (network: Uint8Array) => void,
): readonly EnrolmentCode[] {
  prepare(
    db,
    'DELETE FROM enrolment_code WHERE id IN (SELECT id FROM enrolment_code WHERE expires < ? LIMIT ?)',
  ).run(act.at - KEPT_MS, LOOKED_AT);
  const added = codes.map((code) => addCode(db, scope, act, code, requireIssuer));
  const [first] = added;
  if (first !== undefined) noteAdded(db, act, first, added.at(-1)!);
  return added.map(({ code }) => code);
}

interface AddedCode {
  readonly code: EnrolmentCode;
  /** The number of its owner. */
  readonly owner: number;
}

/** One entry, however many were added. */
function noteAdded(db: Database, act: Act, { code, owner }: AddedCode, last: AddedCode): void {
  const { id, network, expires, name, address } = code;
  appendAudit(db, {
    ...act,
    owner,
    action: 'pki.code',
    subject: id === last.code.id ? `code ${id}` : `codes ${id} to ${last.code.id}`,
    detail: {
      ...{ network: formatPrefix(network), expires },
      ...(name !== undefined && { name }),
      ...(address !== undefined && { address: formatIpv6(address) }),
    },
  });
}

function addCode(
  db: Database,
  scope: Scope,
  act: Act,
  { hash, network, name, address, expires }: NewCode,
  requireIssuer: (network: Uint8Array) => void,
): AddedCode {
  const { owner } = requireNetwork(db, scope, network);
  requireIssuer(network.address);
  requireRoom(db, owner, act.at);
  if (address !== undefined) requireFree(db, act.at, owner, network.address, address);
  if (name !== undefined) requireUnused(db, act.at, owner, name, address);
  const id = prepare(
    db,
    `INSERT INTO enrolment_code (owner, network, hash, name, address, created_by, created, expires)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
  )
    .pluck()
    .get(owner, network.address, hash, name ?? null, address ?? null, act.actor, act.at, expires) as number;
  return { owner, code: codeOf(prepare(db, `${SELECT} WHERE enrolment_code.id = ?`).get(id) as NamedRow) };
}

const OPEN = 'used IS NULL AND withdrawn IS NULL AND expires > ?';

function requireRoom(db: Database, owner: number, now: number): void {
  const open = prepare(
    db,
    `SELECT count(*) FROM (SELECT 1 FROM enrolment_code WHERE owner = ? AND ${OPEN} LIMIT ?) AS open`,
  )
    .pluck()
    .get(owner, now, MOST_CODES) as number;
  if (open < MOST_CODES) return;
  throw new Failure('pki.too-many-codes', 'operator', `there are ${open} codes that nobody has used yet`, {
    action: 'Withdraw those that are not needed, see "enf-fabric code list".',
  });
}

/** @throws Failure `pki.address-not-free` */
function requireFree(
  db: Database,
  now: number,
  owner: number,
  network: Uint8Array,
  address: Uint8Array,
): void {
  const text = formatIpv6(address);
  const inside = equal(address.subarray(0, 8), network.subarray(0, 8)) && !isReserved(address.subarray(8));
  if (!inside) throw badAddress(`${text} is no address of a device in this network`);
  const device = prepare(
    db,
    `SELECT grp.anchor AS anchor, device.owner AS owner, retired FROM device JOIN grp ON grp.gid = device.gid WHERE address = ?`,
  ).get(address) as { anchor: number | null; owner: number; retired: number | null } | undefined;
  if (device !== undefined && (device.anchor === null || device.owner !== owner || device.retired !== null))
    throw badAddress(`${text} is that of a device which has no certificate, or was retired`);
  const other = prepare(db, `SELECT id FROM enrolment_code WHERE address = ? AND ${OPEN}`)
    .pluck()
    .get(address, now) as number | undefined;
  if (other !== undefined) throw badAddress(`code ${other} is for ${text} already`);
}

const badAddress = (what: string): Failure =>
  new Failure('pki.address-not-free', 'operator', what, {
    action: 'Give another address of the network, or none: then the fabric chooses a free one.',
  });

/** @throws Failure `fabric.name-exists` */
function requireUnused(
  db: Database,
  now: number,
  owner: number,
  name: string,
  address: Uint8Array | undefined,
): void {
  const holder = prepare(db, 'SELECT address FROM device WHERE name = ? AND owner = ?')
    .pluck()
    .get(name, owner) as Uint8Array | undefined;
  if (holder !== undefined && (address === undefined || !equal(bytes(holder), address)))
    throw nameExists(name, bytes(holder));
  const other = prepare(db, `SELECT id FROM enrolment_code WHERE owner = ? AND name = ? AND ${OPEN}`)
    .pluck()
    .get(owner, name, now) as number | undefined;
  if (other === undefined) return;
  throw new Failure(
    'fabric.name-exists',
    'operator',
    `code ${other} is for a machine that is called ${name}`,
    {
      action: 'Choose another name, or withdraw that code first.',
    },
  );
}

/** @throws Failure `pki.unknown-code` */
export function withdrawCode(db: Database, scope: Scope, act: Act, id: number): boolean {
  const own = inScope(scope);
  const row = prepare(db, `SELECT owner FROM enrolment_code WHERE id = ? AND ${own.sql}`).get(
    id,
    ...own.values,
  ) as { owner: number } | undefined;
  if (row === undefined) {
    throw new Failure('pki.unknown-code', 'operator', `there is no code number ${id}`, {
      action: 'See "enf-fabric code list".',
    });
  }
  const { changes } = prepare(
    db,
    'UPDATE enrolment_code SET withdrawn = ? WHERE id = ? AND used IS NULL AND withdrawn IS NULL',
  ).run(act.at, id);
  if (changes === 0) return false;
  appendAudit(db, {
    ...act,
    owner: row.owner,
    action: 'pki.code-withdraw',
    subject: `code ${id}`,
    detail: {},
  });
  return true;
}

/** The code with this hash, if it may be used, or was used and has not expired since: then its answer may have been lost. */
export const findCode = (db: Database, hash: Uint8Array, now: number): CodeRow | undefined =>
  prepare(db, 'SELECT * FROM enrolment_code WHERE hash = ? AND withdrawn IS NULL AND expires > ?').get(
    hash,
    now,
  ) as CodeRow | undefined;

export const markCodeUsed = (db: Database, at: number, id: number, serial: Uint8Array): void =>
  void prepare(db, 'UPDATE enrolment_code SET used = ?, serial = ? WHERE id = ?').run(at, serial, id);
