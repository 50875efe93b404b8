import { isLabelOf } from '../../crypto/maker-key.ts';
import { primitives } from '../../crypto/primitives.ts';
import { checkContainer } from '../../crypto/sealed.ts';
import { toHex, wipe } from '../../protocol/bytes.ts';
import {
  decodeG1,
  decodeG1Points,
  decodeScalar,
  decodeSecret,
  G1_LENGTH,
  SCALAR_LENGTH,
} from '../../protocol/crypto/encoding.ts';
import { checkGroupPublicKey, groupId } from '../../protocol/crypto/group.ts';
import { checkIssuerPublicKey } from '../../protocol/crypto/issuer.ts';
import { softwareDaaKey } from '../../protocol/crypto/member.ts';
import { LINKED_SIGNATURE_LENGTH, pseudonymOf, SIGNATURE_LENGTH } from '../../protocol/crypto/verifier.ts';
import { Failure } from '../../protocol/failure.ts';
import { parseTss2 } from '../../protocol/identity/key-file.ts';
import { parseEcPrivateKey } from '../../protocol/identity/key-pair.ts';
import { parseTrust } from '../../protocol/identity/trust.ts';
import { basenameText, checkBasename, type Label, parseLabel } from '../../protocol/label.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';
import { counted } from '../../protocol/words.ts';
import { parseRootCertificate, parseServerCertificate } from '../../protocol/xtt/certificate.ts';
import { parseIssuerInTpm } from '../group/issuer-tpm.ts';
import { memberName, shortGid } from '../group/names.ts';

/** What a file (or an object in a TPM) was recognised as. Never holds a secret. */
export interface Finding {
  /** File name, or the object's name in the TPM. */
  readonly name: string;
  readonly kind: string;
  readonly length: number;
  readonly facts: Readonly<Record<string, string>>;
  /** What is wrong with it, or undefined. */
  readonly problem?: string;
}

/** One kind of file. `examine` returns facts about its content and throws a Failure for a malformed one. */
interface Kind {
  readonly kind: string;
  readonly matches: (name: string, bytes: Uint8Array, text: string | undefined) => boolean;
  readonly examine: (bytes: Uint8Array, text: string, makerKey: string | undefined) => Record<string, string>;
}

/** What is known of the signature of a label. Without the maker's key nobody can check it. */
const SIGNATURE = {
  absent: 'absent',
  good: "good: made with the maker's key that was given",
  wrong: "WRONG: not made with the maker's key that was given",
  unchecked: 'present, not checked: the maker has to be known (--maker-key)',
} as const;

function signatureOf(label: Label, makerKey: string | undefined): string {
  if (label.signature === undefined) return SIGNATURE.absent;
  if (makerKey === undefined) return SIGNATURE.unchecked;
  return isLabelOf(makerKey, label) ? SIGNATURE.good : SIGNATURE.wrong;
}

/** Whoever gives the maker's key wants to know that the maker has made the label. */
function notOfMaker({ signature }: Readonly<Record<string, string>>): string | undefined {
  if (signature === SIGNATURE.wrong) return "it is not signed with the maker's key that was given";
  return signature === SIGNATURE.absent ? 'it is not signed' : undefined;
}

const ofLength =
  (...lengths: readonly number[]) =>
  (_name: string, bytes: Uint8Array): boolean =>
    lengths.includes(bytes.length);

const startingWith =
  (start: RegExp) =>
  (_name: string, _bytes: Uint8Array, text: string | undefined): boolean =>
    text !== undefined && start.test(text);

const check =
  (verify: (bytes: Uint8Array) => void) =>
  (bytes: Uint8Array): Record<string, string> => {
    verify(bytes);
    return {};
  };

/** A station draws labels; a fabric and phones read them. */
const PICTURE = { code: 'not read; label.txt of the group has its text' };

export const LABEL = 'group label';

/** The first kind that matches is taken. File names are used only where the length is ambiguous. */
const KINDS: readonly Kind[] = [
  {
    kind: 'basename',
    matches: (name, bytes) => /^basename\b/.test(name) && bytes.length <= 64,
    examine: (bytes) => {
      checkBasename(bytes);
      return { basename: basenameText(bytes) };
    },
  },
  {
    kind: LABEL,
    matches: startingWith(/^(https:\/\/\S*#)?ENF\d*:/),
    examine: (_bytes, text, makerKey) => {
      const label = parseLabel(text.trimEnd());
      checkGroupPublicKey(label.gpk);
      return {
        name: label.name,
        ...(label.vendor === undefined ? {} : { vendor: label.vendor }),
        basename: basenameText(label.basename),
        group: shortGid(toHex(groupId(primitives, label.gpk, label.basename))),
        ...(label.count === undefined ? {} : { devices: String(label.count) }),
        ...(label.box === undefined
          ? {}
          : { box: `${label.box.number} of ${label.box.boxes}, ${counted(label.box.devices, 'device')}` }),
        claim: label.claim ? 'present' : 'absent',
        signature: signatureOf(label, makerKey),
      };
    },
  },
  {
    kind: 'picture (PNG)',
    matches: (_name, bytes) => toHex(bytes.subarray(0, 8)) === '89504e470d0a1a0a',
    examine: () => PICTURE,
  },
  { kind: 'picture (SVG)', matches: startingWith(/^\s*<(?:\?xml|svg)\b/), examine: () => PICTURE },
  {
    kind: 'trust bundle',
    matches: startingWith(/^\s*\{[^}]*"enf-trust-/),
    examine: (_bytes, text) => {
      const trust = parseTrust(text);
      return { xttRootId: toHex(parseRootCertificate(trust.xttRoot).id) };
    },
  },
  {
    kind: 'longterm key in a TPM (TSS2 PRIVATE KEY)',
    matches: startingWith(/-----BEGIN TSS2 PRIVATE KEY-----/),
    examine: (_bytes, text) => ({ parent: `0x${parseTss2(text).parent.toString(16)}` }),
  },
  {
    kind: 'encrypted issuer secret key',
    matches: (_name, bytes) => toHex(bytes.subarray(0, 4)) === '454e464b',
    examine: check(checkContainer),
  },
  {
    kind: 'issuer secret key, sealed in a TPM',
    matches: startingWith(/^\s*\{[^}]*"enf-issuer-tpm-/),
    examine: (bytes) => {
      const { pcrs, passphrase } = parseIssuerInTpm(bytes);
      return { passphrase: passphrase ? 'yes' : 'no', pcrs: pcrs.join(',') || 'none' };
    },
  },
  {
    kind: 'issuer public key (ipk)',
    matches: ofLength(354),
    examine: check((b) => checkIssuerPublicKey(primitives, b)),
  },
  { kind: 'group public key (gpk)', matches: ofLength(258), examine: check(checkGroupPublicKey) },
  { kind: 'credential', matches: ofLength(4 * G1_LENGTH), examine: check((b) => decodeG1Points(b, 4)) },
  {
    kind: 'member public key (pk)',
    matches: ofLength(G1_LENGTH + 3 * SCALAR_LENGTH),
    examine: (bytes) => {
      decodeG1(bytes.subarray(0, G1_LENGTH));
      for (const scalar of scalars(bytes.subarray(G1_LENGTH, G1_LENGTH + 2 * SCALAR_LENGTH)))
        decodeScalar(scalar);
      return { member: memberName(bytes.subarray(0, G1_LENGTH)) };
    },
  },
  {
    kind: 'public point of a member',
    matches: ofLength(G1_LENGTH),
    examine: (bytes) => {
      decodeG1(bytes);
      return { member: memberName(bytes) };
    },
  },
  {
    kind: 'issuer secret key (isk)',
    matches: (name, bytes) => bytes.length === 2 * SCALAR_LENGTH && /isk|issuer/i.test(name),
    examine: check((b) => scalars(b).forEach(decodeSecret)),
  },
  {
    kind: 'credential signature',
    matches: ofLength(2 * SCALAR_LENGTH),
    examine: check((b) => scalars(b).forEach(decodeScalar)),
  },
  {
    kind: 'member secret key',
    matches: ofLength(SCALAR_LENGTH),
    examine: (bytes) => ({ member: memberName(softwareDaaKey(primitives, bytes).publicPoint) }),
  },
  {
    kind: 'private key on P-256 (SEC1)',
    matches: ofLength(121),
    examine: (bytes) => {
      const { secret, publicKey } = parseEcPrivateKey(bytes);
      wipe(secret);
      return { publicKey: toHex(publicKey) };
    },
  },
  {
    kind: 'XTT root certificate',
    matches: ofLength(81),
    examine: (bytes) => ({ id: toHex(parseRootCertificate(bytes).id) }),
  },
  {
    kind: 'XTT server certificate',
    matches: ofLength(169),
    examine: (bytes) => ({ rootId: toHex(parseServerCertificate(bytes).rootId), signature: 'not checked' }),
  },
  {
    kind: 'ECDAA signature',
    matches: ofLength(SIGNATURE_LENGTH, LINKED_SIGNATURE_LENGTH),
    examine: (bytes) => {
      scalars(bytes.subarray(0, 2 * SCALAR_LENGTH)).forEach(decodeScalar);
      decodeG1Points(bytes.subarray(2 * SCALAR_LENGTH), 4);
      if (bytes.length === SIGNATURE_LENGTH) return { pseudonym: 'none' };
      decodeG1(pseudonymOf(bytes));
      return { pseudonym: toHex(pseudonymOf(bytes)) };
    },
  },
  {
    kind: 'PEM text',
    matches: startingWith(/^\s*-----BEGIN [A-Z ]+-----/),
    examine: (_bytes, text) => ({ label: /-----BEGIN ([A-Z ]+)-----/.exec(text)![1]! }),
  },
];

/**
 * Recognises the content of a file by format, length and, where these are ambiguous, its name, and checks it. `makerKey`: the public key (PEM) with
 * which a label has to be signed.
 */
export function recognise(name: string, bytes: Uint8Array, makerKey?: string): Finding {
  const text = decodeUtf8(bytes);
  const kind = KINDS.find((each) => each.matches(name, bytes, text));
  if (kind === undefined) {
    return {
      name,
      kind: 'unknown',
      length: bytes.length,
      facts: {},
      problem: `${bytes.length} bytes that are not a key, credential, certificate, signature, label or trust bundle`,
    };
  }
  const found = { name, kind: kind.kind, length: bytes.length };
  try {
    const facts = kind.examine(bytes, text ?? '', makerKey);
    const problem = kind.kind === LABEL && makerKey !== undefined ? notOfMaker(facts) : undefined;
    return { ...found, facts, ...(problem !== undefined && { problem }) };
  } catch (error) {
    return { ...found, facts: {}, problem: describeProblem(error) };
  }
}

/** A Failure as one line. Any other error is a programming mistake and is thrown again. */
export function describeProblem(error: unknown): string {
  if (error instanceof Failure) return `${error.message} [${error.code}]`;
  throw error;
}

function scalars(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: bytes.length / SCALAR_LENGTH }, (_, i) =>
    bytes.subarray(i * SCALAR_LENGTH, (i + 1) * SCALAR_LENGTH),
  );
}
