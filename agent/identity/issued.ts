import { type CertificateFacts, judgeCertificate, readCertificate } from '../../crypto/certificates.ts';
import { concat, equal, toHex } from '../../protocol/bytes.ts';
import { sha256 } from '../../protocol/crypto/sha256.ts';
import { Failure } from '../../protocol/failure.ts';
import { checkAssigned } from '../../protocol/identity/assignable.ts';
import { namesIn } from '../../protocol/identity/certificate-request.ts';
import { p256KeyInfo } from '../../protocol/identity/p256-der.ts';
import { formatIpv6, type Prefix } from '../../protocol/ipv6.ts';

/** What a device checks of a certificate that it was given, before it keeps it. */

export interface Issued {
  /** RFC 5952 text. */
  readonly address: string;
  /** DER: its own, then those above it but the root; what a router takes in a handshake. */
  readonly chain: readonly Uint8Array[];
}

export interface Expected {
  /** 65 bytes. */
  readonly publicKey: Uint8Array;
  /** RFC 5952 text; empty: any. */
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  readonly links: readonly Prefix[];
}

/** As routers take them (docs/pki.md). */
const LONGEST_CHAIN = 3;
const CHAIN_BYTES = 8_192;
const ADDRESS = 16;

interface Read {
  readonly der: Uint8Array;
  readonly facts: CertificateFacts;
}

/**
 * The certificate for our key among those that came: for one IPv6 address, valid now, and vouched for by one of `cas` as that of a TLS client.
 * @throws Failure `est.bad-certificate`, `est.not-valid-now`, `agent.unusable-identity`
 */
export async function judgeIssued(
  certificates: readonly Uint8Array[],
  cas: readonly Uint8Array[],
  expected: Expected,
): Promise<Issued> {
  const spki = sha256(p256KeyInfo(expected.publicKey));
  const came = readAll(certificates);
  const above = readAll(cas);
  const [own, ...others] = came.filter(({ facts }) => equal(facts.spki, spki));
  if (own === undefined || others.length > 0)
    throw bad(own === undefined ? 'is for another key than ours' : 'came with another one for the same key');
  if (namesIn(own.der) === undefined) throw bad('has a form of which the next one could not be asked for');
  const { facts } = own;
  const { addresses } = facts;
  if (addresses.length !== ADDRESS)
    throw bad(addresses.length === 0 ? 'has no IPv6 address' : 'has several IPv6 addresses');
  const address = formatIpv6(addresses);
  if (expected.address !== '' && expected.address !== address)
    throw bad(`is for ${address}, and not for ${expected.address}`);
  checkDates(facts, expected.nowMs);
  const rest = came.filter((each) => each !== own);
  const { refused } = await judgeCertificate(
    own.der,
    concat(...rest.map(({ der }) => der)),
    concat(...above.map(({ der }) => der)),
    Math.floor(expected.nowMs / 1_000),
  );
  if (refused !== undefined) throw bad(`is not vouched for by a CA of the server (${refused})`);
  const chain = chainOf(own, [...rest, ...above]);
  if (concat(...chain).length > CHAIN_BYTES)
    throw bad(`has, with those above it, more than ${CHAIN_BYTES} bytes`);
  checkAssigned(addresses, expected.links);
  return { address, chain };
}

function readAll(certificates: readonly Uint8Array[]): Read[] {
  return certificates.map((der) => {
    const facts = readCertificate(der);
    if (facts === undefined) throw bad('came with one that OpenSSL cannot read');
    return { der, facts };
  });
}

function checkDates({ notBefore, notAfter }: CertificateFacts, nowMs: number): void {
  const [from, to] = [1_000 * notBefore, 1_000 * notAfter];
  if (from <= nowMs && nowMs < to) return;
  throw new Failure(
    'est.not-valid-now',
    'retry',
    `the certificate is valid from ${iso(from)} to ${iso(to)}, and the clock of this device says ${iso(nowMs)}`,
    { action: 'Set the clock of this device; if it is right, that of the server is not.' },
  );
}

/** A certificate and those above it, without a root. */
function chainOf(own: Read, pool: readonly Read[]): Uint8Array[] {
  const chain = [own];
  while (chain.length < LONGEST_CHAIN) {
    const { issuerHash } = chain.at(-1)!.facts;
    const next = pool.find(
      (each) =>
        equal(each.facts.subjectHash, issuerHash) &&
        !equal(each.facts.issuerHash, each.facts.subjectHash) &&
        !chain.includes(each),
    );
    if (next === undefined) break;
    chain.push(next);
  }
  return chain.map(({ der }) => der);
}

const bad = (why: string): Failure =>
  new Failure(
    'est.bad-certificate',
    'operator',
    `the certificate that the EST server gave ${why}; it was not kept`,
    {
      action: 'Check identity.est-server and identity.address, and ask the owner of the network.',
    },
  );

/** The same certificate, to be kept as text. */
export const savedChain = ({ chain }: Issued): readonly string[] => chain.map(toHex);

const iso = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
