import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { Failure } from '../protocol/failure.ts';
import { type Label, signedPart } from '../protocol/label.ts';

/** A maker's key: Ed25519, PKCS #8 in DER (secret: the caller wipes it) and SubjectPublicKeyInfo in PEM. */
export interface MakerKey {
  readonly secret: Uint8Array;
  readonly publicKey: string;
}

export function generateMakerKey(): MakerKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const der = privateKey.export({ type: 'pkcs8', format: 'der' });
  const secret = new Uint8Array(der);
  der.fill(0);
  return { secret, publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string };
}

/** Ed25519, 64 bytes. @throws Failure `factory.bad-maker-key` if this is no such key, or not that of the public key */
export function signAsMaker(secret: Uint8Array, publicKey: string, message: Uint8Array): Uint8Array {
  const key = secretKey(secret);
  if (!createPublicKey(key).equals(makerPublicKey(publicKey)))
    throw badKey('its two halves do not belong together');
  return new Uint8Array(sign(null, message, key));
}

/** @throws Failure `factory.bad-maker-key` */
export function verifyAsMaker(publicKey: string, message: Uint8Array, signature: Uint8Array): boolean {
  return verify(null, message, makerPublicKey(publicKey), signature);
}

/** Whether the maker with this key has signed a label; undefined: the label has no signature. @throws Failure `factory.bad-maker-key` */
export function isLabelOf(publicKey: string, label: Label): boolean | undefined {
  const key = makerPublicKey(publicKey);
  const signed = signedPart(label);
  return signed && verify(null, signed.message, key, signed.signature);
}

/** A maker's public key in the one spelling that PEM has for it. @throws Failure `factory.bad-maker-key` */
export const makerKeyText = (publicKey: string): string =>
  makerPublicKey(publicKey).export({ type: 'spki', format: 'pem' }) as string;

/** What a maker's key is known by: SHA-256 of its SubjectPublicKeyInfo in DER, 32 bytes. @throws Failure `factory.bad-maker-key` */
export const makerFingerprint = (publicKey: string): Uint8Array =>
  new Uint8Array(
    createHash('sha256')
      .update(makerPublicKey(publicKey).export({ type: 'spki', format: 'der' }))
      .digest(),
  );

function secretKey(secret: Uint8Array): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: Buffer.from(secret), format: 'der', type: 'pkcs8' });
  } catch (error) {
    throw badKey('the secret key is none in PKCS #8', error);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw badKey(`it is of the kind ${key.asymmetricKeyType}`);
  return key;
}

function makerPublicKey(pem: string): KeyObject {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (error) {
    throw badKey('the public key is none in PEM', error, PUBLIC);
  }
  throw badKey('the public key is not of the kind Ed25519', undefined, PUBLIC);
}

const PUBLIC = 'Give the file maker.pub, which "enf-factory maker create" made.';

function badKey(
  why: string,
  cause?: unknown,
  action = 'Restore the folder that "enf-factory maker create" made.',
): Failure {
  return new Failure('factory.bad-maker-key', 'operator', `this is no key of a maker: ${why}`, {
    action,
    cause,
  });
}

/** SHA-256 of what comes, hex, and its length in bytes. */
export async function digestOf(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ readonly sha256: string; readonly bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { sha256: hash.digest('hex'), bytes };
}
