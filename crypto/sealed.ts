import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { ascii, concat, equal } from '../protocol/bytes.ts';
import { Failure } from '../protocol/failure.ts';
import { COST, deriveKey, isBounded } from './passphrase-key.ts';

// A secret under a passphrase, any length n:
//
//   45 4E 46 4B   "ENFK"
//   01            version
//   log2N r p     scrypt parameters, one byte each
//   salt          16 bytes
//   nonce         12 bytes
//   sealed        n + 16 bytes, AES-256-GCM; everything before it is authenticated too
const MAGIC = ascii('ENFK');
const VERSION = 1;
const HEADER_LENGTH = 36;
const TAG_LENGTH = 16;

/** Encrypts a secret under a passphrase; the result is 52 bytes longer. */
export async function sealSecret(secret: Uint8Array, passphrase: Uint8Array): Promise<Uint8Array> {
  const header = concat(
    MAGIC,
    Uint8Array.of(VERSION, COST.log2N, COST.r, COST.p),
    randomBytes(HEADER_LENGTH - 8),
  );
  const key = await keyOf(passphrase, header);
  const cipher = createCipheriv('aes-256-gcm', key, header.subarray(24));
  cipher.setAAD(header);
  const sealed = concat(header, cipher.update(secret), cipher.final(), cipher.getAuthTag());
  key.fill(0);
  return sealed;
}

/** Decrypts what `sealSecret` made. @throws Failure `os.bad-container`, `os.wrong-passphrase` */
export async function openSecret(container: Uint8Array, passphrase: Uint8Array): Promise<Uint8Array> {
  checkContainer(container);
  const header = container.subarray(0, HEADER_LENGTH);
  const key = await keyOf(passphrase, header);
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, header.subarray(24), { authTagLength: TAG_LENGTH });
    decipher.setAAD(header);
    decipher.setAuthTag(container.subarray(-TAG_LENGTH));
    const secret = decipher.update(container.subarray(HEADER_LENGTH, -TAG_LENGTH));
    decipher.final();
    return new Uint8Array(secret);
  } catch (error) {
    throw new Failure(
      'os.wrong-passphrase',
      'operator',
      'the file cannot be decrypted: the passphrase is wrong, or the file was changed',
      { action: 'Give the right passphrase.', cause: error },
    );
  } finally {
    key.fill(0);
  }
}

/** @throws Failure `os.bad-container` unless the bytes have the format that `openSecret` reads */
export function checkContainer(container: Uint8Array): void {
  const [version, log2N, r, p] = container.subarray(4, 8);
  const known =
    container.length > HEADER_LENGTH + TAG_LENGTH &&
    equal(container.subarray(0, 4), MAGIC) &&
    version === VERSION;
  if (known && isBounded({ log2N: log2N!, r: r!, p: p! })) return;
  throw new Failure(
    'os.bad-container',
    'operator',
    known
      ? `scrypt parameters N=2^${log2N}, r=${r}, p=${p} are out of bounds`
      : `expected an encrypted secret that starts with ENFK and version ${VERSION}, got ${container.length} bytes that do not`,
    { action: 'Check that this is the file you mean, and restore it from its copy if it is damaged.' },
  );
}

function keyOf(passphrase: Uint8Array, header: Uint8Array): Promise<Uint8Array> {
  const [log2N, r, p] = [header[5]!, header[6]!, header[7]!];
  return deriveKey(passphrase, header.subarray(8, 24), { log2N, r, p });
}
