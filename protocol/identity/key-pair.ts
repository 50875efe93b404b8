import { equal } from '../bytes.ts';
import { publicKeyOf } from '../crypto/ecdsa.ts';
import { Failure } from '../failure.ts';
import { EC_HEAD, EC_MIDDLE } from './key-file.ts';

/**
 * The key pair in a 121-byte key file, copied; the two halves belong together.
 * @throws Failure `identity.bad-key-file`
 */
export function parseEcPrivateKey(file: Uint8Array): {
  readonly secret: Uint8Array;
  readonly publicKey: Uint8Array;
} {
  if (file.length !== 121) throw badKeyFile(`${file.length} bytes`);
  const bytes = new Uint8Array(file);
  if (!equal(bytes.subarray(0, 7), EC_HEAD) || !equal(bytes.subarray(39, 56), EC_MIDDLE)) {
    throw badKeyFile('another DER structure');
  }
  const [secret, publicKey] = [bytes.slice(7, 39), bytes.slice(56)];
  try {
    if (equal(publicKeyOf(secret), publicKey)) return { secret, publicKey };
  } catch (cause) {
    throw badKeyFile('a private key out of range', cause);
  }
  throw badKeyFile('a public key that does not belong to the private one');
}

function badKeyFile(got: string, cause?: unknown): Failure {
  return new Failure(
    'identity.bad-key-file',
    'operator',
    `key file: expected 121 bytes of DER ECPrivateKey (RFC 5915) on P-256, got ${got}`,
    { action: 'Restore the key file from a backup or create a new key.', cause },
  );
}
