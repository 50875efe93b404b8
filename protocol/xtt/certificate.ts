import { ascii, concat, equal } from '../bytes.ts';
import { isPublicKey, PUBLIC_KEY_LENGTH, SIGNATURE_LENGTH } from '../crypto/ecdsa.ts';
import type { EcdsaSigner, Primitives } from '../crypto/primitives.ts';
import { Failure } from '../failure.ts';

export const ROOT_CERTIFICATE_LENGTH = 81;
export const SERVER_CERTIFICATE_LENGTH = 169;

/** What the reference tool writes into the field that clients ignore (xtt-protocol.md §4.2). */
export const DEFAULT_RESERVED: Uint8Array = ascii('XAPTUMSERVER000199991231');

export interface RootCertificate {
  /** 16 bytes */
  readonly id: Uint8Array;
  /** 65 bytes */
  readonly publicKey: Uint8Array;
}

/**
 *   0         16                81
 *   +---------+-----------------+
 *   | root id | root public key |     root certificate: the trust anchor, not signed
 *   +---------+-----------------+
 */
export function makeRootCertificate(id: Uint8Array, publicKey: Uint8Array): Uint8Array {
  requireSize('root id', id, 16);
  requirePublicKey(publicKey);
  return concat(id, publicKey);
}

/**
 * The fields of an 81-byte root certificate, copied.
 * @throws Failure `xtt.bad-root-certificate` for a wrong length or a key that is not on P-256
 */
export function parseRootCertificate(certificate: Uint8Array): RootCertificate {
  const bytes = new Uint8Array(certificate);
  const [id, publicKey] = [bytes.subarray(0, 16), bytes.subarray(16)];
  if (bytes.length !== ROOT_CERTIFICATE_LENGTH || !isPublicKey(publicKey)) {
    const got = bytes.length === ROOT_CERTIFICATE_LENGTH ? 'another key' : `${bytes.length} bytes`;
    throw new Failure(
      'xtt.bad-root-certificate',
      'operator',
      `XTT root certificate: expected ${ROOT_CERTIFICATE_LENGTH} bytes with an uncompressed P-256 key, got ${got}`,
      { action: 'Personalise the device with the root certificate of its fabric, or restore the file.' },
    );
  }
  return { id, publicKey };
}

export interface ServerCertificate {
  /** 24 bytes; nobody reads them. There is no expiry and no name. */
  readonly reserved: Uint8Array;
  /** 16 bytes: which root signed. */
  readonly rootId: Uint8Array;
  /** 65 bytes */
  readonly publicKey: Uint8Array;
  /** r ‖ s of the root over the 105 bytes before it. */
  readonly signature: Uint8Array;
}

/**
 *   0          24        40                  105              169
 *   +----------+---------+-------------------+----------------+
 *   | reserved | root id | server public key | root signature |     server certificate
 *   +----------+---------+-------------------+----------------+
 *   |<------------------ signed ------------>|
 *
 * `signAsRoot` holds the root's private key.
 */
export async function makeServerCertificate(
  fields: { readonly rootId: Uint8Array; readonly publicKey: Uint8Array; readonly reserved?: Uint8Array },
  signAsRoot: EcdsaSigner,
): Promise<Uint8Array> {
  const reserved = fields.reserved ?? DEFAULT_RESERVED;
  requireSize('reserved', reserved, 24);
  requireSize('root id', fields.rootId, 16);
  requirePublicKey(fields.publicKey);
  const signed = concat(reserved, fields.rootId, fields.publicKey);
  const signature = await signAsRoot(signed);
  requireSize('signature', signature, SIGNATURE_LENGTH);
  return concat(signed, signature);
}

/**
 * The fields of a 169-byte server certificate, copied; nothing is verified.
 * @throws Failure `xtt.bad-server-certificate` for a wrong length
 */
export function parseServerCertificate(certificate: Uint8Array): ServerCertificate {
  if (certificate.length !== SERVER_CERTIFICATE_LENGTH) {
    throw new Failure(
      'xtt.bad-server-certificate',
      'operator',
      `XTT server certificate: expected ${SERVER_CERTIFICATE_LENGTH} bytes, got ${certificate.length}`,
      { action: 'Restore the server certificate file or sign a new one with the root key.' },
    );
  }
  const bytes = new Uint8Array(certificate);
  return {
    reserved: bytes.subarray(0, 24),
    rootId: bytes.subarray(24, 40),
    publicKey: bytes.subarray(40, 105),
    signature: bytes.subarray(105),
  };
}

/**
 * Checks a 169-byte server certificate against 81-byte root certificates and returns the server's public key,
 * 65 bytes. Of several roots with the same id any may have signed.
 * @throws Failure `xtt.bad-root-certificate`, `xtt.bad-server-certificate`, `xtt.unknown-root`, `xtt.bad-root-signature`
 */
export function verifyServerCertificate(
  p: Pick<Primitives, 'verifyEcdsa'>,
  certificate: Uint8Array,
  roots: readonly Uint8Array[],
): Uint8Array {
  const anchors = roots.map(parseRootCertificate);
  const { rootId, publicKey, signature } = parseServerCertificate(certificate);
  const named = anchors.filter((anchor) => equal(anchor.id, rootId));
  if (named.length === 0) {
    throw new Failure(
      'xtt.unknown-root',
      'operator',
      `the server's certificate is signed by a root that is not among the ${roots.length} configured`,
      { action: 'Check that the device has the root certificate of the fabric in remote.hosts.' },
    );
  }
  const signed = certificate.subarray(0, 40 + PUBLIC_KEY_LENGTH);
  if (!named.some((anchor) => p.verifyEcdsa(anchor.publicKey, signed, signature))) {
    throw new Failure(
      'xtt.bad-root-signature',
      'retry',
      "the signature on the server's certificate was not made by the root that it names",
      { action: 'Check which server answers at the configured address.' },
    );
  }
  return publicKey;
}

function requireSize(name: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new Error(`${name} has ${length} bytes, not ${bytes.length}`);
}

function requirePublicKey(publicKey: Uint8Array): void {
  if (!isPublicKey(publicKey)) throw new Error('not an uncompressed P-256 public key');
}
