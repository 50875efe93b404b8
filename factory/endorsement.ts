import {
  type Authority,
  judgeEndorsementCertificate,
  readCertificates,
} from '../crypto/endorsement-certificate.ts';
import { makeCredential } from '../crypto/make-credential.ts';
import { primitives } from '../crypto/primitives.ts';
import { listFiles, readBounded } from '../os/files/read.ts';
import { equal, wipe } from '../protocol/bytes.ts';
import type { EndorsementPublic } from '../protocol/crypto/endorsement.ts';
import { Failure } from '../protocol/failure.ts';
import type { Tpm, TpmObject } from '../tpm/context.ts';
import {
  ENDORSEMENT_KINDS,
  type EndorsementKind,
  nameOf,
  openChallenge,
  readEndorsementCertificate,
  withEndorsementKey,
} from '../tpm/endorsement.ts';
import { findObject } from '../tpm/objects.ts';
import { checkPublicArea } from '../tpm/public-area.ts';

/** What is known of a chip's endorsement key: its maker's certificate holds, does not, or there is none. */
export type EndorsementState = 'verified' | 'untrusted' | 'absent';

/** How a station wants a chip to be proved genuine. */
export interface EndorsementPolicy {
  /** The certificates of makers' authorities; without any, nothing can be verified. */
  readonly authorities: readonly Authority[];
  /** The chip's certificate, DER, where its NV memory has none. */
  readonly certificate?: Uint8Array | undefined;
  /** Refuses a chip that is not `verified`. */
  readonly required: boolean;
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

/** An endorsement certificate in a file, as DER. @throws Failure `factory.bad-certificate`, those of reading files */
export async function readCertificateFile(path: string): Promise<Uint8Array> {
  const [certificate] = readCertificates(await readBounded(path, 'certificate', MAX_CERTIFICATE), path);
  return new Uint8Array(certificate!.raw);
}

/**
 * Proves that the key at a persistent handle is inside a genuine TPM: the maker's certificate for the endorsement key is judged, and the
 * chip opens a secret that only the holder of that key can, and only for a key in the same chip. Nothing in the TPM is changed.
 * @throws Failure `factory.key-elsewhere`; if it is required `factory.ek-absent`, `factory.ek-untrusted`; those of `Tpm.call`
 */
export async function proveEndorsement(
  tpm: Tpm,
  keyHandle: number,
  policy: EndorsementPolicy,
): Promise<Endorsement> {
  const found = await findEndorsement(tpm, keyHandle, policy);
  if (policy.required) requireVerified(found);
  return found;
}

async function findEndorsement(
  tpm: Tpm,
  keyHandle: number,
  { authorities, certificate }: EndorsementPolicy,
): Promise<Endorsement> {
  let fault: string | undefined;
  for (const kind of ENDORSEMENT_KINDS) {
    const der = certificate ?? (await readEndorsementCertificate(tpm, kind));
    if (der === undefined) continue;
    if (authorities.length === 0)
      return { state: 'untrusted', text: "no folder of makers' certificates was given" };
    const endorsement = await proveKind(tpm, keyHandle, kind, der, authorities);
    if (endorsement.state === 'verified') return endorsement;
    fault ??= endorsement.text;
  }
  return fault === undefined
    ? { state: 'absent', text: 'the TPM holds no endorsement certificate' }
    : { state: 'untrusted', text: fault };
}

function proveKind(
  tpm: Tpm,
  keyHandle: number,
  kind: EndorsementKind,
  der: Uint8Array,
  authorities: readonly Authority[],
): Promise<Endorsement> {
  return withEndorsementKey(tpm, kind, async (endorsementKey, publicKey) => {
    const judgement = judgeEndorsementCertificate(der, publicKey, authorities, new Date());
    if (!judgement.trusted)
      return { state: 'untrusted', text: `its endorsement certificate is not trusted: ${judgement.why}` };
    if (!(await opensFor(tpm, keyHandle, endorsementKey, publicKey))) throw keyElsewhere();
    const { manufacturer, model, root } = judgement;
    return { state: 'verified', text: `${manufacturer} ${model}, certified under ${root}` };
  });
}

/** Whether the chip of the endorsement key opens a fresh secret that was made for the key at this handle, as it shows that. */
async function opensFor(
  tpm: Tpm,
  keyHandle: number,
  endorsementKey: TpmObject,
  endorsement: EndorsementPublic,
): Promise<boolean> {
  // Not released: whoever signs with the key at this handle has the same object.
  const key = await findObject(tpm, keyHandle);
  if (key === undefined) return false;
  const secret = primitives.random(SECRET_LENGTH);
  try {
    checkPublicArea(key.publicArea);
    const challenge = makeCredential(endorsement, nameOf(key.publicArea, primitives.sha256), secret);
    const answer = await openChallenge(tpm, key.object, endorsementKey, challenge);
    return answer !== undefined && equal(answer, secret);
  } finally {
    wipe(secret);
  }
}

function requireVerified({ state, text }: Endorsement): void {
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

function keyElsewhere(): Failure {
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
