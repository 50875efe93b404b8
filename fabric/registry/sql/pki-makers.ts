import type { CertificateFacts } from '../../../crypto/certificates.ts';
import { equal, toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6, formatPrefix, type Prefix } from '../../../protocol/ipv6.ts';
import { EVERYTHING, type Scope } from '../../access/scope.ts';
import { isReserved } from '../address.ts';
import type { EnrollingCa, MakerCertificate } from '../issuing.ts';
import { type Admits, type Anchor, MOST_ANCHORS } from '../pki.ts';
import type { Act, GroupStatus } from '../records.ts';
import { bytes, type Database, prepare } from './base/statements.ts';
import { anchorOf, issuerFor, issuingCa, networksOf, requireAnchor } from './pki-anchors.ts';
import { hasShown, listedBy, vouches } from './pki-arrivals.ts';
import { appendAudit } from './trail/audit.ts';

/**
 * Certificates of makers, for which machines get one of the fabric without a code. Each gets an address once, which it keeps, and has one lineage of
 * certificates at a time.
 */

/** @throws Failure `pki.unknown-ca`, `pki.cannot-enrol`, `pki.no-issuer` */
export function setEnrols(
  db: Database,
  scope: Scope,
  act: Act,
  id: number,
  network: Prefix | undefined,
): Anchor {
  const { name, owner, issue_days: days } = requireAnchor(db, scope, id);
  if (network !== undefined) {
    if (days !== null) throw cannotEnrol('its key is the fabric’s, and its certificates are renewed');
    const own = networksOf(db, id).some(({ prefix }) => equal(prefix.address, network.address));
    if (!own) throw cannotEnrol(`${formatPrefix(network)} is none of its networks`);
    if (issuerFor(db, act.at, network.address).owner !== owner)
      throw cannotEnrol(`${formatPrefix(network)} is another owner's`);
  }
  prepare(db, 'UPDATE anchor SET enrols = ? WHERE id = ?').run(network?.address ?? null, id);
  appendAudit(db, {
    ...act,
    owner,
    action: 'pki.enrols',
    subject: String(id),
    detail: { name, ...(network !== undefined && { network: formatPrefix(network) }) },
  });
  return anchorOf(db, requireAnchor(db, scope, id));
}

const cannotEnrol = (why: string): Failure =>
  new Failure('pki.cannot-enrol', 'operator', `machines of this CA cannot enrol: ${why}`, {
    action: 'Name one of the networks of a CA that you have added, see "enf-fabric pki list".',
  });

/** @throws Failure see `Issuing.enrolling` */
export function enrolling(db: Database, issuer: number | undefined): readonly EnrollingCa[] {
  const owner = issuer === undefined ? onlyOwner(db) : ownerOf(db, issuer);
  const rows = prepare(
    db,
    'SELECT id, certificate, others FROM anchor WHERE owner = ? AND enrols IS NOT NULL ORDER BY id LIMIT ?',
  ).all(owner, MOST_ANCHORS) as { id: number; certificate: Uint8Array; others: Uint8Array }[];
  return rows.map(({ id, certificate, others }) => ({
    anchor: id,
    certificate: bytes(certificate),
    others: bytes(others),
  }));
}

function ownerOf(db: Database, issuer: number): number {
  issuingCa(db, EVERYTHING, issuer);
  return requireAnchor(db, EVERYTHING, issuer).owner;
}

/** Which owner is meant nobody knows otherwise: several may have added the same CA. @throws Failure `pki.which-ca` */
function onlyOwner(db: Database): number | null {
  const owners = prepare(db, 'SELECT DISTINCT owner FROM anchor WHERE enrols IS NOT NULL LIMIT 2')
    .pluck()
    .all() as number[];
  if (owners.length < 2) return owners[0] ?? null;
  throw new Failure(
    'pki.which-ca',
    'operator',
    'machines with certificates of makers enrol at several owners',
    {
      action: 'Ask by the number of the CA that is to issue: /.well-known/est/NUMBER/simpleenroll.',
    },
  );
}

/** What a maker's certificate has got. */
interface MakerRow {
  address: Uint8Array;
  lineage: Uint8Array;
  ended: number | null;
}

/** Who a maker's certificate is, to the owner whose CA vouches for it. */
export interface Maker {
  readonly certificate: MakerCertificate;
  readonly owner: number;
  /** The first address of the network in which it enrols. */
  readonly network: Uint8Array;
  /** Which address it has, or is to have; absent: one that is free. */
  readonly address?: Uint8Array;
  /** What it has got before. */
  readonly before?: { readonly address: Uint8Array; readonly lineage: Uint8Array };
}

/** @throws Failure `pki.not-vouched`, `pki.revoked`, `pki.address-not-free`, `fabric.group-suspended` */
export function makerOf(db: Database, certificate: MakerCertificate): Maker {
  const { anchor, facts } = certificate;
  const ca = prepare(
    db,
    `SELECT anchor.owner, anchor.name, admits, enrols, status
     FROM anchor JOIN network ON prefix = enrols JOIN grp ON grp.anchor = anchor.id AND grp.network = network.id WHERE anchor.id = ?`,
  ).get(anchor) as
    | { owner: number; name: string; admits: Admits; enrols: Uint8Array; status: GroupStatus }
    | undefined;
  if (ca === undefined) throw notVouched('no CA whose machines may enrol vouches for it');
  const { owner, admits } = ca;
  if (ca.status !== 'active') throw suspended(ca.name);
  const network = bytes(ca.enrols);
  if (!vouches(db, certificate)) throw over('a certificate of its chain was revoked');
  const listed = listedIn(db, anchor, network, facts);
  if (listed === undefined && admits === 'listed')
    throw notVouched(`CA ${anchor} admits devices that are listed, and it is none of them`);
  const row = prepare(
    db,
    'SELECT address, lineage, ended FROM maker_enrolment WHERE owner = ? AND spki = ? AND serial = ?',
  ).get(owner, facts.spki, facts.serial) as MakerRow | undefined;
  if (row !== undefined && row.ended !== null)
    throw over('what it has got was revoked, or a code has taken its place');
  const before = row && { address: bytes(row.address), lineage: bytes(row.lineage) };
  const address = listed ?? before?.address;
  if (address !== undefined && (before === undefined || !equal(before.address, address)))
    requireOwn(db, address, facts);
  return {
    ...{ certificate, owner, network },
    ...(address !== undefined && { address }),
    ...(before !== undefined && { before }),
  };
}

/** The one address of the network that is listed for a certificate. @throws Failure `pki.not-vouched` for several */
function listedIn(
  db: Database,
  anchor: number,
  network: Uint8Array,
  facts: CertificateFacts,
): Uint8Array | undefined {
  const inside = (address: Uint8Array): boolean =>
    equal(address.subarray(0, 8), network.subarray(0, 8)) && !isReserved(address.subarray(8));
  const found = new Map(
    listedBy(db, anchor, facts)
      .filter(inside)
      .map((address) => [toHex(address), address]),
  );
  if (found.size > 1) throw notVouched(`it is listed for several addresses of CA ${anchor}`);
  return [...found.values()][0];
}

/** A device that is at the address already is this machine only if it has come with this certificate. @throws Failure `pki.address-not-free` */
function requireOwn(db: Database, address: Uint8Array, facts: CertificateFacts): void {
  const taken = prepare(db, 'SELECT 1 FROM device WHERE address = ?').get(address) !== undefined;
  if (!taken || hasShown(db, address, facts)) return;
  throw new Failure(
    'pki.address-not-free',
    'operator',
    `${formatIpv6(address)}, which is listed for it, is the address of another device`,
    {
      action: 'Enrol it with a code for this address ("enf-fabric code add --address"), or list another one.',
    },
  );
}

const notVouched = (why: string): Failure =>
  new Failure('pki.not-vouched', 'operator', `the certificate counts for no enrolment: ${why}`, {
    action:
      'Have its CA enrol ("enf-fabric pki enrols") and list the machine, or use a code of "enf-fabric code add".',
  });

export const suspended = (group: string): Failure =>
  new Failure('fabric.group-suspended', 'operator', `the group "${group}" is suspended`, {
    action: 'End the suspension with "enf-fabric group resume".',
  });

const over = (why: string): Failure =>
  new Failure('pki.revoked', 'operator', `the certificate enrols nobody any more: ${why}`, {
    action: 'Enrol the machine anew, with a code of "enf-fabric code add".',
  });

/** What a maker's certificate has from now on. */
export const keepMaker = (
  db: Database,
  { owner, certificate: { facts } }: Maker,
  address: Uint8Array,
  lineage: Uint8Array,
): void =>
  void prepare(
    db,
    `INSERT INTO maker_enrolment (owner, spki, serial, address, lineage) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (owner, spki, serial) DO UPDATE SET address = excluded.address, lineage = excluded.lineage`,
  ).run(owner, facts.spki, facts.serial, address, lineage);

/** The maker's certificates whose address this is, or whose lineage, get no other one: their owner has decided about them. */
export const endMakers = (db: Database, at: number, where: 'address' | 'lineage', value: Uint8Array): void =>
  void prepare(db, `UPDATE maker_enrolment SET ended = ? WHERE ${where} = ? AND ended IS NULL`).run(
    at,
    value,
  );
