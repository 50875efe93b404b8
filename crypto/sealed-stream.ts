import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { ascii, concat, equal, u32, wipe } from '../protocol/bytes.ts';
import { Failure } from '../protocol/failure.ts';
import { COST, deriveKey, isBounded } from './passphrase-key.ts';

// A stream of any length under a passphrase:
//
//   45 4E 46 53   "ENFS"
//   01            version
//   log2N r p     scrypt parameters, one byte each
//   salt          16 bytes
//   pieces        AES-256-GCM of 65,536 bytes each, of the last one 0 to 65,536, with a tag of 16 bytes behind it
//
// The nonce of a piece is its number (u32, from 0 on) behind seven zeros, and 1 behind that if it is the last one, else 0: the key is used for
// this stream only. Each piece authenticates the header, too. So no piece can be changed, moved, left out or added, nor the end cut.
const MAGIC = ascii('ENFS');
const VERSION = 1;
const HEADER_LENGTH = 24;
const PIECE_LENGTH = 65_536;
const TAG_LENGTH = 16;
const MOST_PIECES = 2 ** 32;

/** Encrypts a stream under a passphrase, piece by piece. */
export async function* sealStream(
  plain: AsyncIterable<Uint8Array>,
  passphrase: Uint8Array,
): AsyncGenerator<Uint8Array> {
  const { log2N, r, p } = COST;
  const header = concat(MAGIC, Uint8Array.of(VERSION, log2N, r, p), randomBytes(16));
  const key = await deriveKey(passphrase, header.subarray(8), COST);
  try {
    yield header;
    for await (const { number, bytes, last } of pieces(plain, PIECE_LENGTH)) {
      const cipher = createCipheriv('aes-256-gcm', key, nonce(number, last));
      cipher.setAAD(header);
      yield concat(cipher.update(bytes), cipher.final(), cipher.getAuthTag());
    }
  } finally {
    wipe(key);
  }
}

/** True if a file that begins with these bytes is a sealed stream. */
export const isSealedStream = (start: Uint8Array): boolean => equal(start.subarray(0, 4), MAGIC);

/**
 * Decrypts what `sealStream` made; a piece is passed on only once it is authenticated.
 * @throws Failure `os.bad-container`, `os.wrong-passphrase`
 */
export async function* openStream(
  sealed: AsyncIterable<Uint8Array>,
  passphrase: Uint8Array,
): AsyncGenerator<Uint8Array> {
  let header: Uint8Array | undefined;
  let key: Uint8Array = new Uint8Array(0);
  try {
    for await (const { number, bytes, last } of pieces(sealed, PIECE_LENGTH + TAG_LENGTH, HEADER_LENGTH)) {
      if (header === undefined) {
        header = bytes;
        key = await deriveKey(passphrase, header.subarray(8), costOf(header));
        if (last) throw damaged('it ends behind its header');
      } else yield openPiece(key, header, bytes, number - 1, last);
    }
  } finally {
    wipe(key);
  }
}

function openPiece(key: Uint8Array, header: Uint8Array, piece: Uint8Array, number: number, last: boolean) {
  if (piece.length < TAG_LENGTH) throw damaged('its end is missing');
  const decipher = createDecipheriv('aes-256-gcm', key, nonce(number, last), { authTagLength: TAG_LENGTH });
  decipher.setAAD(header);
  decipher.setAuthTag(piece.subarray(-TAG_LENGTH));
  const plain = decipher.update(piece.subarray(0, -TAG_LENGTH));
  try {
    decipher.final();
    return new Uint8Array(plain);
  } catch (cause) {
    if (number > 0) throw damaged(`it was changed or cut behind byte ${number * PIECE_LENGTH}`, cause);
    throw new Failure(
      'os.wrong-passphrase',
      'operator',
      'the file cannot be decrypted: the passphrase is wrong, or the file was changed',
      { action: 'Give the right passphrase.', cause },
    );
  }
}

function nonce(number: number, last: boolean): Uint8Array {
  return concat(new Uint8Array(7), u32(number), Uint8Array.of(last ? 1 : 0));
}

function costOf(header: Uint8Array): typeof COST {
  const [version, log2N, r, p] = header.subarray(4, 8) as unknown as [number, number, number, number];
  if (header.length < HEADER_LENGTH || !isSealedStream(header)) throw damaged('it has no header');
  if (version !== VERSION) throw damaged(`it has version ${version}, this program knows ${VERSION}`);
  if (!isBounded({ log2N, r, p }))
    throw damaged(`scrypt parameters N=2^${log2N}, r=${r}, p=${p} are out of bounds`);
  return { log2N, r, p };
}

function damaged(what: string, cause?: unknown): Failure {
  return new Failure('os.bad-container', 'operator', `the encrypted file cannot be used: ${what}`, {
    action: 'Check that this is the file you mean, and take another copy of it if it is damaged.',
    cause,
  });
}

/** The bytes of a stream cut anew: `first` bytes, if that is not 0, then `length` each, then what is left, which may be nothing. */
async function* pieces(
  source: AsyncIterable<Uint8Array>,
  length: number,
  first = 0,
): AsyncGenerator<{ number: number; bytes: Uint8Array; last: boolean }> {
  let held: Uint8Array = new Uint8Array(0);
  let number = 0;
  let want = first || length;
  for await (const chunk of source) {
    held = held.length === 0 ? chunk : concat(held, chunk);
    // More than one piece: whether it is the last one is known when there is a byte behind it.
    while (held.length > want) {
      if (number >= MOST_PIECES) throw damaged('it is too long');
      yield { number: number++, bytes: held.slice(0, want), last: false };
      held = held.subarray(want);
      want = length;
    }
  }
  yield { number, bytes: held.slice(), last: true };
}
