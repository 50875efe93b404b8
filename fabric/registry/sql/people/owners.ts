import { Failure } from '../../../../protocol/failure.ts';
import { formatPrefix, matches, type Prefix } from '../../../../protocol/ipv6.ts';
import { counted } from '../../../../protocol/words.ts';
import { DEFAULT_OWNER, HOST, type Scope } from '../../../access/scope.ts';
import {
  type Lent,
  type Membership,
  MOST_OWNERS,
  MOST_SPACES,
  type Owner,
  unknownOwner,
} from '../../owners.ts';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../../pages.ts';
import type { Act } from '../../records.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { appendAudit } from '../trail/audit.ts';

type Row = Omit<Owner, 'spaces'>;

const SELECT = `SELECT id, name, status, created,
  (SELECT count(*) FROM network WHERE network.owner = owner.id) AS networks FROM owner`;

const ownerOf = (db: Database, row: Row): Owner => ({ ...row, spaces: spacesOf(db, row.id) });

const spacesOf = (db: Database, owner: number): Prefix[] => {
  const rows = prepare(
    db,
    `SELECT prefix, length FROM space WHERE owner = ? ORDER BY prefix LIMIT ${MOST_SPACES}`,
  );
  return (rows.all(owner) as { prefix: Uint8Array; length: number }[]).map(({ prefix, length }) => ({
    address: bytes(prefix),
    length,
  }));
};

/** A page of owners, oldest first. */
export function listOwners(db: Database, page: PageRequest): Page<Owner> {
  const after = parseNumberCursor('owners', page.after) ?? 0;
  const rows = prepare(db, `${SELECT} WHERE id > ? ORDER BY id LIMIT ?`).all(after, page.limit + 1) as Row[];
  const { rows: shown, next } = pageOf('owners', page, rows, (row) => row.id);
  return { rows: shown.map((row) => ownerOf(db, row)), next };
}

export const hasOneOwner = (db: Database): boolean =>
  prepare(db, 'SELECT count(*) FROM (SELECT 1 FROM owner LIMIT 2) AS few').pluck().get() === 1;

/** The owner of this name that is not closed. @throws Failure `fabric.unknown-owner` */
export function ownerNamed(db: Database, name: string): Owner {
  const row = prepare(db, `${SELECT} WHERE name = ? AND status = 'active'`).get(name) as Row | undefined;
  if (row === undefined) throw unknownOwner(name);
  return ownerOf(db, row);
}

/** @throws Failure `fabric.unknown-owner` if it is closed */
export function requireActive(db: Database, id: number): { readonly name: string } {
  const row = prepare(db, "SELECT name FROM owner WHERE id = ? AND status = 'active'").get(id);
  if (row === undefined) throw unknownOwner(`number ${id}`);
  return row as { name: string };
}

/** For an entry about people that whoever sees all owners reads, too: of the only owner that goes without saying. */
export function ofOwner(db: Database, owner: number): { readonly owner?: string } {
  if (owner === HOST || hasOneOwner(db)) return {};
  return { owner: prepare(db, 'SELECT name FROM owner WHERE id = ?').pluck().get(owner) as string };
}

/** @throws Failure `fabric.owner-exists`, `fabric.too-many-owners` */
export function addOwner(db: Database, { at, actor }: Act, name: string): Owner {
  requireFreeName(db, name);
  const all = prepare(db, 'SELECT count(*) FROM owner').pluck().get() as number;
  if (all >= MOST_OWNERS) {
    throw new Failure('fabric.too-many-owners', 'operator', `there are ${all} owners already`, {
      action: 'Set up another fabric for the next ones.',
    });
  }
  prepare(db, "INSERT INTO owner (name, status, created) VALUES (?, 'active', ?)").run(name, at);
  const added = ownerNamed(db, name);
  record(db, { at, actor }, 'owner.add', added);
  return added;
}

/** @throws Failure `fabric.unknown-owner`, `fabric.owner-exists` */
export function renameOwner(db: Database, act: Act, owner: string, name: string): Owner {
  const { id } = ownerNamed(db, owner);
  if (name !== owner) {
    requireFreeName(db, name, id);
    prepare(db, 'INSERT INTO former_name VALUES (?, ?) ON CONFLICT DO NOTHING').run(owner, id);
  }
  prepare(db, 'UPDATE owner SET name = ? WHERE id = ?').run(name, id);
  const renamed = ownerNamed(db, name);
  record(db, act, 'owner.rename', renamed, { before: owner });
  return renamed;
}

/** Nobody has the name, or has had it but this owner: whoever still sends a former name must not act for another owner. */
function requireFreeName(db: Database, name: string, own = HOST): void {
  const isTaken =
    prepare(db, 'SELECT 1 FROM owner WHERE name = ?').get(name) !== undefined ||
    prepare(db, 'SELECT 1 FROM former_name WHERE name = ? AND owner <> ?').get(name, own) !== undefined;
  if (!isTaken) return;
  throw new Failure('fabric.owner-exists', 'operator', `there is an owner ${name} already, or was one`, {
    action: 'Choose another name; that of a closed owner, and a former one, is not given to another.',
  });
}

/** @throws Failure `fabric.unknown-owner`, `fabric.owner-not-idle`, `fabric.default-owner` */
export function closeOwner(db: Database, act: Act, owner: string): Owner {
  const known = ownerNamed(db, owner);
  if (known.id === DEFAULT_OWNER) {
    throw new Failure('fabric.default-owner', 'operator', 'the first owner of a fabric stays', {
      action: 'Rename it with "enf-fabric owner rename" if it is to be somebody else.',
    });
  }
  const active = prepare(db, "SELECT count(*) FROM grp WHERE owner = ? AND status = 'active'").pluck();
  const groups = active.get(known.id) as number;
  if (groups > 0) {
    throw new Failure(
      'fabric.owner-not-idle',
      'operator',
      `${counted(groups, 'group')} of ${owner} ${groups === 1 ? 'is' : 'are'} active`,
      {
        action: `Suspend or remove them first: "enf-fabric group list --owner ${owner}".`,
      },
    );
  }
  prepare(db, "UPDATE owner SET status = 'closed' WHERE id = ?").run(known.id);
  prepare(db, 'UPDATE token SET revoked = ? WHERE owner = ? AND revoked IS NULL').run(act.at, known.id);
  prepare(db, 'DELETE FROM invite WHERE owner = ?').run(known.id);
  prepare(
    db,
    'UPDATE person SET generation = generation + 1 WHERE id IN (SELECT person FROM membership WHERE owner = ?)',
  ).run(known.id);
  record(db, act, 'owner.close', known);
  return { ...known, status: 'closed' };
}

/** @throws Failure `fabric.unknown-owner`, `fabric.prefix-in-use`, `fabric.too-many-prefixes` */
export function lendPrefix(db: Database, act: Act, owner: string, prefix: Prefix): Owner {
  const { id, spaces } = ownerNamed(db, owner);
  const taken = overlapping(db, prefix).find((each) => each.owner !== id || each.kind === 'space');
  if (taken !== undefined)
    throw inUse(prefix, taken.kind === 'space' ? 'overlaps what is lent' : 'has networks of another owner');
  if (spaces.length >= MOST_SPACES) {
    throw new Failure(
      'fabric.too-many-prefixes',
      'operator',
      `${owner} has ${spaces.length} prefixes already`,
      {
        action: 'Lend a shorter prefix, which holds more networks.',
      },
    );
  }
  prepare(db, 'INSERT INTO space (prefix, length, owner) VALUES (?, ?, ?)').run(
    prefix.address,
    prefix.length,
    id,
  );
  const lent = ownerNamed(db, owner);
  record(db, act, 'owner.lend', lent, { prefix: formatPrefix(prefix) });
  return lent;
}

/** @throws Failure `fabric.unknown-owner`, `fabric.prefix-not-lent`, `fabric.prefix-in-use` */
export function takeBackPrefix(db: Database, act: Act, owner: string, prefix: Prefix): Owner {
  const { id, spaces } = ownerNamed(db, owner);
  if (!spaces.some((each) => formatPrefix(each) === formatPrefix(prefix))) throw notLent(prefix);
  if (overlapping(db, prefix).some(({ kind }) => kind === 'network'))
    throw inUse(prefix, 'has networks, or prefixes for their devices');
  prepare(db, 'DELETE FROM space WHERE prefix = ?').run(prefix.address);
  const left = ownerNamed(db, owner);
  record(db, act, 'owner.take-back', { ...left, id }, { prefix: formatPrefix(prefix) });
  return left;
}

const lastOf = ({ address, length }: Prefix): Uint8Array =>
  address.map((byte, i) => byte | (0xff >> Math.min(8, Math.max(0, length - i * 8))));

/** What lies in a prefix, or around it: one of each owner. A pool for devices' prefixes counts as a network. */
function overlapping(db: Database, prefix: Prefix): { kind: 'space' | 'network'; owner: number }[] {
  const last = lastOf(prefix);
  const ownersIn = (table: 'network' | 'space'): number[] =>
    prepare(db, `SELECT DISTINCT owner FROM ${table} WHERE prefix BETWEEN ? AND ?`)
      .pluck()
      .all(prefix.address, last) as number[];
  const around = spaceAround(db, prefix.address);
  return [
    ...(around === undefined ? [] : [{ kind: 'space' as const, owner: around }]),
    ...ownersIn('space').map((owner) => ({ kind: 'space' as const, owner })),
    ...ownersIn('network').map((owner) => ({ kind: 'network' as const, owner })),
    ...poolsAt(db, prefix).map((owner) => ({ kind: 'network' as const, owner })),
  ];
}

/** Whose pools lie in a prefix, or around it. None lies in another one, so that the last one that begins before is the only one around. */
function poolsAt(db: Database, prefix: Prefix): readonly number[] {
  const inside = prepare(
    db,
    `SELECT DISTINCT owner FROM pool JOIN network ON network.id = pool.network WHERE pool.prefix BETWEEN ? AND ?`,
  )
    .pluck()
    .all(prefix.address, lastOf(prefix)) as number[];
  const before = prepare(
    db,
    `SELECT pool.prefix, length, owner FROM pool JOIN network ON network.id = pool.network
     WHERE pool.prefix <= ? ORDER BY pool.prefix DESC LIMIT 1`,
  ).get(prefix.address) as { prefix: Uint8Array; length: number; owner: number } | undefined;
  const around =
    before !== undefined && matches({ address: before.prefix, length: before.length }, prefix.address);
  return around ? [...inside, before.owner] : inside;
}

/** Nothing is in the prefix or around it but what was lent to the owner. @throws Failure `fabric.prefix-not-lent`, `fabric.prefix-in-use` */
export function requireFreePool(db: Database, owner: number, pool: Prefix): void {
  requireLent(db, owner, pool);
  const { spaces, anywhere } = lentTo(db, owner);
  const isWithin =
    anywhere || spaces.some((space) => space.length <= pool.length && matches(space, pool.address));
  const others = overlapping(db, pool);
  if (!isWithin || others.some((each) => each.kind === 'space' && each.owner !== owner))
    throw notLent(pool, spaces);
  if (others.some(({ kind }) => kind === 'network'))
    throw inUse(pool, 'has networks, or prefixes for the devices of one');
}

/** A network does not lie in a pool. @throws Failure `fabric.prefix-in-use` */
export function requireOutsidePools(db: Database, network: Prefix): void {
  if (poolsAt(db, network).length > 0) throw inUse(network, 'is in the prefix for the devices of a network');
}

/** To whom the prefix is lent that an address lies in; none of them lies in another one, so that it is the last one before. */
function spaceAround(db: Database, address: Uint8Array): number | undefined {
  const row = prepare(
    db,
    'SELECT prefix, length, owner FROM space WHERE prefix <= ? ORDER BY prefix DESC LIMIT 1',
  ).get(address) as { prefix: Uint8Array; length: number; owner: number } | undefined;
  if (row === undefined) return undefined;
  return matches({ address: row.prefix, length: row.length }, address) ? row.owner : undefined;
}

/**
 * An owner adds networks in what was lent to it; the first one, if nothing was, in what was lent to nobody.
 * @throws Failure `fabric.prefix-not-lent`
 */
export function requireLent(db: Database, owner: number, network: Prefix): void {
  const around = spaceAround(db, network.address);
  const { spaces, anywhere } = lentTo(db, owner);
  if (around === undefined ? anywhere : around === owner) return;
  throw notLent(network, spaces);
}

function lentTo(db: Database, owner: number): Lent {
  const spaces = spacesOf(db, owner);
  return { spaces, anywhere: owner === DEFAULT_OWNER && spaces.length === 0 };
}

/** Where a network is added in this scope: for the host, where it is for the first owner. */
export const lentIn = (db: Database, { owner }: Scope): Lent =>
  lentTo(db, owner === HOST ? DEFAULT_OWNER : owner);

/** Prefixes that a failure names. */
const NAMED = 4;

function notLent(prefix: Prefix, lent: readonly Prefix[] = []): Failure {
  const named = lent.slice(0, NAMED).map(formatPrefix).join(', ');
  const own = lent.length === 0 ? '' : `It has ${named}${lent.length > NAMED ? ' and more' : ''}. `;
  return new Failure(
    'fabric.prefix-not-lent',
    'operator',
    `${formatPrefix(prefix)} is not lent to this owner`,
    {
      action: `${own}Whoever runs the fabric lends prefixes: "enf-fabric owner lend".`,
    },
  );
}

const inUse = (prefix: Prefix, why: string): Failure =>
  new Failure('fabric.prefix-in-use', 'operator', `${formatPrefix(prefix)} ${why}`, {
    action: 'See "enf-fabric owner list" and "enf-fabric network list".',
  });

function record(
  db: Database,
  act: Act,
  action: string,
  { id, name }: Pick<Owner, 'id' | 'name'>,
  detail: Record<string, unknown> = {},
): void {
  appendAudit(db, { ...act, owner: HOST, action, subject: `owner ${id}`, detail: { name, ...detail } });
}

/** What a person is at which owners that are not closed. */
export function membershipsOf(db: Database, person: number): Membership[] {
  const rows = prepare(
    db,
    `SELECT owner.id AS owner, owner.name, role FROM membership JOIN owner ON owner.id = membership.owner
     WHERE person = ? AND status = 'active' ORDER BY owner.id LIMIT 100`,
  );
  return rows.all(person) as Membership[];
}

/** Whose entries about a person are: those of the one owner it is of that is not closed; else they are the host's. */
export function ownerOfPerson(db: Database, person: number): number {
  const owners = prepare(
    db,
    `SELECT owner FROM membership JOIN owner ON owner.id = membership.owner
     WHERE person = ? AND status = 'active' LIMIT 2`,
  )
    .pluck()
    .all(person);
  return owners.length === 1 ? (owners[0] as number) : HOST;
}
