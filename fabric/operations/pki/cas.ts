import { createHash } from 'node:crypto';
import { readCertificate, readRevocationList } from '../../../crypto/certificates.ts';
import { concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { decodeBase64 } from '../../../protocol/identity/base64.ts';
import { TAG } from '../../../protocol/identity/der.ts';
import { formatPrefix, parseIpv6 } from '../../../protocol/ipv6.ts';
import { ADMITS, type Admits, type Anchor, type Listed } from '../../registry/pki.ts';
import { badInput, list, objectOf, oneOf, optional, text, whole } from '../contract/input.ts';
import { type Changed, isoTime, operation, type ReadContext } from '../contract/operation.ts';
import type { AnchorsView, AnchorView, ListedView, RemovedAnchorView, RevocationView } from '../views/pki.ts';

/** PEM of a CA and its intermediates, and a list of revoked certificates in base64: as much as fits a request. */
const LONGEST_PEM = 32_000;
const LONGEST_LIST = 64_000;
const MOST_CERTIFICATES = 8;
const MOST_NETWORKS = 32;
/** Devices that are listed by one request. */
export const LISTED_AT_ONCE = 100;

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
    certificates: list(text(LONGEST_PEM), MOST_CERTIFICATES),
    networks: list(text(64), MOST_NETWORKS),
    admits: oneOf(...ADMITS),
  },
  async ({ registry, running, actor, now }, { name, certificates, networks: given, admits }) => {
    if (name.trim() === '') throw badInput('name', 'is empty');
    const prefixes = await Promise.all(given.map((each) => registry.network(each)));
    const networks = [...new Map(prefixes.map((each) => [formatPrefix(each), each])).values()];
    if (networks.length === 0) throw badInput('networks', 'is empty');
    const { anchor, others } = chainOf(certificates, now());
    const { subject, notAfter } = readCertificate(anchor)!;
    const added = await registry.addAnchor(actor, {
      ...{ name, certificate: anchor, others, subject, networks, admits },
      fingerprint: new Uint8Array(createHash('sha256').update(anchor).digest()),
      notAfter: 1_000 * notAfter,
    });
    return { view: anchorView(added), effect: await running.notify() };
  },
);

/** @throws Failure `pki.bad-ca` */
function chainOf(
  certificates: readonly string[],
  now: number,
): { readonly anchor: Uint8Array; readonly others: Uint8Array } {
  const all = certificates.map((each) => decodeBase64(each) ?? new Uint8Array(0));
  for (const [i, each] of all.entries()) {
    const facts = readCertificate(each);
    const which = `certificate ${i + 1} of ${all.length}`;
    if (facts === undefined) throw badCa(`${which} cannot be read`);
    if (!facts.authority) throw badCa(`${which} (${facts.subject}) may not sign others`);
    if (!facts.sound)
      throw badCa(
        `${which} (${facts.subject}) has a key that is not of P-256, P-384, Ed25519, or RSA of 2,048 to 4,096 bits`,
      );
    if (1_000 * facts.notAfter <= now) throw badCa(`${which} (${facts.subject}) has expired`);
  }
  const [anchor, ...others] = all;
  if (anchor === undefined) throw badInput('certificates', 'is empty');
  return { anchor, others: concat(...others) };
}

const badCa = (what: string): Failure =>
  new Failure('pki.bad-ca', 'operator', `this is no CA that can be used: ${what}`, {
    action: 'Give the certificate of the CA first, then those of its intermediates, in PEM.',
  });

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
  const hash = spki === undefined ? undefined : spkiOf(spki);
  return {
    address: parseIpv6(address),
    ...(subject !== undefined && { subject }),
    ...(serial !== undefined && { serial: serialOf(serial) }),
    ...(hash !== undefined && { spki: hash }),
  };
}

const digitsOf = (given: string): string => given.replaceAll(/[\s:]/g, '').toLowerCase();

/** @throws Failure `pki.bad-mapping` */
export function serialOf(given: string): Uint8Array {
  const digits = digitsOf(given).replace(/^(?:0x)?0*/, '');
  if (/^[0-9a-f]{1,40}$/.test(digits)) return fromHex(digits.length % 2 === 0 ? digits : `0${digits}`);
  throw badMapping(`${JSON.stringify(given)} is no serial number of 1 to 40 hex digits`);
}

function spkiOf(given: string): Uint8Array {
  const digits = digitsOf(given);
  if (/^[0-9a-f]{64}$/.test(digits)) return fromHex(digits);
  throw badMapping(`${JSON.stringify(given)} is no SHA-256 of a public key, which has 64 hex digits`);
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
    const changed = await registry.takeList(actor, id, read);
    return { view: { id, changed }, effect: await running.notify() };
  },
);

const badCrl = (what: string): Failure =>
  new Failure('pki.bad-crl', 'operator', `this list of revoked certificates is not taken: ${what}`, {
    action: 'Give a complete list of the CA, or of an intermediate that was added with it.',
  });

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

function anchorView({ fingerprint, notAfter, networks, lists, created, ...anchor }: Anchor): AnchorView {
  return {
    ...anchor,
    fingerprint: toHex(fingerprint),
    notAfter: isoTime(notAfter),
    networks: networks.map(formatPrefix),
    lists: lists.map(({ thisUpdate, nextUpdate }) => ({
      issued: isoTime(thisUpdate),
      next: nextUpdate === undefined ? null : isoTime(nextUpdate),
    })),
    created: isoTime(created),
  };
}
