import {
  constants,
  createCipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { ascii, concat, u16, u32, wipe } from '../protocol/bytes.ts';
import type { Challenge, EndorsementPublic } from '../protocol/crypto/endorsement.ts';

const SEED_LENGTH = 32;
const KEY_BITS = 128;
const MAC_BITS = 256;
const COORDINATE = 32;

/**
 * TPM2_MakeCredential without a TPM (TPM 2.0 Library, part 1 §24 and annexes B.10.3, C.6.3), for endorsement keys with SHA-256 and AES-128-CFB:
 * a secret that only the chip with the endorsement key can open, and only for the key of this name (34 bytes) inside it. `secret` has at most 32 bytes.
 */
export function makeCredential(
  endorsementKey: EndorsementPublic,
  name: Uint8Array,
  secret: Uint8Array,
): Challenge {
  const { seed, sealed } = endorsementKey.kind === 'rsa' ? rsaSeed(endorsementKey) : eccSeed(endorsementKey);
  const key = kdfa(seed, 'STORAGE', name, KEY_BITS);
  const macKey = kdfa(seed, 'INTEGRITY', new Uint8Array(), MAC_BITS);
  const cipher = createCipheriv('aes-128-cfb', key, new Uint8Array(16));
  const identity = concat(cipher.update(sized(secret)), cipher.final());
  const mac = createHmac('sha256', macKey).update(identity).update(name).digest();
  wipe(seed, key, macKey);
  // The size of the identity is inside what is encrypted.
  return { credential: sized(concat(sized(mac), identity)), seed: sized(sealed) };
}

/** The public key as OpenSSL knows it. */
export function endorsementKeyObject(key: EndorsementPublic): KeyObject {
  const jwk =
    key.kind === 'rsa'
      ? { kty: 'RSA', n: base64url(key.modulus), e: base64url(minimal(key.exponent)) }
      : { kty: 'EC', crv: 'P-256', ...coordinates(key.point) };
  return createPublicKey({ key: jwk, format: 'jwk' });
}

/** A random seed, encrypted with RSA-OAEP. */
function rsaSeed(key: EndorsementPublic): { seed: Uint8Array; sealed: Uint8Array } {
  const seed = new Uint8Array(randomBytes(SEED_LENGTH));
  const sealed = publicEncrypt(
    {
      key: endorsementKeyObject(key),
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: 'sha256',
      oaepLabel: label('IDENTITY'),
    },
    seed,
  );
  return { seed, sealed: new Uint8Array(sealed) };
}

/** A seed that both sides compute by ECDH (one-pass), and the ephemeral point as TPMS_ECC_POINT. */
function eccSeed(key: EndorsementPublic & { kind: 'ecc' }): { seed: Uint8Array; sealed: Uint8Array } {
  const ephemeral = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const shared = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: endorsementKeyObject(key) });
  const { x, y } = ephemeral.publicKey.export({ format: 'jwk' });
  const [ownX, ownY] = [x, y].map((each) => new Uint8Array(Buffer.from(each!, 'base64url')));
  // KDFe (part 1 §11.4.10.3): one block gives the 32 bytes.
  const seed = createHash('sha256')
    .update(u32(1))
    .update(shared)
    .update(label('IDENTITY'))
    .update(ownX!)
    .update(key.point.subarray(1, 1 + COORDINATE))
    .digest();
  wipe(shared);
  return { seed: new Uint8Array(seed), sealed: concat(sized(ownX!), sized(ownY!)) };
}

/** KDFa (part 1 §11.4.10.2) of at most 256 bits: HMAC-SHA256 in counter mode, one block. */
function kdfa(key: Uint8Array, use: string, context: Uint8Array, bits: number): Uint8Array {
  const block = createHmac('sha256', key)
    .update(u32(1))
    .update(label(use))
    .update(context)
    .update(u32(bits))
    .digest();
  return new Uint8Array(block.subarray(0, bits / 8));
}

/** A use, with the zero byte that ends it. */
const label = (use: string): Uint8Array => concat(ascii(use), Uint8Array.of(0));
const sized = (bytes: Uint8Array): Uint8Array => concat(u16(bytes.length), bytes);
const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

const coordinates = (point: Uint8Array) => ({
  x: base64url(point.subarray(1, 1 + COORDINATE)),
  y: base64url(point.subarray(1 + COORDINATE)),
});

function minimal(exponent: number): Uint8Array {
  const bytes = u32(exponent);
  return bytes.subarray(bytes.findIndex((byte) => byte !== 0));
}
