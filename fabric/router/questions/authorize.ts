import type { Log } from '../../../os/service/log.ts';
import { equal } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { parseIdentityCertificate } from '../../../protocol/identity/certificate.ts';
import type { Verdict } from '../../../protocol/tunnel/verdict.ts';
import { type Admission, absenceSeconds, type Endpoint } from '../../registry/admission.ts';
import { VOUCHED_KEY, type Vouched } from '../../registry/pki.ts';

/** How long a device is told to stay away while the registry fails, in seconds. */
const REGISTRY_DOWN_SECONDS = 30;
export const REGISTRY_DOWN: Verdict = { kind: 'retry-after', seconds: REGISTRY_DOWN_SECONDS };

/** What is asked of the registry; the answer is `'down'` if it fails. */
export interface Questions {
  lookup(address: Uint8Array): Endpoint | undefined | 'down';
  /** As `Admission.holders`. */
  holders(addresses: readonly Uint8Array[]): readonly (Endpoint | undefined)[] | 'down';
  hasNetwork(address: Uint8Array): boolean | 'down';
  /** Whether there is any CA of an owner. */
  hasAnchors(): boolean | 'down';
  /** As `PkiAdmission.vouches`. */
  vouches(vouched: Vouched): boolean | 'down';
  /** After how many seconds a device that is suspended or banned may ask again. */
  absence(): number;
}

/** How long the number of devices that are shut out is taken for what it was. */
const COUNTED_MS = 5_000;

/** Asks the registry, and logs when it begins and ceases to fail; the latter not if the log does so itself. */
export function registryQuestions(admission: Admission, log: Log): Questions {
  /** The first failure since it answered last. */
  let down: { readonly error: unknown } | undefined;
  const ask = <Answer>(question: () => Answer): Answer | 'down' => {
    try {
      const answer = question();
      if (down !== undefined && !log.counts?.(down.error)) log('notice', 'the registry answers again');
      down = undefined;
      return answer;
    } catch (error) {
      if (down === undefined)
        log('error', `the registry does not answer: ${(error as Error).message}`, error);
      down ??= { error };
      return 'down';
    }
  };
  let absence = { seconds: REGISTRY_DOWN_SECONDS, until: Number.NEGATIVE_INFINITY };
  return {
    lookup: (address) => ask(() => admission.lookup(address)),
    holders: (addresses) => ask(() => admission.holders(addresses)),
    hasNetwork: (address) => ask(() => admission.hasNetwork(address)),
    hasAnchors: () => ask(() => admission.hasAnchors()),
    vouches: (vouched) => ask(() => admission.vouches(vouched)),
    absence() {
      const now = performance.now();
      if (now < absence.until) return absence.seconds;
      const excluded = ask(() => admission.excluded());
      const seconds = excluded === 'down' ? REGISTRY_DOWN_SECONDS : absenceSeconds(excluded);
      absence = { seconds, until: now + COUNTED_MS };
      return seconds;
    },
  };
}

/** What a peer has sent in its TLS handshake. */
export interface Credentials {
  /** DER; undefined if it has sent none. */
  readonly certificate?: Uint8Array | undefined;
  /** The key in it as OpenSSL reads it, with which it has checked the handshake's signature: 65 bytes if it is of P-256. */
  readonly key?: Uint8Array | undefined;
}

/**
 * A device that has proven its key, or the verdict that refuses it; `address` is the one in its certificate, if that could be
 * read.
 */
export type Decision =
  | { readonly endpoint: Endpoint; readonly provenKey: Uint8Array }
  | { readonly verdict: Verdict; readonly address?: Uint8Array };

/**
 * Decides on a peer that finished the TLS handshake. The certificate's self-signature, dates and chain do not count;
 * only the key does, which must be the one registered for the address in the CN (enftun.md §3).
 */
export function authorize(questions: Questions, credentials: Credentials): Decision {
  const { lookup, hasNetwork } = questions;
  const claim = readClaim(credentials);
  if (claim === undefined) return { verdict: { kind: 'unknown' } };
  const { address, provenKey } = claim;
  const endpoint = lookup(address);
  if (endpoint === undefined) return { verdict: verdictOnAbsent(hasNetwork(address)), address };
  const verdict = verdictOn(endpoint, provenKey, questions.absence);
  if (verdict !== undefined) return { verdict, address };
  return { endpoint: endpoint as Endpoint, provenKey };
}

/**
 * The verdict on an address that no device has. In a network of ours it was perhaps assigned after the backup that the registry was
 * restored from.
 */
function verdictOnAbsent(ours: boolean | 'down'): Verdict {
  if (ours === 'down') return REGISTRY_DOWN;
  return { kind: ours ? 'unregistered' : 'unknown' };
}

/**
 * The verdict on a device that has proven `provenKey` (65 bytes); undefined if it is admitted. The key is compared
 * first and in constant time: otherwise anybody could learn the standing of any address. So a replaced key is `unknown`, unless the
 * registered one may itself be the older of the two.
 */
export function verdictOn(
  endpoint: ReturnType<Questions['lookup']>,
  provenKey: Uint8Array,
  absence: () => number,
): Verdict | undefined {
  if (endpoint === 'down') return REGISTRY_DOWN;
  if (endpoint === undefined) return { kind: 'unknown' };
  if (!equal(endpoint.longtermKey, provenKey)) {
    return { kind: endpoint.outdated && endpoint.standing === 'active' ? 'unregistered' : 'unknown' };
  }
  switch (endpoint.standing) {
    case 'active':
      return undefined;
    case 'suspended':
    case 'banned':
      return { kind: endpoint.standing, seconds: absence() };
    case 'retired':
      return { kind: 'retired' };
    case 'evicted':
      return { kind: 'evicted' };
  }
}

/** The verdict on a device whose CA vouches for it, or once did; undefined if it is admitted. */
export function verdictOnVouched(
  questions: Questions,
  endpoint: ReturnType<Questions['lookup']>,
  vouched: Vouched,
): Verdict | undefined {
  const stands = questions.vouches(vouched);
  if (stands === 'down') return REGISTRY_DOWN;
  return stands ? verdictOn(endpoint, VOUCHED_KEY, questions.absence) : { kind: 'unknown' };
}

/**
 * The address is read by our own lenient parser; the key is the one with which OpenSSL checked the handshake's
 * signature. A certificate in which the two parsers find different keys is refused as an attack on that difference.
 */
function readClaim({
  certificate,
  key,
}: Credentials): { address: Uint8Array; provenKey: Uint8Array } | undefined {
  if (certificate === undefined || key === undefined) return undefined;
  try {
    const { address } = parseIdentityCertificate(certificate, (publicKey) => equal(publicKey, key));
    return { address, provenKey: key };
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
