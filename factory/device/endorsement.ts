import {
  type Authority,
  judgeEndorsementCertificate,
  readCertificates,
} from '../../crypto/endorsement-certificate.ts';
import { makeCredential } from '../../crypto/make-credential.ts';
import { primitives } from '../../crypto/primitives.ts';
import { listFiles, readBounded } from '../../os/files/read.ts';
import { equal, toHex, wipe } from '../../protocol/bytes.ts';
import type { EndorsementPublic } from '../../protocol/crypto/endorsement.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import type { Tpm, TpmObject } from '../../tpm/context.ts';
import {
  ENDORSEMENT_KINDS,
  type EndorsementKind,
  nameOf,
  openChallenge,
  readEndorsementCertificate,
  withEndorsementKey,
} from '../../tpm/endorsement.ts';
import type { MemberKey } from '../../tpm/member-key.ts';
import { findObject } from '../../tpm/objects.ts';
import type { EndorsementState } from '../batch/row.ts';

/** How a station wants a chip to be proved genuine. */
export interface EndorsementPolicy {
  /** The certificates of makers' authorities; without any, nothing can be verified. */
  readonly authorities: readonly Authority[];
  /** The chip's certificate, where its NV memory has none. */
  readonly certificate?: EndorsementCertificate | undefined;
  /** Refuses a chip that is not `verified`. */
  readonly required: boolean;
}

/** An endorsement certificate in DER, and the kind of the key that it is for. */
export interface EndorsementCertificate {
  readonly kind: EndorsementKind;
  readonly der: Uint8Array;
}

export interface Endorsement {
  readonly state: EndorsementState;
  /** The chip as its maker names it, or why it is not verified. */
  readonly text: string;
}

const MAX_CERTIFICATE = 8_192;
const SECRET_LENGTH = 32;

/** The certificates of all files of a folder. @throws Failure `factory.no-ek-roots`, `factory.bad-certificate`, those of reading files */
export async function readAuthorities(folder: string): Promise<Authority[]> {
  const authorities: Authority[] = [];
  for (const name of await listFiles(folder, "folder of makers' certificates")) {
    const path = `${folder}/${name}`;
    authorities.push(...readCertificates(await readBounded(path, 'certificate'), path));
  }
  if (authorities.length > 0) return authorities;
  throw new Failure('factory.no-ek-roots', 'operator', `${folder} holds no certificate`, {
    action: "Put the root and intermediate certificates of the TPMs' makers there, in PEM or DER.",
  });
}

/** An endorsement certificate in a file. @throws Failure `factory.bad-certificate`, those of reading files */
export async function readCertificateFile(path: string): Promise<EndorsementCertificate> {
  const [certificate] = readCertificates(await readBounded(path, 'certificate', MAX_CERTIFICATE), path);
  const { raw, publicKey } = certificate!;
  return { kind: publicKey.asymmetricKeyType === 'rsa' ? 'rsa' : 'ecc', der: new Uint8Array(raw) };
}

/** What is to be in the TPM: its persistent handle, and the TPMT_PUBLIC that it showed. */
export type ShownKey = Pick<MemberKey, 'handle' | 'publicArea'>;

/**
 * Proves that a member's key is inside a genuine TPM: the maker's certificate for the endorsement key is judged, and the chip opens a
 * secret that only the holder of that key can, and only for what is in the same chip and has this public area. Nothing in the TPM is changed.
 * @throws Failure `factory.key-elsewhere`; if it is required `factory.ek-absent`, `factory.ek-untrusted`, `tpm.hierarchy-locked`; those of `Tpm.call`
 */
export async function proveEndorsement(
  tpm: Tpm,
  key: ShownKey,
  policy: EndorsementPolicy,
): Promise<Endorsement> {
  try {
    const found = await findEndorsement(tpm, key, policy);
    if (policy.required) requireVerified(found);
    return found;
  } catch (error) {
    // A TPM that does not let its endorsement key be used is no worse than one without a certificate.
    if (policy.required || !isFailure(error) || !UNUSABLE.includes(error.code)) throw error;
    return { state: 'untrusted', text: error.message };
  }
}

/** A password of the endorsement hierarchy, an index that may not be read, a command that is not there. */
const UNUSABLE: readonly string[] = ['tpm.hierarchy-locked', 'tpm.not-authorised', 'tpm.refused'];

async function findEndorsement(
  tpm: Tpm,
  key: ShownKey,
  { authorities, certificate }: EndorsementPolicy,
): Promise<Endorsement> {
  let fault: string | undefined;
  for (const kind of certificate === undefined ? ENDORSEMENT_KINDS : [certificate.kind]) {
    const der = certificate?.der ?? (await readEndorsementCertificate(tpm, kind));
    if (der === undefined) continue;
    if (authorities.length === 0)
      return { state: 'untrusted', text: "no folder of makers' certificates was given" };
    const endorsement = await proveKind(tpm, key, kind, der, authorities);
    if (endorsement.state === 'verified') return endorsement;
    fault ??= endorsement.text;
  }
  return fault === undefined
    ? { state: 'absent', text: 'the TPM holds no endorsement certificate' }
    : { state: 'untrusted', text: fault };
}

function proveKind(
  tpm: Tpm,
  key: ShownKey,
  kind: EndorsementKind,
  der: Uint8Array,
  authorities: readonly Authority[],
): Promise<Endorsement> {
  return withEndorsementKey(tpm, kind, async (endorsementKey, publicKey) => {
    const judgement = judgeEndorsementCertificate(der, publicKey, authorities, new Date());
    if (!judgement.trusted)
      return { state: 'untrusted', text: `its endorsement certificate is not trusted: ${judgement.why}` };
    if (!(await opensFor(tpm, key, endorsementKey, publicKey))) throw keyElsewhere();
    const { manufacturer, model, root } = judgement;
    return { state: 'verified', text: `${manufacturer} ${model}, certified under ${root}` };
  });
}

/**
 * Whether the chip of the endorsement key opens a fresh secret that was made for this key. What the TPM shows now has to be the key that it
 * showed before: something between could show one key to be certified, and another to be proved.
 */
async function opensFor(
  tpm: Tpm,
  { handle, publicArea }: ShownKey,
  endorsementKey: TpmObject,
  endorsement: EndorsementPublic,
): Promise<boolean> {
  // Not released: whoever signs with the key at this handle has the same object.
  const key = await findObject(tpm, handle);
  if (key === undefined || !equal(key.publicArea, publicArea)) return false;
  const secret = primitives.random(SECRET_LENGTH);
  try {
    const challenge = makeCredential(endorsement, nameOf(key.publicArea, primitives.sha256), secret);
    const answer = await openChallenge(tpm, key.object, endorsementKey, challenge);
    return answer !== undefined && equal(answer, secret);
  } finally {
    wipe(secret);
  }
}

/** How a journal names a chip, where that is wanted: SHA-256 of the modulus or the point of its endorsement key, hex. */
export const endorsementHash = (key: EndorsementPublic): string =>
  toHex(primitives.sha256(key.kind === 'rsa' ? key.modulus : key.point));

/** The hash of a TPM's RSA endorsement key, which takes some chips seconds to make. @throws Failure those of `withEndorsementKey` */
export const readEndorsementHash = (tpm: Tpm): Promise<string> =>
  withEndorsementKey(tpm, 'rsa', async (_, key) => endorsementHash(key));

/** @throws Failure `factory.ek-absent`, `factory.ek-untrusted` */
export function requireVerified({ state, text }: Endorsement): void {
  if (state === 'verified') return;
  if (state === 'absent') {
    throw new Failure('factory.ek-absent', 'operator', `the TPM cannot be proved genuine: ${text}`, {
      action: "Give the maker's certificate for this chip (--ek-certificate), or do without --require-ek.",
    });
  }
  throw new Failure('factory.ek-untrusted', 'operator', `the TPM cannot be proved genuine: ${text}`, {
    action: "Add the maker's certificates to the folder of --ek-roots, or put this chip aside.",
  });
}

export function keyElsewhere(): Failure {
  return new Failure(
    'factory.key-elsewhere',
    'operator',
    'the TPM does not hold the ECDAA key that it shows: it cannot open what was made for that key',
    {
      action:
        'Do not ship this device: something between the station and the TPM answers in its place, or the TPM is defective.',
    },
  );
}
