import { fromHex, toHex } from '../../protocol/bytes.ts';
import { formatIpv6, parseIpv6 } from '../../protocol/ipv6.ts';
import { type CountryOf, countries } from '../geo/countries.ts';
import type { AuditEntry, City, Handshake, HandshakeCount } from '../registry/records.ts';
import { badInput, optional, text, whole } from './contract/input.ts';
import { filteredList, isoTime, operation, type ReadContext, wholeOf } from './contract/operation.ts';
import type {
  AcceptedView,
  AuditView,
  HandshakeCountView,
  HandshakeView,
  VerifiedView,
} from './views/handshakes.ts';

/** A page of the audit trail, newest first; of one subject as the entries name it: an address, a prefix, an id. */
export const listAudit = filteredList<AuditEntry, AuditView, { subject?: string | undefined }>(
  'audit-list',
  { subject: optional(text(128)) },
  (registry, page, { subject }) => registry.audit(page, subject),
  async () => auditView,
);

/**
 * Recomputes the audit trail, from which nothing may be missing; `seq` and `hash` (hex) of an entry that has to be in it.
 * @throws Failure `audit.broken`, `audit.behind`, `bytes.bad-hex`
 */
export const verifyAudit = operation<
  { seq?: number | undefined; hash?: string | undefined },
  VerifiedView,
  ReadContext
>(
  'audit-verify',
  { seq: optional(whole(1, Number.MAX_SAFE_INTEGER)), hash: optional(text(64)) },
  async (context, { seq, hash }) => {
    const registry = wholeOf(context);
    if ((seq === undefined) !== (hash === undefined))
      throw badInput('seq', 'and hash have to be given together, or not at all');
    const expected = seq === undefined || hash === undefined ? undefined : { seq, hash: fromHex(hash) };
    const { entries, head } = await registry.verifyAudit(expected);
    const lost = registry.missing();
    if (lost !== undefined) throw lost;
    return { entries, head: toHex(head) };
  },
);

/** Gives up what the registry lacks, and says so in the trail; `accepted` is false if nothing was missing. */
export const acceptLoss = operation<Record<never, never>, AcceptedView>(
  'audit-accept-loss',
  {},
  async (context) => {
    const [registry, { actor }] = [wholeOf(context), context];
    const lost = registry.missing();
    if (lost !== undefined) await registry.recordRestore(actor, { lost: lost.message });
    return { accepted: lost !== undefined };
  },
);

interface HandshakeFilterInput {
  /** The whole id of a group, as claimed. */
  readonly gid?: string | undefined;
  /** `ok`, `refused` or a code. */
  readonly result?: string | undefined;
  readonly device?: string | undefined;
}

/**
 * A page of handshakes, good and refused, newest first: of all, of a group as claimed, of a device, or with one result (`refused`: all but `ok` and
 * those that their clients have left).
 * @throws Failure `fabric.unknown-device`, `bytes.bad-hex`
 */
export const listHandshakes = filteredList<Handshake, HandshakeView, HandshakeFilterInput>(
  'handshake-list',
  { gid: optional(text(64)), result: optional(text(64)), device: optional(text(64)) },
  async (registry, page, { gid, result, device }) =>
    registry.handshakes(page, {
      ...(gid !== undefined && { gid: fromHex(gid) }),
      ...(result !== undefined && { result }),
      ...(device !== undefined && { device: await registry.device(parseIpv6(device)) }),
    }),
  async () => {
    const countryOf = await countries();
    return (row) => handshakeView(row, countryOf);
  },
);

/** Handshakes that proved nothing and are not in that list any more, or never were, by result. */
export const countHandshakes = operation<Record<string, never>, readonly HandshakeCountView[]>(
  'handshake-counts',
  {},
  async ({ registry }) => (await registry.handshakeCounts()).map(handshakeCountView),
);

export function handshakeCountView({ first, last, ...each }: HandshakeCount): HandshakeCountView {
  return { ...each, first: isoTime(first), last: isoTime(last) };
}

export function auditView({ at, hash, ownerName, ...entry }: AuditEntry): AuditView {
  const { seq, actor, action, subject, detail } = entry;
  return {
    seq,
    at: isoTime(at),
    ...{ actor, action, subject, detail },
    owner: ownerName ?? null,
    hash: hash === undefined ? null : toHex(hash),
  };
}

export const cityView = ({ country, region, city, point }: City) => ({
  country,
  region: region ?? null,
  city: city ?? null,
  ...point,
});

export function handshakeView(row: Handshake, countryOf: CountryOf): HandshakeView {
  return {
    at: isoTime(row.at),
    source: row.source,
    country: row.country ?? countryOf(row.source),
    city: row.city === undefined ? null : cityView(row.city),
    suite: row.suite ?? null,
    gid: row.gid === undefined ? null : toHex(row.gid),
    pseudonym: row.pseudonym === undefined ? null : toHex(row.pseudonym),
    proven: row.proven,
    result: row.result,
    address: row.address === undefined ? null : formatIpv6(row.address),
    owner: row.ownerName ?? null,
  };
}
