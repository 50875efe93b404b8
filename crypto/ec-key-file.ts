import { createPrivateKey, type KeyObject } from 'node:crypto';
import { Failure } from '../protocol/failure.ts';

/**
 * An unencrypted P-256 private key as the 121 bytes of RFC 5915, from PEM (EC PRIVATE KEY, PRIVATE KEY; parameters before it do not matter)
 * or from DER (ECPrivateKey of RFC 5915, as C xtt writes it, or PKCS #8).
 * @throws Failure `identity.bad-key-file`
 */
export function readEcKey(file: Uint8Array): Uint8Array {
  try {
    const key = privateKeyOf(file);
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('not on P-256');
    return new Uint8Array(key.export({ type: 'sec1', format: 'der' }));
  } catch (cause) {
    // Without the error itself: OpenSSL's message could quote the file.
    throw new Failure(
      'identity.bad-key-file',
      'operator',
      'key file: expected an unencrypted P-256 key in PEM or DER',
      {
        action: 'Give the key file that belongs to the certificate; decrypt it first if it has a passphrase.',
        cause: (cause as Error).message,
      },
    );
  }
}

function privateKeyOf(file: Uint8Array): KeyObject {
  const text = new TextDecoder().decode(file);
  if (text.includes('-----BEGIN')) return createPrivateKey(text);
  const der = { key: Buffer.from(file.buffer, file.byteOffset, file.byteLength), format: 'der' } as const;
  try {
    return createPrivateKey({ ...der, type: 'sec1' });
  } catch {
    return createPrivateKey({ ...der, type: 'pkcs8' });
  }
}
