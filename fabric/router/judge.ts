import type { X509Certificate } from 'node:crypto';
import { concat, equal } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { parseIdentityCertificate } from '../../protocol/identity/certificate.ts';
import type { Verdict } from '../../protocol/tunnel/verdict.ts';
import type { Endpoint } from './admission.ts';

/** How long a suspended device is told to stay away, in seconds. */
const SUSPENDED_SECONDS = 300;

/** What a device is told while the registry cannot be asked, in seconds. */
const REGISTRY_DOWN_SECONDS = 30;

/** The registry's answer to a question for an address; `'down'` if it cannot give one. */
export type Lookup = (address: Uint8Array) => Endpoint | undefined | 'down';

/**
 * A device whose key was proven, or why it may not come in; `address` is what it claims to be, if that could be
 * read.
 */
export type Judgement =
  | { readonly endpoint: Endpoint; readonly provenKey: Uint8Array }
  | { readonly verdict: Verdict; readonly address?: Uint8Array };

/**
 * Judges the certificate of a peer that finished the TLS handshake. The self-signature, dates and chain say nothing;
 * only the key does, which must be the one registered for the address in the CN (enftun.md §3).
 */
export function judge(lookup: Lookup, certificate: X509Certificate | undefined): Judgement {
  const claim = certificate === undefined ? undefined : readClaim(certificate);
  if (claim === undefined) return { verdict: { kind: 'unknown' } };
  const endpoint = lookup(claim.address);
  const verdict = verdictOn(endpoint, claim.provenKey);
  if (verdict !== undefined) return { verdict, address: claim.address };
  return { endpoint: endpoint as Endpoint, provenKey: claim.provenKey };
}

/**
 * The verdict on a device that has proven `provenKey` (65 bytes); undefined if it is admitted. The key is compared
 * first and in constant time: without it a stranger would learn the standing of any address. A stale key is
 * therefore `unknown`.
 */
export function verdictOn(endpoint: ReturnType<Lookup>, provenKey: Uint8Array): Verdict | undefined {
  if (endpoint === 'down') return { kind: 'retry-after', seconds: REGISTRY_DOWN_SECONDS };
  if (endpoint === undefined || !equal(endpoint.longtermKey, provenKey)) return { kind: 'unknown' };
  switch (endpoint.standing) {
    case 'active':
      return undefined;
    case 'suspended':
      return { kind: 'retry-after', seconds: SUSPENDED_SECONDS };
    case 'evicted':
    case 'banned':
      return { kind: endpoint.standing };
  }
}

/**
 * The address is read by our own lenient parser; the key is the one with which OpenSSL checked the handshake's
 * signature. Should both readers see different keys, someone plays them off against each other.
 */
function readClaim(certificate: X509Certificate): { address: Uint8Array; provenKey: Uint8Array } | undefined {
  const provenKey = p256PublicKey(certificate);
  if (provenKey === undefined) return undefined;
  try {
    const { address, publicKey } = parseIdentityCertificate(certificate.raw);
    return equal(publicKey, provenKey) ? { address, provenKey } : undefined;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** 65 bytes uncompressed, or undefined for any other kind of key. */
function p256PublicKey(certificate: X509Certificate): Uint8Array | undefined {
  try {
    const key = certificate.publicKey;
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return undefined;
    const { x, y } = key.export({ format: 'jwk' });
    return concat(Uint8Array.of(4), Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url'));
  } catch {
    // OpenSSL has no reader for the key's algorithm: it is certainly not registered.
    return undefined;
  }
}
