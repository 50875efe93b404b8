import { equal } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { parseIdentityCertificate } from '../../protocol/identity/certificate.ts';
import type { Verdict } from '../../protocol/tunnel/verdict.ts';
import type { Endpoint } from '../registry/admission.ts';

/** How long a suspended device is told to stay away, in seconds. */
const SUSPENDED_SECONDS = 300;

/** What a device is told while the registry cannot be asked, in seconds. */
const REGISTRY_DOWN_SECONDS = 30;

/** The registry's answer to a question for an address; `'down'` if it cannot give one. */
export type Lookup = (address: Uint8Array) => Endpoint | undefined | 'down';

/** What a peer has shown in its handshake. */
export interface Credentials {
  /** DER; undefined if it has shown none. */
  readonly certificate?: Uint8Array;
  /** The key in it as OpenSSL reads it, with which it has checked the handshake's signature: 65 bytes if it is of P-256. */
  readonly key?: Uint8Array;
}

/**
 * A device whose key was proven, or why it may not come in; `address` is what it claims to be, if that could be
 * read.
 */
export type Judgement =
  | { readonly endpoint: Endpoint; readonly provenKey: Uint8Array }
  | { readonly verdict: Verdict; readonly address?: Uint8Array };

/**
 * Judges a peer that finished the TLS handshake. The certificate's self-signature, dates and chain say nothing;
 * only the key does, which must be the one registered for the address in the CN (enftun.md §3).
 */
export function judge(lookup: Lookup, credentials: Credentials): Judgement {
  const claim = readClaim(credentials);
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
function readClaim({
  certificate,
  key,
}: Credentials): { address: Uint8Array; provenKey: Uint8Array } | undefined {
  if (certificate === undefined || key === undefined) return undefined;
  try {
    const { address, publicKey } = parseIdentityCertificate(certificate);
    return equal(publicKey, key) ? { address, provenKey: key } : undefined;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
