import { addon } from '../native/index.ts';
import { concat, equal, fromHex } from '../protocol/bytes.ts';
import type { Challenge, EndorsementPublic } from '../protocol/crypto/endorsement.ts';
import { failureOf, isAboutArgument, isUnauthorised } from './codes.ts';
import { objectOf, type Tpm, type TpmObject } from './context.ts';
import { withHierarchy } from './hierarchy.ts';
import { readNv } from './nv.ts';
import { findObject, flush, release, whileLoaded } from './objects.ts';
import {
  ALGORITHM,
  ATTRIBUTE,
  CURVE,
  encodeEccPublic,
  encodeRsaPublic,
  parsePublic,
  parseRsaPublic,
  uncompressed,
} from './structures.ts';
import { contentOf, malformed, sized } from './wire.ts';

/**
 * The chip's endorsement key, which its maker has certified ("TCG EK Credential Profile for TPM Family 2.0", version 2.5). It decrypts, and
 * only what names a key that is in the same chip: that is the proof that a key is inside a genuine TPM.
 */

/** The kinds of endorsement keys that every TPM 2.0 can make: templates L-1 (RSA 2048) and L-2 (P-256). */
export type EndorsementKind = EndorsementPublic['kind'];
export const ENDORSEMENT_KINDS: readonly EndorsementKind[] = ['rsa', 'ecc'];

interface Kind {
  /** NV index of the certificate (profile §2.2.1.4). */
  readonly certificate: number;
  /** Where makers and other programs keep the key, if anywhere. */
  readonly persistent: number;
  /** TPM2B_PUBLIC. */
  readonly template: Uint8Array;
}

// PolicySecret(TPM_RH_ENDORSEMENT): the policy of the templates, "PolicyA" in the profile.
const POLICY = fromHex('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa');
const TEMPLATE = {
  nameAlgorithm: ALGORITHM.sha256,
  attributes:
    ATTRIBUTE.fixedTpm |
    ATTRIBUTE.fixedParent |
    ATTRIBUTE.sensitiveDataOrigin |
    ATTRIBUTE.adminWithPolicy |
    ATTRIBUTE.restricted |
    ATTRIBUTE.decrypt,
  policy: POLICY,
  symmetric: { algorithm: ALGORITHM.aes, keyBits: 128, mode: ALGORITHM.cfb },
};
const RSA_BITS = 2048;
const COORDINATE = 32;
/** Bytes at the end of a public area that are the key itself, with their sizes. */
const UNIQUE: Readonly<Record<EndorsementKind, number>> = {
  rsa: 2 + RSA_BITS / 8,
  ecc: 2 * (2 + COORDINATE),
};
const RSA_EXPONENT = 4;

const KINDS: Readonly<Record<EndorsementKind, Kind>> = {
  rsa: {
    certificate: 0x01c0_0002,
    persistent: 0x8101_0001,
    template: sized(
      encodeRsaPublic({
        ...TEMPLATE,
        keyBits: RSA_BITS,
        exponent: 0,
        modulus: new Uint8Array(RSA_BITS / 8),
      }),
    ),
  },
  ecc: {
    certificate: 0x01c0_000a,
    persistent: 0x8101_0002,
    template: sized(
      encodeEccPublic({
        ...TEMPLATE,
        curve: CURVE.p256,
        x: new Uint8Array(COORDINATE),
        y: new Uint8Array(COORDINATE),
      }),
    ),
  },
};

/** The maker's certificate of this kind of key, DER with what the index has behind it; undefined if there is none. */
export const readEndorsementCertificate = (
  tpm: Tpm,
  kind: EndorsementKind,
): Promise<Uint8Array | undefined> => readNv(tpm, KINDS[kind].certificate);

/**
 * Does `work` with an endorsement key: the one at the usual handle if that is of the kind, else one made anew, which takes a chip some
 * seconds and is the same key. @throws Failure `tpm.hierarchy-locked`
 */
export async function withEndorsementKey<T>(
  tpm: Tpm,
  kind: EndorsementKind,
  work: (key: TpmObject, publicKey: EndorsementPublic) => Promise<T>,
): Promise<T> {
  const there = await findObject(tpm, KINDS[kind].persistent);
  if (there !== undefined) {
    try {
      const known = publicOf(kind, there.publicArea);
      if (known !== undefined) return await work(there.object, known);
    } finally {
      await release(tpm, there.object);
    }
  }
  const made = await withHierarchy(tpm, 'endorsement', undefined, ({ session, hierarchy }) =>
    tpm.call('createPrimary', [session, hierarchy], [KINDS[kind].template]),
  );
  return whileLoaded(tpm, objectOf(made), (key) => {
    const publicKey = publicOf(kind, contentOf('public area', made.buffers[0]!));
    if (publicKey === undefined) throw malformed('endorsement key', 'not what its template asks for');
    return work(key, publicKey);
  });
}

/** The public key if this public area is the template with a key in it. */
function publicOf(kind: EndorsementKind, publicArea: Uint8Array): EndorsementPublic | undefined {
  const template = contentOf('template', KINDS[kind].template);
  const length = template.length - UNIQUE[kind];
  if (publicArea.length !== template.length) return undefined;
  // The TPM may name the exponent for which 0 stands.
  const compared = kind === 'rsa' ? length - RSA_EXPONENT : length;
  if (!equal(publicArea.subarray(0, compared), template.subarray(0, compared))) return undefined;
  if (kind === 'rsa') {
    const { exponent, modulus } = parseRsaPublic(publicArea);
    return { kind, modulus, exponent: exponent === 0 ? 65_537 : exponent };
  }
  const { x, y } = parsePublic(publicArea).ecc!;
  return { kind, point: uncompressed(x, y) };
}

/** The TPM's name of a key: name algorithm (SHA-256) and the hash of its TPMT_PUBLIC; `sha256` computes it. */
export const nameOf = (publicArea: Uint8Array, sha256: (message: Uint8Array) => Uint8Array): Uint8Array =>
  concat(Uint8Array.of(0, ALGORITHM.sha256), sha256(publicArea));

/**
 * Opens a challenge that names a key of this TPM. Undefined if the TPM finds that it was made for another key or another chip.
 * @throws Failure `tpm.hierarchy-locked`, and those of `Tpm.call`
 */
export async function openChallenge(
  tpm: Tpm,
  key: TpmObject,
  endorsementKey: TpmObject,
  { credential, seed }: Challenge,
): Promise<Uint8Array | undefined> {
  const policy = objectOf(await tpm.call('startPolicy'));
  try {
    await withHierarchy(tpm, 'endorsement', undefined, ({ session, hierarchy }) =>
      tpm.call('policySecret', [session, hierarchy, policy]),
    );
    const { rc, buffers } = await tpm.ask(
      'activateCredential',
      [0, key, endorsementKey, policy],
      [credential, seed],
    );
    if (rc === 0) return buffers[0];
    if (isAboutArgument(rc) && !isUnauthorised(rc)) return undefined;
    throw failureOf(rc, 'activateCredential', addon().tssDecode(rc));
  } finally {
    await flush(tpm, policy);
  }
}
