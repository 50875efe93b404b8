import { createPrivateKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { ecdsaSigner, generateP256 } from '../../crypto/primitives.ts';
import { readBounded, readExact, readIfThere } from '../../os/files/read.ts';
import { wipe } from '../../protocol/bytes.ts';
import type { EcdsaSigner } from '../../protocol/crypto/primitives.ts';
import { Failure } from '../../protocol/failure.ts';
import { encodeEcPrivateKey } from '../../protocol/identity/key-file.ts';
import { parseEcPrivateKey } from '../../protocol/identity/key-pair.ts';
import { parseRootCertificate } from '../../protocol/xtt/certificate.ts';
import { FILES } from './files.ts';

/** Private keys as the files of a fabric hold them: those of XTT as DER (RFC 5915, 121 bytes), those of TLS as PEM (PKCS #8). */

const EC_KEY_LENGTH = 121;

/** A key of XTT that was just made: its file, and its public half, 65 bytes. */
export function newXttKey(): { readonly file: Uint8Array; readonly publicKey: Uint8Array } {
  const { secret, publicKey } = generateP256();
  const file = encodeEcPrivateKey(secret, publicKey);
  wipe(secret);
  return { file, publicKey };
}

/** Signs with the key of XTT in a file's content. */
export function xttSigner(file: Uint8Array): EcdsaSigner {
  const { secret } = parseEcPrivateKey(file);
  const sign = ecdsaSigner(secret);
  wipe(secret);
  return sign;
}

/** A key of TLS that was just made. */
export function newTlsKey(): { readonly file: string; readonly key: KeyObject } {
  const { secret, publicKey } = generateP256();
  const der = Buffer.from(encodeEcPrivateKey(secret, publicKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'sec1' });
  wipe(der, secret);
  return { file: key.export({ type: 'pkcs8', format: 'pem' }) as string, key };
}

/** Both halves of the key of XTT in a file. @throws Failure `os.…`, `identity.bad-key-file` */
export async function readXttKey(path: string): Promise<ReturnType<typeof parseEcPrivateKey>> {
  const file = await readExact(path, 'key', EC_KEY_LENGTH);
  try {
    return parseEcPrivateKey(file);
  } finally {
    wipe(file);
  }
}

/** @throws Failure `os.…`, `fabric.bad-authority` */
export async function readTlsKey(path: string): Promise<KeyObject> {
  const file = await readBounded(path, 'key');
  try {
    const key = createPrivateKey(Buffer.from(file));
    if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
  } catch {
    // Falls through: OpenSSL's reason would say less.
  } finally {
    wipe(file);
  }
  throw new Failure('fabric.bad-authority', 'operator', `${path} is no private key of P-256 in PEM`, {
    action: 'Restore the file from a backup; do not mix files of two fabrics.',
  });
}

/** The keys of one root. */
export interface RootKeys {
  /** Of the XTT root certificate beside the keys, 16 bytes; undefined if there is none. */
  readonly id: Uint8Array | undefined;
  readonly signXtt: EcdsaSigner;
  readonly tls: KeyObject;
}

/** The keys of the root whose files are in this folder. @throws Failure `os.no-file` if they are kept elsewhere; `os.…`, `identity.bad-key-file`, `fabric.bad-authority` */
export async function readRootKeys(folder: string): Promise<RootKeys> {
  const xtt = await readXttKey(join(folder, FILES.xttRootKey));
  const tls = await readTlsKey(join(folder, FILES.tlsRootKey));
  const signXtt = ecdsaSigner(xtt.secret);
  wipe(xtt.secret);
  const certificate = await readIfThere(join(folder, FILES.xttRoot), 'XTT root certificate');
  return { id: certificate && parseRootCertificate(certificate).id, signXtt, tls };
}

/** The public key as SubjectPublicKeyInfo, DER. */
export const spkiOf = (key: KeyObject): Uint8Array =>
  new Uint8Array(key.export({ type: 'spki', format: 'der' }));
