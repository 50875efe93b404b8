import { createHash, type KeyObject } from 'node:crypto';
import { toHex } from '../../protocol/bytes.ts';
import { toPem } from '../../protocol/identity/roots.ts';
import {
  commonName,
  extension,
  identifier,
  makeCertificate,
  OID,
  sequence,
  signedBy,
  subjectKey,
  TRUE,
  USAGE,
} from './certificate.ts';

/** Who a certificate is for, or signs it. */
export interface Subject {
  /** Common name. */
  readonly name: string;
  /** P-256: private if it signs. */
  readonly key: KeyObject;
}

/** SHA-256 of a certificate of either kind, 64 hex digits. */
export const fingerprint = (certificate: Uint8Array): string =>
  toHex(new Uint8Array(createHash('sha256').update(certificate).digest()));

/** The common name of routers. */
export const ROUTER_NAME = 'ENF router';

/**
 * The TLS root: self-signed, X.509 v3, CA. PEM. It is valid from 1970 to 9999, so that a device whose clock starts at 1970 can
 * connect; it is replaced when its owner wants to, not by time. It must stay below 768 bytes: it is stored in the NV memory of TPMs and
 * fetched with one read.
 */
export function rootCertificate(subject: Subject): string {
  return certificate(subject, subject, caExtensions(subject.key));
}

/** A root signed by the one before it: whoever trusts that one finds the way to the new one. PEM. */
export function crossCertificate(root: Subject, former: Subject): string {
  return certificate(root, former, [...caExtensions(root.key), signedBy(former.key)]);
}

function caExtensions(key: KeyObject): Uint8Array[] {
  return [
    extension(OID.basicConstraints, true, sequence(TRUE)),
    extension(OID.keyUsage, true, USAGE.keyCertSignCrlSign),
    subjectKey(key),
  ];
}

/** A TLS server certificate for the router under the root, until 9999 or for so long. PEM. */
export function routerCertificate(router: Subject, root: Subject, untilMs?: number): string {
  const extensions = [
    extension(OID.basicConstraints, true, sequence()),
    extension(OID.keyUsage, true, USAGE.digitalSignature),
    extension(OID.extendedKeyUsage, false, sequence(identifier(OID.serverAuth))),
    subjectKey(router.key),
    signedBy(root.key),
  ];
  return certificate(router, root, extensions, untilMs);
}

const certificate = (
  subject: Subject,
  issuer: Subject,
  extensions: readonly Uint8Array[],
  untilMs?: number,
): string =>
  toPem(
    makeCertificate({
      subject: commonName(subject.name),
      issuer: commonName(issuer.name),
      ...{ key: subject.key, signer: issuer.key, untilMs, extensions },
    }),
  );
