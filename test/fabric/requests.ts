import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { commonName, identifier, sequence } from '../../fabric/pki/certificate.ts';
import { concat } from '../../protocol/bytes.ts';
import { der, TAG } from '../../protocol/identity/der.ts';

/** Requests for certificates (PKCS#10), made by hand so that each part can be wrong. */

export type RequestKey = 'P-256' | 'P-384' | 'P-192' | 'P-521' | 'ed25519' | 'rsa1024' | 'rsa2048';

export function newKey(kind: RequestKey = 'P-256'): KeyObject {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  if (kind.startsWith('rsa'))
    return generateKeyPairSync('rsa', { modulusLength: Number(kind.slice(3)) }).privateKey;
  const namedCurve = kind === 'P-192' ? 'prime192v1' : kind;
  return generateKeyPairSync('ec', { namedCurve }).privateKey;
}

export interface WantedRequest {
  readonly key?: KeyObject;
  /** Who signs it; the key unless given. */
  readonly signer?: KeyObject;
  readonly subject?: string;
  /** Addresses that are asked for, 16 bytes each. */
  readonly addresses?: readonly Uint8Array[];
  readonly digest?: 'sha1' | 'sha256' | 'sha384' | 'sha512';
  /** In place of what is signed: [0] attributes and what follows. */
  readonly attributes?: Uint8Array;
}

const SIGNATURES = {
  sha1: '2a8648ce3d0401',
  sha256: '2a8648ce3d040302',
  sha384: '2a8648ce3d040303',
  sha512: '2a8648ce3d040304',
} as const;

/** DER. */
export function requestOf({
  key = newKey(),
  signer = key,
  subject = 'pump',
  addresses = [],
  digest = 'sha256',
  attributes = attributesFor(addresses),
}: WantedRequest = {}): Uint8Array {
  const spki = new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }));
  const info = sequence(Uint8Array.of(TAG.integer, 1, 0), commonName(subject), spki, attributes);
  return signed(info, signer, digest);
}

export function signed(
  info: Uint8Array,
  signer: KeyObject,
  digest: keyof typeof SIGNATURES = 'sha256',
): Uint8Array {
  const kind = signer.asymmetricKeyType;
  const algorithm =
    kind === 'ed25519'
      ? sequence(identifier('2b6570'))
      : kind === 'rsa'
        ? sequence(identifier('2a864886f70d01010b'), Uint8Array.of(5, 0))
        : sequence(identifier(SIGNATURES[digest]));
  const signature = sign(kind === 'ed25519' ? null : digest, info, { key: signer, dsaEncoding: 'der' });
  return sequence(info, algorithm, der(TAG.bitString, Uint8Array.of(0), signature));
}

function attributesFor(addresses: readonly Uint8Array[]): Uint8Array {
  if (addresses.length === 0) return der(TAG.context0);
  const names = sequence(...addresses.map((each) => der(0x87, each)));
  const extension = sequence(identifier('551d11'), der(TAG.octetString, names));
  return der(TAG.context0, sequence(identifier('2a864886f70d01090e'), der(TAG.set, sequence(extension))));
}

/** A SEQUENCE in a SEQUENCE, and so on. */
export function nested(levels: number): Uint8Array {
  // Each length is written once: der() would copy all that is inside at each level.
  const heads: Uint8Array[] = [];
  let length = 0;
  for (let i = 0; i < levels; i++) {
    const head =
      length < 0x80
        ? Uint8Array.of(0x30, length)
        : length < 0x100
          ? Uint8Array.of(0x30, 0x81, length)
          : Uint8Array.of(0x30, 0x82, length >> 8, length & 0xff);
    heads.push(head);
    length += head.length;
  }
  return concat(...heads.reverse());
}
