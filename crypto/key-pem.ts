import { createPrivateKey } from 'node:crypto';
import { Failure } from '../protocol/failure.ts';

/**
 * A P-256 private key in PEM (EC PRIVATE KEY, PRIVATE KEY; parameters before it do not matter) as the 121 bytes of RFC 5915.
 * @throws Failure `identity.bad-key-file`
 */
export function readEcKeyPem(text: string): Uint8Array {
  try {
    const key = createPrivateKey(text);
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('not on P-256');
    return new Uint8Array(key.export({ type: 'sec1', format: 'der' }));
  } catch (cause) {
    // Without the error itself: OpenSSL's message could quote the file.
    throw new Failure(
      'identity.bad-key-file',
      'operator',
      'key file: expected an unencrypted P-256 key in PEM',
      {
        action: 'Give the key file that belongs to the certificate; decrypt it first if it has a passphrase.',
        cause: (cause as Error).message,
      },
    );
  }
}
