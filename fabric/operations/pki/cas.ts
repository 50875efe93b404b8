import { readRevocationList } from '../../../crypto/certificates.ts';
import { parseWebAddress } from '../../../os/net/outbound.ts';
import { concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { decodeBase64 } from '../../../protocol/identity/base64.ts';
import { TAG } from '../../../protocol/identity/der.ts';
import { formatPrefix, parseIpv6 } from '../../../protocol/ipv6.ts';
import { ADMITS, type Admits, type Anchor, type Listed, type ListSource } from '../../registry/pki.ts';
import { LISTED_AT_ONCE, noSerial, noSpki, serialDigits, spkiDigits } from '../contract/ca-files.ts';
import { badInput, list, objectOf, oneOf, optional, text, whole } from '../contract/input.ts';
import { type Changed, isoTime, operation, type ReadContext } from '../contract/operation.ts';
import type { AnchorsView, AnchorView, ListedView, RemovedAnchorView, RevocationView } from '../views/pki.ts';
import { CERTIFICATES, chainOf, fingerprintOf } from './chain.ts';

/** A list of revoked certificates in base64: as much as fits a request. */
const LONGEST_LIST = 64_000;
const MOST_NETWORKS = 32;

const ID = whole(1, Number.MAX_SAFE_INTEGER);

interface NewCa {
  name: string;
  certificates: readonly string[];
  networks: readonly string[];
  admits: Admits;
}

/**
 * Adds a CA. `certificates` are base64 of DER: that of the CA, and of intermediates that devices need not show.
 * @throws Failure `pki.bad-ca`, `pki.ca-exists`, `pki.too-many-cas`, `fabric.unknown-network`
 */
export const addAnchor = operation<NewCa, Changed<AnchorView>>(
  'pki-add',
  {
    name: text(60),
    certificates: CERTIFICATES,
    networks: list(text(64), MOST_NETWORKS),
    admits: oneOf(...ADMITS),
  },
  async ({ registry, running, actor, now }, { name, certificates, networks: given, admits }) => {
    if (name.trim() === '') throw badInput('name', 'is empty');
    const prefixes = await Promise.all(given.map((each) => registry.network(each)));
    const networks = [...new Map(prefixes.map((each) => [formatPrefix(each), each])).values()];
    if (networks.length === 0) throw badInput('networks', 'is empty');
    const [anchor, ...others] = chainOf(certificates, now());
    const { subject, notAfter } = anchor.facts;
    const added = await registry.addAnchor(actor, {
      ...{ name, certificate: anchor.der, subject, networks, admits },
      others: concat(...others.map(({ der }) => der)),
      fingerprint: fingerprintOf(anchor.der),
      notAfter: 1_000 * notAfter,
    });
    return { view: anchorView(added), effect: await running.notify() };
  },
);

/** The CAs, oldest first. */
export const listAnchors = operation<Record<never, never>, AnchorsView, ReadContext>(
  'pki-list',
  {},
  async ({ registry }) => ({ rows: (await registry.anchors()).map(anchorView) }),
);

/** Removes a CA; sessions by its certificates are cut. @throws Failure `pki.unknown-ca` */
export const removeAnchor = operation<{ id: number }, Changed<RemovedAnchorView>>(
  'pki-remove',
  { id: ID },
  async ({ registry, running, actor }, { id }) => {
    const name = await registry.removeAnchor(actor, id);
    return { view: { id, name }, effect: await running.notify() };
  },
);

interface ListedInput {
  readonly address: string;
  readonly subject?: string | undefined;
  readonly serial?: string | undefined;
  readonly spki?: string | undefined;
}

/** Lists devices of a CA. @throws Failure `pki.unknown-ca`, `pki.bad-mapping` */
export const importListed = operation<{ id: number; devices: readonly ListedInput[] }, Changed<ListedView>>(
  'pki-import',
  {
    id: ID,
    devices: list(
      objectOf({
        address: text(64),
        subject: optional(text(400)),
        serial: optional(text(64)),
        spki: optional(text(128)),
      }),
      LISTED_AT_ONCE,
    ),
  },
  async ({ registry, running, actor }, { id, devices }) => {
    await registry.listDevices(actor, id, devices.map(listedOf));
    return { view: { id, devices: devices.length }, effect: await running.notify() };
  },
);

/** @throws Failure `pki.bad-mapping` */
function listedOf({ address, subject, serial, spki }: ListedInput): Listed {
  return {
    address: parseIpv6(address),
    ...(subject !== undefined && { subject }),
    ...(serial !== undefined && { serial: serialOf(serial) }),
    ...(spki !== undefined && { spki: spkiOf(spki) }),
  };
}

/** @throws Failure `pki.bad-mapping` */
export function serialOf(given: string): Uint8Array {
  const digits = serialDigits(given);
  if (digits === undefined) throw badMapping(noSerial(given));
  return fromHex(digits);
}

function spkiOf(given: string): Uint8Array {
  const digits = spkiDigits(given);
  if (digits === undefined) throw badMapping(noSpki(given));
  return fromHex(digits);
}

const badMapping = (what: string): Failure =>
  new Failure('pki.bad-mapping', 'operator', what, {
    action: 'See docs/pki.md for what a list of devices has in it.',
  });

/** Takes a list of revoked certificates: base64 of DER. @throws Failure `pki.unknown-ca`, `pki.bad-crl` */
export const takeCrl = operation<{ id: number; crl: string }, Changed<RevocationView>>(
  'pki-crl',
  { id: ID, crl: text(LONGEST_LIST) },
  async ({ registry, running, actor }, { id, crl }) => {
    const der = decodeBase64(crl);
    if (der?.[0] !== TAG.sequence) throw badInput('crl', 'is no base64 of DER');
    const read = readRevocationList(der, await registry.issuersOf(id));
    if (read === undefined) throw badCrl('it cannot be read');
    if (read.refused !== undefined) throw badCrl(read.refused);
    const changed = (await registry.takeList(actor, id, read)) === 'taken';
    return { view: { id, changed }, effect: await running.notify() };
  },
);

const badCrl = (what: string): Failure =>
  new Failure('pki.bad-crl', 'operator', `this list of revoked certificates is not taken: ${what}`, {
    action: 'Give a complete list of the CA, or of an intermediate that was added with it.',
  });

/**
 * Has the list of revoked certificates of a CA fetched from an address, at once and before each end of it; an empty one: no more.
 * @throws Failure `pki.unknown-ca`, `pki.bad-crl-address`
 */
export const fetchCrlFrom = operation<{ id: number; url: string }, Changed<AnchorView>>(
  'pki-crl-from',
  { id: ID, url: text(500) },
  async ({ registry, running, actor }, { id, url }) => {
    const given = url.trim();
    const read = given === '' ? undefined : parseWebAddress(given);
    if (read !== undefined && 'wrong' in read) throw badAddress(read.wrong);
    const anchor = await registry.setListSource(actor, id, read?.url.href);
    return { view: anchorView(anchor), effect: await running.notify() };
  },
);

const badAddress = (what: string): Failure =>
  new Failure(
    'pki.bad-crl-address',
    'operator',
    `this is no address of a list of revoked certificates: ${what}`,
    {
      action: 'Give one such as http://crl.example.org/ca.crl, where the CA publishes its list.',
    },
  );

/** Revokes a certificate, whichever CA below this one has issued it. @throws Failure `pki.unknown-ca`, `pki.bad-mapping` */
export const revokeCertificate = operation<
  { id: number; serial: string; reason: string },
  Changed<RevocationView>
>(
  'pki-revoke',
  { id: ID, serial: text(64), reason: text(200) },
  async ({ registry, running, actor }, { id, serial, reason }) => {
    if (reason.trim() === '') throw badInput('reason', 'is empty');
    const changed = await registry.revokeSerial(actor, id, serialOf(serial), reason);
    return { view: { id, changed }, effect: await running.notify() };
  },
);

function anchorView(given: Anchor): AnchorView {
  const { fingerprint, notAfter, networks, lists, source, created, ...anchor } = given;
  const groups = networks.map(({ prefix, gid, ...counts }) => ({
    network: formatPrefix(prefix),
    gid: toHex(gid),
    ...counts,
  }));
  return {
    ...anchor,
    fingerprint: toHex(fingerprint),
    notAfter: isoTime(notAfter),
    networks: groups.map(({ network }) => network),
    groups,
    devices: groups.reduce((sum, { devices }) => sum + devices, 0),
    lists: lists.map(({ thisUpdate, nextUpdate }) => ({
      issued: isoTime(thisUpdate),
      next: nextUpdate === undefined ? null : isoTime(nextUpdate),
    })),
    crl: source === undefined ? null : sourceView(source),
    created: isoTime(created),
  };
}

const sourceView = ({ url, due, fetched, error }: ListSource): NonNullable<AnchorView['crl']> => ({
  from: url,
  due: isoTime(due),
  fetched: fetched === undefined ? null : isoTime(fetched),
  error: error ?? null,
});
