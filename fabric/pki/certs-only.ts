import { der, TAG } from '../../protocol/identity/der.ts';
import { identifier, OID, sequence } from './certificate.ts';

/** Certificates (DER) as a SignedData that nobody has signed (RFC 5652 §5, "certs-only" of RFC 8551 §3.8), DER: what EST answers. */
export function certsOnly(certificates: readonly Uint8Array[]): Uint8Array {
  const signed = sequence(
    Uint8Array.of(TAG.integer, 1, 1),
    der(TAG.set),
    sequence(identifier(OID.data)),
    der(TAG.context0, ...certificates),
    der(TAG.set),
  );
  return sequence(identifier(OID.signedData), der(TAG.context0, signed));
}
