import { createHash } from 'node:crypto';
import { readCertificate } from '../../../crypto/certificates.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { toPem } from '../../../protocol/identity/roots.ts';
import { formatIpv6, formatPrefix, parseIpv6 } from '../../../protocol/ipv6.ts';
import { codeHash, issueCodes } from '../../access/codes.ts';
import { commonName } from '../../pki/certificate.ts';
import {
  CURVES,
  type Curve,
  dropIssuingKey,
  issuingCertificate,
  keepIssuingKey,
  newIssuingKey,
  readIssuingKey,
  subjectOf,
} from '../../pki/issuing.ts';
import type { AuthorityKeeper } from '../../pki/keeper.ts';
import type { EnrolmentCode, IssuedCertificate } from '../../registry/issuing.ts';
import type { Anchor } from '../../registry/pki.ts';
import { badInput, checkDeviceName, list, oneOf, optional, text, whole } from '../contract/input.ts';
import {
  type Changed,
  type Context,
  filteredList,
  isoTime,
  listOperation,
  operation,
} from '../contract/operation.ts';
import type { CodeView, IssuedView, IssuingCaView, NewCodesView, WithdrawnCodeView } from '../views/pki.ts';
import { anchorView, ID, MOST_NETWORKS, networksOf, unknownCa } from './cas.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** Clocks differ by some minutes. */
const BACKDATED_MS = 300_000;
/** Ten years, of twenty at most. */
const CA_DAYS = { usual: 3_650, most: 7_300 };
/** As certificates of the web have it at most. */
const CERTIFICATE_DAYS = { usual: 90, most: 397 };
export const MOST_CODES_AT_ONCE = 100;
/** A day, of three months at most. */
const CODE_HOURS = { usual: 24, most: 2_160 };

interface CaInput {
  readonly name: string;
  readonly networks: readonly string[];
  readonly curve?: Curve | undefined;
  readonly days?: number | undefined;
  readonly certificateDays?: number | undefined;
}

const NETWORKS = list(text(64), MOST_NETWORKS);
const DAYS = optional(whole(1, CA_DAYS.most));
const EACH_DAYS = optional(whole(1, CERTIFICATE_DAYS.most));

/**
 * Makes a CA whose key the fabric has. It vouches for whoever it gives a certificate, in these networks.
 * @throws Failure `fabric.unknown-network`, `pki.too-many-cas`, `os.…`
 */
export const createCa = operation<CaInput, Changed<IssuingCaView>>(
  'pki-create',
  {
    name: text(60),
    networks: NETWORKS,
    curve: optional(oneOf(...CURVES)),
    days: DAYS,
    certificateDays: EACH_DAYS,
  },
  async (context, { name, networks: given, curve = 'P-256', days, certificateDays }) => {
    const { registry, running, actor, now } = context;
    if (name.trim() === '') throw badInput('name', 'is empty');
    const networks = await networksOf(registry, given);
    if (networks.length === 0) throw badInput('networks', 'is empty');
    const key = newIssuingKey(curve);
    const certificate = issuingCertificate(key, {
      subject: commonName(name),
      networks,
      ...lifetime(now(), days),
    });
    const keeper = await keysOf(context);
    let added: Anchor | undefined;
    await keeper.change(async (authority) => {
      await keepIssuingKey(keeper.data, certificate, key);
      try {
        added = await registry.addAnchor(actor, {
          ...{ name, certificate, others: new Uint8Array(0), networks, admits: 'anybody' },
          ...factsOf(certificate),
          issueDays: certificateDays ?? CERTIFICATE_DAYS.usual,
        });
      } catch (error) {
        await dropIssuingKey(keeper.data, certificate);
        throw error;
      }
      return authority;
    });
    return { view: caView(added!, certificate), effect: await running.notify() };
  },
);

interface RenewalInput {
  readonly id: number;
  readonly networks?: readonly string[] | undefined;
  readonly days?: number | undefined;
  readonly certificateDays?: number | undefined;
}

/**
 * Makes another certificate for the key of an issuing CA, for the networks that it has and these. What it has issued holds as before.
 * @throws Failure `pki.unknown-ca`, `pki.not-issuing`, `fabric.unknown-network`, `pki.no-issuing-key`, `os.…`
 */
export const renewCa = operation<RenewalInput, Changed<IssuingCaView>>(
  'pki-renew',
  { id: ID, networks: optional(NETWORKS), days: DAYS, certificateDays: EACH_DAYS },
  async (context, { id, networks: given = [], days, certificateDays }) => {
    const { registry, running, actor, now } = context;
    await registry.issuingCa(id);
    const further = await networksOf(registry, given);
    const keeper = await keysOf(context);
    let made: Uint8Array = new Uint8Array(0);
    await keeper.change(async (authority) => {
      const ca = await registry.issuingCa(id);
      const all = new Map([...ca.networks, ...further].map((each) => [formatPrefix(each), each]));
      const networks = [...all.values()];
      if (networks.length > MOST_NETWORKS) throw badInput('networks', `would be more than ${MOST_NETWORKS}`);
      const key = await readIssuingKey(keeper.data, ca.certificate);
      made = issuingCertificate(key, {
        subject: subjectOf(ca.certificate),
        networks,
        ...lifetime(now(), days),
      });
      const { fingerprint, notAfter } = factsOf(made);
      const renewed = {
        certificate: made,
        fingerprint,
        notAfter,
        networks,
        days: certificateDays ?? ca.days,
      };
      await registry.renewIssuing(actor, id, renewed);
      return authority;
    });
    const anchor = (await registry.anchors()).find((each) => each.id === id)!;
    return { view: caView(anchor, made), effect: await running.notify() };
  },
);

const lifetime = (now: number, days = CA_DAYS.usual) => ({
  fromMs: now - BACKDATED_MS,
  untilMs: now + days * DAY_MS,
});

function factsOf(certificate: Uint8Array) {
  const { subject, notAfter } = readCertificate(certificate)!;
  const fingerprint = new Uint8Array(createHash('sha256').update(certificate).digest());
  return { subject, fingerprint, notAfter: 1_000 * notAfter };
}

function keysOf({ keys }: Context): Promise<AuthorityKeeper> {
  if (keys === undefined) throw new Error('an operation on keys beside a registry alone');
  return keys();
}

const caView = (anchor: Anchor, certificate: Uint8Array): IssuingCaView => ({
  ca: anchorView(anchor),
  certificate: toPem(certificate),
});

interface CodesInput {
  readonly network: string;
  readonly name?: string | undefined;
  readonly address?: string | undefined;
  readonly count?: number | undefined;
  readonly hours?: number | undefined;
}

/**
 * Makes codes, whose texts nobody can read again.
 * @throws Failure `fabric.unknown-network`, `pki.no-issuer`, `pki.address-not-free`, `pki.too-many-codes`, `fabric.name-exists`
 */
export const addCodes = operation<CodesInput, NewCodesView>(
  'code-add',
  {
    network: text(64),
    name: optional(text(63)),
    address: optional(text(64)),
    count: optional(whole(1, MOST_CODES_AT_ONCE)),
    hours: optional(whole(1, CODE_HOURS.most)),
  },
  async ({ registry, actor, now }, { network: given, name, address, count = 1, hours }) => {
    if (name !== undefined) checkDeviceName(name);
    if (count > 1 && (name ?? address) !== undefined)
      throw badInput('count', 'is more than 1, and there is a name or an address, which one machine has');
    const network = await registry.network(given);
    const texts = issueCodes(count);
    const added = await registry.addCodes(
      actor,
      texts.map((code) => ({
        ...{ hash: codeHash(code)!, network, expires: now() + (hours ?? CODE_HOURS.usual) * HOUR_MS },
        ...(name !== undefined && { name }),
        ...(address !== undefined && { address: parseIpv6(address) }),
      })),
    );
    return { codes: added.map((each, i) => ({ ...promised(each), code: texts[i]! })) };
  },
);

/** A page of codes, newest first. */
export const listCodes = listOperation(
  'code-list',
  (registry, page) => registry.codes(page),
  () => (code: EnrolmentCode) => codeView(code, Date.now()),
);

/** @throws Failure `pki.unknown-code` */
export const withdrawCode = operation<{ id: number }, WithdrawnCodeView>(
  'code-withdraw',
  { id: ID },
  async ({ registry, actor }, { id }) => ({ id, changed: await registry.withdrawCode(actor, id) }),
);

/** For what a code is, and until when. */
const promised = ({ id, network, name, address, expires }: EnrolmentCode) => ({
  id,
  network: formatPrefix(network),
  name: name ?? null,
  address: address === undefined ? null : formatIpv6(address),
  expires: isoTime(expires),
});

function codeView(code: EnrolmentCode, now: number): CodeView {
  const { owner, createdBy, created, expires, used, serial, withdrawn } = code;
  const over = withdrawn !== undefined ? 'withdrawn' : expires <= now ? 'expired' : 'open';
  return {
    ...promised(code),
    owner,
    createdBy,
    created: isoTime(created),
    state: used === undefined ? over : 'used',
    used: used === undefined ? null : isoTime(used),
    serial: serial === undefined ? null : toHex(serial),
  };
}

/** A page of the certificates that were issued, newest first. @throws Failure `pki.unknown-ca`, `fabric.unknown-device`, `ipv6.bad-address` */
export const listIssued = filteredList<
  IssuedCertificate,
  IssuedView,
  { ca?: number | undefined; address?: string | undefined }
>(
  'pki-issued',
  { ca: optional(ID), address: optional(text(64)) },
  async (registry, page, { ca, address: text }) => {
    const address = text === undefined ? undefined : parseIpv6(text);
    const found = await registry.issued(page, {
      ...(ca !== undefined && { anchor: ca }),
      ...(address !== undefined && { address }),
    });
    // What was removed since is known by what it has issued.
    if (found.rows.length === 0 && page.after === undefined) {
      if (ca !== undefined && !(await registry.anchors()).some(({ id }) => id === ca)) throw unknownCa(ca);
      if (address !== undefined) await registry.device(address);
    }
    return found;
  },
  () => issuedView,
);

const issuedView = ({
  serial,
  parent,
  anchor,
  address,
  code,
  spki,
  created,
  notAfter,
  revoked,
  ...issued
}: IssuedCertificate): IssuedView => ({
  ...issued,
  serial: toHex(serial),
  parent: parent === undefined ? null : toHex(parent),
  ca: anchor,
  address: formatIpv6(address),
  code: code ?? null,
  spki: toHex(spki),
  created: isoTime(created),
  notAfter: isoTime(notAfter),
  revoked: revoked === undefined ? null : { at: isoTime(revoked.at), reason: revoked.reason },
});
