import { createHash, X509Certificate } from 'node:crypto';
import { type CertificateFacts, readCertificate } from '../../../crypto/certificates.ts';
import { equal, toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { decodeBase64 } from '../../../protocol/identity/base64.ts';
import { counted } from '../../../protocol/words.ts';
import { badInput, list, text } from '../contract/input.ts';
import { isoTime, operation } from '../contract/operation.ts';
import type { AnchorPreview } from '../views/pki.ts';

/** The certificates with which an owner adds a CA. */

const MOST_CERTIFICATES = 8;
/** Of one in base64: as much as fits a request. */
const LONGEST = 32_000;

/** Base64 of DER: that of the CA, and of intermediates that devices need not show. */
export const CERTIFICATES = list(text(LONGEST), MOST_CERTIFICATES);

interface Given {
  readonly der: Uint8Array;
  readonly facts: CertificateFacts;
}

/** That of the CA first. @throws Failure `pki.bad-ca` */
export function chainOf(certificates: readonly string[], now: number): readonly [Given, ...Given[]] {
  const [anchor, ...others] = certificates.map((each, i) => {
    const der = decodeBase64(each) ?? new Uint8Array(0);
    return {
      der,
      facts: usable(readCertificate(der), `certificate ${i + 1} of ${certificates.length}`, now),
    };
  });
  if (anchor === undefined) throw badInput('certificates', 'is empty');
  return [anchor, ...others];
}

/** @throws Failure `pki.bad-ca` */
function usable(facts: CertificateFacts | undefined, which: string, now: number): CertificateFacts {
  if (facts === undefined) throw badCa(`${which} cannot be read`);
  if (!facts.authority) throw badCa(`${which} (${facts.subject}) may not sign others`);
  if (!facts.sound)
    throw badCa(
      `${which} (${facts.subject}) has a key that is not of P-256, P-384, Ed25519, or RSA of 2,048 to 4,096 bits`,
    );
  if (1_000 * facts.notAfter <= now) throw badCa(`${which} (${facts.subject}) has expired`);
  return facts;
}

const badCa = (what: string): Failure =>
  new Failure('pki.bad-ca', 'operator', `this is no CA that can be used: ${what}`, {
    action: 'Give the certificate of the CA first, then those of its intermediates, in PEM.',
  });

/** SHA-256. */
export const fingerprintOf = (der: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(der).digest());

/** What the certificates of a CA are; nothing is changed. @throws Failure `pki.bad-ca` */
export const previewAnchor = operation<{ certificates: readonly string[] }, AnchorPreview>(
  'pki-preview',
  { certificates: CERTIFICATES },
  async ({ now }, { certificates }) => {
    const chain = chainOf(certificates, now());
    return {
      certificates: chain.map(({ der, facts }, i) => ({
        fingerprint: toHex(fingerprintOf(der)),
        subject: facts.subject,
        root: isRoot(facts),
        key: keyWords(der),
        notBefore: isoTime(1_000 * facts.notBefore),
        notAfter: isoTime(1_000 * facts.notAfter),
        warnings: [
          ...warningsOf(facts, now()),
          ...(i === 0 ? ofAnchor(facts) : ofIntermediate(facts, chain)),
        ],
      })),
    };
  },
);

const isRoot = ({ issuerHash, subjectHash }: CertificateFacts): boolean => equal(issuerHash, subjectHash);

const CURVES: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384' };

/** Of a key that is sound. */
function keyWords(der: Uint8Array): string {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = new X509Certificate(der).publicKey;
  if (type === 'rsa') return `RSA, ${details?.modulusLength} bits`;
  return type === 'ec' ? (CURVES[details?.namedCurve ?? ''] ?? 'EC') : 'Ed25519';
}

const DAY_MS = 86_400_000;
const SOON_DAYS = 90;

function warningsOf({ keyUsage, notBefore, notAfter }: CertificateFacts, now: number): string[] {
  const days = Math.floor((1_000 * notAfter - now) / DAY_MS);
  return [
    ...(1_000 * notBefore > now ? ['It is not valid yet: nobody comes in before it is.'] : []),
    ...(days < SOON_DAYS
      ? [`It ends in ${days === 0 ? 'less than a day' : counted(days, 'day')}: its devices are cut then.`]
      : []),
    ...(keyUsage
      ? []
      : ['It does not say what its key is for (no keyUsage). It counts here; other programs may refuse it.']),
  ];
}

const ofAnchor = (facts: CertificateFacts): string[] =>
  isRoot(facts)
    ? []
    : [
        'It is an intermediate: only what it and those below it have issued counts, and nobody asks whether its own issuer has revoked it.',
      ];

/** One that does not lead to the CA helps no device. */
const ofIntermediate = ({ issuerHash }: CertificateFacts, chain: readonly Given[]): string[] =>
  chain.some(({ facts }) => equal(facts.subjectHash, issuerHash))
    ? []
    : ['None of the others has issued it: nobody comes in by it.'];
