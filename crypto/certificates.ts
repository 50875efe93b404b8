import { addon } from '../native/index.ts';
import type { CertificateFacts, CertificateName, Judgement, RevocationList } from '../native/pki/pki.ts';

export type { CertificateFacts, CertificateName, Judgement, RevocationList };

/** As `pkiRead`. */
export const readCertificate = (der: Uint8Array): CertificateFacts | undefined => addon().pkiRead(der);

/** As `pkiVerify`. */
export const judgeCertificate = (
  leaf: Uint8Array,
  others: Uint8Array,
  anchors: Uint8Array,
  now: number,
): Promise<Judgement> => addon().pkiVerify(leaf, others, anchors, now);

/** As `pkiReadCrl`. */
export const readRevocationList = (der: Uint8Array, issuers: Uint8Array): RevocationList | undefined =>
  addon().pkiReadCrl(der, issuers);
