import { randomBytes } from 'node:crypto';
import { concat, equal, toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { EVERYTHING, type Scope } from '../../access/scope.ts';
import { type Identifier, isReserved } from '../address.ts';
import {
  type Grant,
  type IssueRequest,
  type IssuingCa,
  MOST_VALID,
  type Proof,
  type RevokedLineage,
  type SignGrant,
} from '../issuing.ts';
import { MOST_ANCHORS } from '../pki.ts';
import type { Act } from '../records.ts';
import { bytes, type Database, prepare } from './base/statements.ts';
import { deviceBanned, findDevice, nameExists, requireInUse } from './inventory/devices.ts';
import { requireActive } from './people/owners.ts';
import { caOf, ISSUES, type IssuerRow, issuerFor, issues, issuingCa } from './pki-anchors.ts';
import { admitVouched, otherKind, type VouchedParts, vouches } from './pki-arrivals.ts';
import { type CodeRow, findCode, markCodeUsed } from './pki-codes.ts';
import { revokeSerial } from './pki-lists.ts';
import { endMakers, keepMaker, type Maker, makerOf, suspended } from './pki-makers.ts';
import { appendAudit } from './trail/audit.ts';
import { recordChange } from './trail/changes.ts';

/** Certificates that the fabric issues. Each is recorded in the transaction that takes its device in: none is given away that is not known here. */

export interface IssuedRow {
  id: number;
  owner: number;
  anchor: number;
  address: Uint8Array;
  serial: Uint8Array;
  parent_serial: Uint8Array | null;
  lineage: Uint8Array;
  code: number | null;
  spki: Uint8Array;
  certificate: Uint8Array;
  created: number;
  not_after: number;
}

/** What somebody may have: the first certificate by a code or a maker's certificate, or the next one after a certificate. */
interface Right {
  readonly ca: IssuerRow;
  readonly code?: CodeRow;
  readonly parent?: IssuedRow;
  readonly maker?: Maker;
}

const networkOf = (address: Uint8Array): Uint8Array => concat(address.subarray(0, 8), new Uint8Array(8));

/** @throws Failure see `Issuing.entitled` */
export function rightOf(db: Database, now: number, proof: Proof, anchor?: number): Right {
  if ('code' in proof) {
    const code = findCode(db, proof.code, now);
    if (code === undefined) throw badCode();
    requireActive(db, code.owner);
    return { code, ca: ownIssuer(db, now, code.owner, code.network, anchor) };
  }
  if ('maker' in proof) {
    const maker = makerOf(db, proof.maker);
    requireActive(db, maker.owner);
    // One that is listed for another address meanwhile is the device that it was, too.
    for (const address of [maker.address, maker.before?.address]) {
      const device = address && findDevice(db, EVERYTHING, address);
      if (device !== undefined) requireRenewable(device);
    }
    return { maker, ca: ownIssuer(db, now, maker.owner, maker.network, anchor) };
  }
  const parent = issuedAs(db, proof);
  if (parent === undefined) throw notIssued();
  requireActive(db, parent.owner);
  requireValid(db, now, parent);
  const device = findDevice(db, EVERYTHING, bytes(parent.address));
  if (device === undefined) throw notIssued();
  requireRenewable(device);
  return { parent, ca: ownIssuer(db, now, parent.owner, networkOf(parent.address), anchor) };
}

function issuedAs(
  db: Database,
  { certificate, serial }: { readonly certificate: Uint8Array; readonly serial: Uint8Array },
): IssuedRow | undefined {
  const row = issuedWith(db, serial);
  return row !== undefined && equal(bytes(row.certificate), certificate) ? row : undefined;
}

const issuedWith = (db: Database, serial: Uint8Array): IssuedRow | undefined =>
  prepare(db, 'SELECT * FROM issued WHERE serial = ?').get(serial) as IssuedRow | undefined;

/** A network that has become another owner's is none of this one's any more. @throws Failure `pki.no-issuer` */
function ownIssuer(
  db: Database,
  now: number,
  owner: number,
  network: Uint8Array,
  anchor?: number,
): IssuerRow {
  const ca = issuerFor(db, now, network, anchor);
  if (ca.owner !== owner) throw badCode();
  if (ca.status !== 'active') throw suspended(ca.name);
  return ca;
}

/** @throws Failure `pki.revoked` */
function requireValid(db: Database, now: number, { anchor, serial, not_after: end }: IssuedRow): void {
  const stands = vouches(db, { anchor, names: [{ serial, issuerHash: new Uint8Array(0) }] });
  if (stands && end > now) return;
  throw new Failure('pki.revoked', 'operator', `the certificate ${stands ? 'has expired' : 'was revoked'}`, {
    action: 'Enrol the machine anew, with a code of "enf-fabric code add".',
  });
}

/** @throws Failure `fabric.device-banned`, `fabric.device-retired`, `pki.evicted`, `fabric.group-suspended`, `fabric.unknown-device` */
function requireRenewable(device: Found): void {
  requireUsable(device);
  if (device.standing === 'evicted') {
    throw new Failure('pki.evicted', 'operator', `the device ${formatIpv6(device.address)} was evicted`, {
      action: 'Enrol it anew, with a code for its address: "enf-fabric code add --address".',
    });
  }
}

type Found = NonNullable<ReturnType<typeof findDevice>>;

function requireUsable(device: Found): void {
  if (device.kind !== 'pki') throw otherKind(device.address);
  requireInUse(device);
  if (device.standing === 'banned') throw deviceBanned(device);
  if (device.groupStatus !== 'active') throw suspended(device.groupName);
}

const badCode = (): Failure =>
  new Failure('pki.bad-code', 'operator', 'the code is unknown, was used or withdrawn, or has expired', {
    action: 'Make a new one with "enf-fabric code add".',
  });

const notIssued = (): Failure =>
  new Failure('pki.not-issued', 'operator', 'this fabric has not issued the certificate', {
    action: 'Enrol the machine with a code of "enf-fabric code add".',
  });

export const entitled = (
  db: Database,
  now: number,
  { proof, anchor }: Pick<IssueRequest, 'proof' | 'anchor'>,
): { readonly ca: IssuingCa; readonly renews?: Uint8Array } => {
  const { ca, parent } = rightOf(db, now, proof, anchor);
  return { ca: caOf(db, ca), ...(parent !== undefined && { renews: bytes(parent.address) }) };
};

export interface IssueParts extends VouchedParts {
  readonly identifier: Identifier;
  readonly sign: SignGrant;
}

/** Clocks differ by some minutes. */
const BACKDATED_MS = 300_000;
const DAY_MS = 86_400_000;

/** See `Issuing.issue`; returns whose address it is, if a device is new, too. */
export function issue(
  db: Database,
  act: Act,
  { proof, anchor, spki, source }: IssueRequest,
  parts: IssueParts,
): { readonly certificate: Uint8Array; readonly admitted?: Uint8Array } {
  const right = rightOf(db, act.at, proof, anchor);
  const { ca, code, parent, maker } = right;
  const before = issuedBefore(db, right, spki);
  if (before !== undefined && isValid(db, act.at, before)) return { certificate: bytes(before.certificate) };
  if (code !== undefined && code.used !== null) throw badCode();
  const address = bytes(
    parent?.address ??
      code?.address ??
      maker?.address ??
      freeAddress(db, bytes((code ?? maker)!.network), parts.identifier),
  );
  const known = findDevice(db, EVERYTHING, address);
  if (known !== undefined) requireUsable(known);
  if (parent !== undefined) requireFew(db, act.at, address);
  else supersede(db, act, address, right);
  const grant: Grant = {
    ...{ ca: caOf(db, ca), address, serial: newSerial(), from: act.at - BACKDATED_MS },
    until: Math.floor(Math.min(act.at + ca.issue_days * DAY_MS, ca.not_after) / 1_000) * 1_000,
  };
  const { certificate, facts } = parts.sign(grant);
  record(db, act, right, { ...grant, spki, certificate });
  const gid = bytes(ca.gid);
  const shown = { anchor: ca.id, names: [], address, gid, facts, source };
  admitVouched(db, act, shown, parts, code !== undefined);
  if (code !== undefined) enrolled(db, act, code, grant);
  if (maker !== undefined) enrolledByMaker(db, act, maker, grant);
  return { certificate, ...(known === undefined && { admitted: address }) };
}

/** 128 bits, the first byte of which is none that DER leaves out. */
function newSerial(): Uint8Array {
  for (;;) {
    const serial = bytes(randomBytes(16));
    if (serial[0] !== 0) return serial;
  }
}

/** What the same proof has got for the same key. */
function issuedBefore(db: Database, { code, parent, maker }: Right, spki: Uint8Array): IssuedRow | undefined {
  if (parent !== undefined) {
    return prepare(
      db,
      'SELECT * FROM issued WHERE parent_serial = ? AND spki = ? ORDER BY id DESC LIMIT 1',
    ).get(parent.serial, spki) as IssuedRow | undefined;
  }
  const serial = code?.serial ?? maker?.before?.lineage;
  const row = serial && issuedWith(db, bytes(serial));
  if (row === undefined || !equal(bytes(row.spki), spki)) return undefined;
  return maker === undefined || equal(bytes(row.address), maker.address!) ? row : undefined;
}

const isValid = (db: Database, now: number, { anchor, serial, not_after: end }: IssuedRow): boolean =>
  end > now && vouches(db, { anchor, names: [{ serial, issuerHash: new Uint8Array(0) }] });

/** More than may be at once. */
const MOST_FOUND = 2 * MOST_VALID;

function validOf(db: Database, now: number, where: 'address' | 'lineage', value: Uint8Array): IssuedRow[] {
  return prepare(
    db,
    `SELECT issued.* FROM issued JOIN anchor ON anchor.id = issued.anchor
     WHERE issued.${where} = ? AND issued.not_after > ? AND removed IS NULL AND NOT EXISTS
       (SELECT 1 FROM revoked_certificate AS r WHERE r.anchor = issued.anchor AND r.issuer = x'' AND r.serial = issued.serial)
     ORDER BY issued.id DESC LIMIT ?`,
  ).all(value, now, MOST_FOUND) as IssuedRow[];
}

/** @throws Failure `pki.too-many-valid` */
function requireFew(db: Database, now: number, address: Uint8Array): void {
  if (validOf(db, now, 'address', address).length < MOST_VALID) return;
  throw new Failure(
    'pki.too-many-valid',
    'operator',
    `${formatIpv6(address)} has ${MOST_VALID} certificates that are valid`,
    { action: 'Revoke those that are not in use, see "enf-fabric pki issued --address".' },
  );
}

/** More collisions in a row than this do not happen by chance in a /64. */
const MAX_COUNTER = 1_000;

/** An address that no device has, as those of chips are chosen; the seed is one that none of them has. */
function freeAddress(db: Database, network: Uint8Array, identifier: Identifier): Uint8Array {
  const key = bytes(
    prepare(db, 'SELECT key FROM network WHERE prefix = ?').pluck().get(network) as Uint8Array,
  );
  const seed = bytes(randomBytes(32));
  const taken = prepare(
    db,
    `SELECT EXISTS (SELECT 1 FROM device WHERE address = ?) OR EXISTS (SELECT 1 FROM enrolment_code WHERE address = ?)
       OR EXISTS (SELECT 1 FROM maker_enrolment WHERE address = ?)`,
  ).pluck();
  for (let counter = 0; counter < MAX_COUNTER; counter++) {
    const id = identifier(key, seed, counter);
    const address = concat(network.subarray(0, 8), id);
    if (!isReserved(id) && taken.get(address, address, address) === 0) return address;
  }
  throw new Failure('fabric.network-full', 'operator', `no free address after ${MAX_COUNTER} attempts`, {
    action: 'Verify the registry with "enf-fabric audit"; this does not happen by chance in a /64.',
  });
}

/** A code is a new beginning, and so is another key for a maker's certificate: whoever has a certificate for the address of before is out. */
function supersede(db: Database, act: Act, address: Uint8Array, { code, maker }: Right): void {
  const reason =
    code === undefined
      ? `superseded by the certificate ${toHex(maker!.certificate.facts.serial)} of CA ${maker!.certificate.anchor}`
      : `superseded by code ${code.id}`;
  const former = validOf(db, act.at, 'address', address);
  // Its owner may have listed another address for the machine meanwhile.
  if (maker?.before !== undefined) former.push(...validOf(db, act.at, 'lineage', maker.before.lineage));
  for (const { anchor, serial } of former) revokeSerial(db, EVERYTHING, act, anchor, { serial, reason });
  // Nor does the maker's certificate of a machine that was replaced by a code get in again.
  if (code !== undefined) endMakers(db, act.at, 'address', address);
}

/** How long those that have expired are still listed, and how many that are older go with each that comes. */
const KEPT_MS = 365 * DAY_MS;
const REMOVED = 4;

function record(
  db: Database,
  act: Act,
  { ca, code, parent }: Right,
  {
    address,
    serial,
    spki,
    certificate,
    until,
  }: Grant & { readonly spki: Uint8Array; readonly certificate: Uint8Array },
): void {
  prepare(
    db,
    'DELETE FROM issued WHERE id IN (SELECT id FROM issued WHERE not_after < ? ORDER BY not_after LIMIT ?)',
  ).run(act.at - KEPT_MS, REMOVED);
  prepare(
    db,
    `INSERT INTO issued (owner, anchor, address, serial, parent_serial, lineage, code, spki, certificate, created, not_after)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    ...[ca.owner, ca.id, address, serial, parent?.serial ?? null, parent?.lineage ?? serial],
    ...[code?.id ?? null, spki, certificate, act.at, until],
  );
}

/** @throws Failure `fabric.name-exists` */
function enrolled(db: Database, act: Act, code: CodeRow, { ca, address, serial }: Grant): void {
  const { id, owner, name } = code;
  markCodeUsed(db, act.at, id, serial);
  if (name !== null) {
    const other = prepare(db, 'SELECT address FROM device WHERE name = ? AND owner = ? AND address <> ?')
      .pluck()
      .get(name, owner, address) as Uint8Array | undefined;
    if (other !== undefined) throw nameExists(name, bytes(other));
    prepare(db, 'UPDATE device SET name = ? WHERE address = ?').run(name, address);
    recordChange(db, 'device', address);
  }
  appendAudit(db, {
    ...act,
    owner,
    action: 'pki.enrol',
    subject: formatIpv6(address),
    detail: { ca: ca.anchor, serial: toHex(serial), code: id, ...(name !== null && { name }) },
  });
}

function enrolledByMaker(db: Database, act: Act, maker: Maker, { ca, address, serial }: Grant): void {
  const { anchor, facts } = maker.certificate;
  keepMaker(db, maker, address, serial);
  appendAudit(db, {
    ...act,
    owner: maker.owner,
    action: 'pki.enrol',
    subject: formatIpv6(address),
    detail: { ...{ ca: ca.anchor, serial: toHex(serial) }, by: anchor, shown: toHex(facts.serial) },
  });
}

/** @throws Failure `pki.unknown-ca`, `pki.unknown-serial`, `pki.not-issuing`: of a CA whose certificates somebody else issues no lineage is known */
export function revokeLineage(
  db: Database,
  scope: Scope,
  act: Act,
  anchor: number,
  {
    serial,
    reason,
    lineage,
  }: { readonly serial: Uint8Array; readonly reason: string; readonly lineage: boolean },
): RevokedLineage {
  if (lineage) issuingCa(db, scope, anchor);
  const row = prepare(db, 'SELECT lineage FROM issued WHERE serial = ? AND anchor = ?').get(serial, anchor) as
    | Pick<IssuedRow, 'lineage'>
    | undefined;
  if (row === undefined && issues(db, scope, anchor)) throw unknownSerial(anchor, serial);
  const changed = revokeSerial(db, scope, act, anchor, { serial, reason });
  if (row !== undefined) endMakers(db, act.at, 'lineage', bytes(row.lineage));
  const valid = row === undefined ? [] : validOf(db, act.at, 'lineage', row.lineage);
  if (lineage)
    for (const each of valid) revokeSerial(db, scope, act, each.anchor, { serial: each.serial, reason });
  const serials = valid.map((each) => bytes(each.serial));
  return { changed, revoked: lineage ? serials : [], valid: lineage ? [] : serials };
}

const unknownSerial = (anchor: number, serial: Uint8Array): Failure =>
  new Failure(
    'pki.unknown-serial',
    'operator',
    `CA ${anchor} has issued no certificate with the serial number ${toHex(serial)}`,
    { action: 'Give the whole number, as "enf-fabric pki issued" lists it, and the CA that stands there.' },
  );

/** @throws Failure see `Issuing.issuers` */
export function issuersAsked(
  db: Database,
  now: number,
  { proof, anchor }: { readonly proof?: Proof; readonly anchor?: number },
): readonly Uint8Array[] {
  if (anchor !== undefined) return [issuingCa(db, EVERYTHING, anchor).certificate];
  if (proof !== undefined && 'code' in proof) {
    const code = findCode(db, proof.code, now);
    if (code === undefined) throw badCode();
    return certificatesOf(db, code.owner);
  }
  const issued = proof !== undefined && 'certificate' in proof ? issuedAs(db, proof) : undefined;
  if (issued !== undefined) return certificatesOf(db, issued.owner);
  const owners = prepare(db, `SELECT DISTINCT owner FROM anchor WHERE ${ISSUES} LIMIT 2`)
    .pluck()
    .all() as number[];
  if (owners.length === 1) return certificatesOf(db, owners[0]!);
  throw new Failure(
    'pki.which-ca',
    'operator',
    owners.length === 0
      ? 'no CA of this fabric issues certificates'
      : 'CAs of several owners issue certificates here',
    { action: 'Send the code as HTTP Basic, or ask for one by its number: /.well-known/est/NUMBER/cacerts.' },
  );
}

const certificatesOf = (db: Database, owner: number): readonly Uint8Array[] =>
  (
    prepare(db, `SELECT certificate FROM anchor WHERE owner = ? AND ${ISSUES} ORDER BY id DESC LIMIT ?`)
      .pluck()
      .all(owner, MOST_ANCHORS) as Uint8Array[]
  ).map(bytes);
