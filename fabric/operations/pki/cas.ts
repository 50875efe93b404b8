import { readRevocationList } from '../../../crypto/certificates.ts';
import { parseWebAddress } from '../../../os/net/outbound.ts';
import { concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import { Failure, isFailure } from '../../../protocol/failure.ts';
import { decodeBase64 } from '../../../protocol/identity/base64.ts';
import { TAG } from '../../../protocol/identity/der.ts';
import { formatPrefix, type Prefix, parseIpv6 } from '../../../protocol/ipv6.ts';
import { dropIssuingKey } from '../../pki/issuing.ts';
import type { AuthorityKeeper } from '../../pki/keeper.ts';
import { ADMITS, type Admits, type Anchor, type Listed, type ListSource } from '../../registry/pki.ts';
import type { OwnedReader, OwnedRegistry } from '../../registry/registry.ts';
import { LISTED_AT_ONCE, noSerial, noSpki, serialDigits, spkiDigits } from '../contract/ca-files.ts';
import { badInput, flag, list, objectOf, oneOf, optional, text, whole } from '../contract/input.ts';
import { type Changed, isoTime, operation, type ReadContext } from '../contract/operation.ts';
import type {
  AnchorsView,
  AnchorView,
  LineageView,
  ListedView,
  RemovedAnchorView,
  RevocationView,
} from '../views/pki.ts';
import { CERTIFICATES, chainOf, fingerprintOf } from './chain.ts';

/** A list of revoked certificates in base64: as much as fits a request. */
const LONGEST_LIST = 64_000;
export const MOST_NETWORKS = 32;

export const ID = whole(1, Number.MAX_SAFE_INTEGER);

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
    const networks = await networksOf(registry, given);
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

/** Each network once. @throws Failure `fabric.unknown-network`, `fabric.ambiguous-network`, `fabric.bad-network` */
export async function networksOf(registry: OwnedReader, given: readonly string[]): Promise<Prefix[]> {
  const prefixes = await Promise.all(given.map((each) => registry.network(each)));
  return [...new Map(prefixes.map((each) => [formatPrefix(each), each])).values()];
}

export const unknownCa = (id: number): Failure =>
  new Failure('pki.unknown-ca', 'operator', `there is no CA number ${id}`, {
    action: 'See "enf-fabric pki list".',
  });

/** The CAs, oldest first. */
export const listAnchors = operation<Record<never, never>, AnchorsView, ReadContext>(
  'pki-list',
  {},
  async ({ registry }) => ({ rows: (await registry.anchors()).map(anchorView) }),
);

/** Removes a CA, and its key if the fabric has it; sessions by its certificates are cut. @throws Failure `pki.unknown-ca` */
export const removeAnchor = operation<{ id: number }, Changed<RemovedAnchorView>>(
  'pki-remove',
  { id: ID },
  async ({ registry, running, actor, keys }, { id }) => {
    const issuing = await issuingOf(registry, id);
    const remove = (): Promise<string> => registry.removeAnchor(actor, id);
    const name =
      issuing === undefined || keys === undefined
        ? await remove()
        : await withKey(await keys(), issuing, remove);
    return { view: { id, name }, effect: await running.notify() };
  },
);

/** Removes a CA and then its key, if this process may change keys at all. */
async function withKey(
  { data, change }: AuthorityKeeper,
  certificate: Uint8Array,
  remove: () => Promise<string>,
): Promise<string> {
  let name = '';
  await change(async (authority) => {
    name = await remove();
    await dropIssuingKey(data, certificate);
    return authority;
  });
  return name;
}

/** The certificate of a CA whose key the fabric has. @throws Failure `pki.unknown-ca` */
async function issuingOf(registry: OwnedRegistry, id: number): Promise<Uint8Array | undefined> {
  try {
    return (await registry.issuingCa(id)).certificate;
  } catch (error) {
    if (isFailure(error, 'pki.not-issuing')) return undefined;
    throw error;
  }
}

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

/**
 * Lets machines with certificates of a CA get one of the fabric's without a code, in one of its networks; an empty one: no more.
 * @throws Failure `pki.unknown-ca`, `pki.cannot-enrol`, `pki.no-issuer`, `fabric.unknown-network`
 */
export const setEnrols = operation<{ id: number; network: string }, Changed<AnchorView>>(
  'pki-enrols',
  { id: ID, network: text(64) },
  async ({ registry, running, actor }, { id, network: given }) => {
    const network = given === '' ? undefined : await registry.network(given);
    const anchor = await registry.setEnrols(actor, id, network);
    return { view: anchorView(anchor), effect: await running.notify() };
  },
);

/**
 * Revokes a certificate, whichever CA below this one has issued it; with `lineage` also those that renew it, or that it renews, as far as they are valid.
 * @throws Failure `pki.unknown-ca`, `pki.bad-mapping`
 */
export const revokeCertificate = operation<
  { id: number; serial: string; reason: string; lineage?: boolean | undefined },
  Changed<LineageView>
>(
  'pki-revoke',
  { id: ID, serial: text(64), reason: text(200), lineage: optional(flag) },
  async ({ registry, running, actor }, { id, serial, reason, lineage = false }) => {
    if (reason.trim() === '') throw badInput('reason', 'is empty');
    const revoked = { serial: serialOf(serial), reason, lineage };
    const { changed, ...others } = await registry.revokeLineage(actor, id, revoked);
    const view = {
      ...{ id, changed },
      ...{ revoked: others.revoked.map(toHex), valid: others.valid.map(toHex) },
    };
    return { view, effect: await running.notify() };
  },
);

export function anchorView(given: Anchor): AnchorView {
  const {
    fingerprint,
    notAfter,
    networks,
    lists,
    source,
    issueDays = null,
    enrols,
    created,
    ...anchor
  } = given;
  const groups = networks.map(({ prefix, gid, ...counts }) => ({
    network: formatPrefix(prefix),
    gid: toHex(gid),
    ...counts,
  }));
  return {
    ...anchor,
    issueDays,
    enrols: enrols === undefined ? null : formatPrefix(enrols),
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
