import type { KeyObject } from 'node:crypto';
import { readCertificate } from '../../crypto/certificates.ts';
import { equal } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { formatIpv6, parseIpv6 } from '../../protocol/ipv6.ts';
import { deviceCertificate, readIssuingKey } from '../pki/issuing.ts';
import { type CertificateRequest, readRequest } from '../pki/request.ts';
import type { Issuing, IssuingCa, Proof } from '../registry/issuing.ts';
import { makerJudge } from './makers.ts';
import type { Asked, Authority, ShownProof } from './messages.ts';

/**
 * Decides what clients of EST get. What costs little comes first: nobody makes the fabric read a request, or verify its signature, whose code or
 * certificate entitles it to nothing. `data`: the folder with the keys; `now`: milliseconds since 1970.
 */
export function estAuthority(registry: Issuing, data: string, now: () => number = Date.now): Authority {
  const signerOf = signers(data);
  const judge = makerJudge(registry, now);
  return async (asked) => {
    const { anchor } = asked;
    if (asked.kind === 'issuers') {
      const proof = asked.proof && 'maker' in asked.proof ? undefined : asked.proof && proofOf(asked.proof);
      return registry.issuers({
        ...(proof !== undefined && { proof }),
        ...(anchor !== undefined && { anchor }),
      });
    }
    const { proof: shown } = asked;
    const proof = 'maker' in shown ? { maker: await judge(shown, anchor) } : proofOf(shown);
    return [await issue(registry, signerOf, asked, proof)];
  };
}

/** CAs whose keys are remembered. */
const MOST_KEYS = 64;

type SignerOf = (ca: IssuingCa) => Promise<KeyObject>;

/** The keys of CAs, those in use remembered. */
function signers(data: string): SignerOf {
  const known = new Map<number, { readonly certificate: Uint8Array; readonly key: KeyObject }>();
  return async ({ anchor, certificate }) => {
    const found = known.get(anchor);
    if (found !== undefined && equal(found.certificate, certificate)) return found.key;
    const key = await readIssuingKey(data, certificate);
    if (known.size >= MOST_KEYS) known.clear();
    known.set(anchor, { certificate, key });
    return key;
  };
}

async function issue(
  registry: Issuing,
  signerOf: SignerOf,
  { anchor, request, source }: Extract<Asked, { readonly kind: 'certificate' }>,
  proof: Proof,
): Promise<Uint8Array> {
  const { ca, renews } = registry.entitled({ proof, anchor });
  const asked = await readRequest(request);
  if (renews !== undefined) requireSame(asked, renews);
  const signer = await signerOf(ca);
  return registry.issue(
    { proof, anchor, spki: asked.spki, source },
    ({ ca: issuer, address, serial, from, until }) => {
      if (issuer.anchor !== ca.anchor) throw changed();
      const certificate = deviceCertificate(
        { certificate: issuer.certificate, key: signer },
        { address, serial, key: asked.key, fromMs: from, untilMs: until },
      );
      return { certificate, facts: readCertificate(certificate)! };
    },
  );
}

/** @throws Failure `pki.not-issued` */
function proofOf(shown: Exclude<ShownProof, { readonly maker: Uint8Array }>): Proof {
  if ('code' in shown) return shown;
  const { serial } = readCertificate(shown.certificate) ?? {};
  if (serial !== undefined) return { ...shown, serial };
  throw new Failure('pki.not-issued', 'operator', 'the certificate cannot be read', {
    action: 'Enrol the machine with a code of "enf-fabric code add".',
  });
}

/** A renewal is for the names of what it renews (RFC 7030 §4.2.2); how the address is written does not count. @throws Failure `pki.other-subject` */
function requireSame({ commonName, alternativeNames }: CertificateRequest, address: Uint8Array): void {
  const [name, ...others] = alternativeNames ?? [];
  const named =
    name === undefined || (others.length === 0 && name.tag === 0x87 && equal(name.contents, address));
  if (named && isAddress(commonName, address)) return;
  throw new Failure(
    'pki.other-subject',
    'operator',
    `a renewal is for the subject CN=${formatIpv6(address)} and no other names, and the request is for something else`,
    { action: 'Ask for the subject of the certificate that is renewed.' },
  );
}

function isAddress(text: string | undefined, address: Uint8Array): boolean {
  try {
    return text !== undefined && equal(parseIpv6(text), address);
  } catch (error) {
    if (isFailure(error)) return false;
    throw error;
  }
}

const changed = (): Failure =>
  new Failure('pki.busy', 'retry', 'the CA was replaced meanwhile', { action: 'Ask again.' });
