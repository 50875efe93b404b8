import { createPublicKey, type KeyObject } from 'node:crypto';
import { equal, fromHex, toHex } from '../../protocol/bytes.ts';
import { isPublicKey } from '../../protocol/crypto/ecdsa.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { decodeBase64, encodeBase64 } from '../../protocol/identity/base64.ts';
import { parseRootSet, type RootSet, signRootSet } from '../../protocol/identity/root-update.ts';
import { rootName, toPem } from '../../protocol/identity/roots.ts';
import { makeServerCertificate, parseRootCertificate } from '../../protocol/xtt/certificate.ts';
import { certificateIn } from './authority.ts';
import { type RootKeys, spkiOf } from './keys.ts';
import { crossCertificate, fingerprint, ROUTER_NAME, routerCertificate } from './x509.ts';

/*
 * Whatever the roots' keys sign goes through a request and an answer, whether the keys lie in the data folder or on a machine without
 * network. Neither holds a secret: the keys that get a certificate stay where they were made.
 */

/** What is to be signed by root `root`, whose XTT root certificate has the id `rootId`. Bytes are hexadecimal, keys of TLS are SubjectPublicKeyInfo in base64. */
export type SigningRequest = {
  readonly format: typeof REQUEST;
  readonly root: number;
  readonly rootId: string;
} & (
  | { readonly kind: 'xtt-server'; readonly publicKey: string }
  /** `until`: ISO 8601; without it the certificate does not end. */
  | { readonly kind: 'router'; readonly publicKey: string; readonly until?: string }
  /** `set`: what `encodeRootSet` gives; `publicKey`: of the next TLS root, if there is a new one. */
  | { readonly kind: 'roots'; readonly set: string; readonly publicKey?: string }
);

/** What was signed: a certificate (hex for XTT, PEM for TLS), or a root update (hex) and perhaps the next TLS root's cross certificate (PEM). */
export type SigningAnswer = { readonly format: typeof ANSWER; readonly root: number } & (
  | { readonly kind: 'xtt-server' | 'router'; readonly certificate: string }
  | { readonly kind: 'roots'; readonly update: string; readonly cross?: string }
);

export const REQUEST = 'enf-signing-request-1';
export const ANSWER = 'enf-signing-answer-1';
const LONGEST = 16_384;
const ROOT_ID_LENGTH = 16;
/** Year 9999 is the last one of X.509. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

/** Signs what is asked for; of roots only a set that goes on with the one that signs. @throws Failure `signing.bad-text` */
export async function sign(request: SigningRequest, keys: RootKeys): Promise<SigningAnswer> {
  const { root } = request;
  const tlsRoot = { name: rootName(root), key: keys.tls };
  if (request.kind === 'xtt-server') {
    const [rootId, publicKey] = [rootIdIn(request), hex(request.publicKey)];
    if (!isPublicKey(publicKey)) throw badText('an uncompressed public key of P-256 as "publicKey"');
    const certificate = await makeServerCertificate({ rootId, publicKey }, keys.signXtt);
    return { format: ANSWER, root, kind: 'xtt-server', certificate: toHex(certificate) };
  }
  if (request.kind === 'router') {
    const { publicKey, until } = request;
    const router = { name: ROUTER_NAME, key: publicKeyIn(publicKey) };
    const certificate = routerCertificate(
      router,
      tlsRoot,
      until === undefined ? undefined : Date.parse(until),
    );
    return { format: ANSWER, root, kind: 'router', certificate };
  }
  const { publicKey } = request;
  requireOwn(request);
  const update = toHex(await signRootSet(hex(request.set), keys.signXtt));
  if (publicKey === undefined) return { format: ANSWER, root, kind: 'roots', update };
  const next = { name: rootName(root + 1), key: publicKeyIn(publicKey) };
  return { format: ANSWER, root, kind: 'roots', update, cross: crossCertificate(next, tlsRoot) };
}

/** What somebody who carries a request or signs it should see of it. */
export interface Asked {
  readonly kind: SigningRequest['kind'];
  readonly root: number;
  /** ISO 8601; null: it does not end. */
  readonly until: string | null;
  /** What devices will trust; null unless roots are asked for. */
  readonly roots: RootsAsked | null;
}

export interface RootsAsked {
  readonly version: number;
  /** SHA-256 of each certificate, 64 hex digits. */
  readonly fingerprints: readonly { readonly xttRoot: string; readonly tlsRoot: string }[];
}

/** @throws Failure `signing.bad-text` */
export function asked(request: SigningRequest): Asked {
  const { kind, root } = request;
  const until = request.kind === 'router' ? (request.until ?? null) : null;
  if (request.kind !== 'roots') return { kind, root, until, roots: null };
  const { version, roots } = rootsIn(request);
  const fingerprints = roots.map(({ xttRoot, tlsRoot }) => ({
    xttRoot: fingerprint(xttRoot),
    tlsRoot: fingerprint(tlsRoot),
  }));
  return { kind, root, until, roots: { version, fingerprints } };
}

type RootsRequest = Extract<SigningRequest, { readonly kind: 'roots' }>;

/** The roots that a request asks for. @throws Failure `signing.bad-text` */
function rootsIn({ set }: RootsRequest): RootSet {
  try {
    return parseRootSet(hex(set));
  } catch (error) {
    throw isFailure(error, 'roots.bad-update') ? badText('the roots of a fabric as "set"') : error;
  }
}

/** Whoever signs says what devices trust instead of it: itself is still among them, and the TLS root that it signs is the newest. @throws Failure `signing.bad-text` */
function requireOwn(request: RootsRequest): void {
  const { roots } = rootsIn(request);
  const own = rootIdIn(request);
  if (!roots.some(({ xttRoot }) => equal(parseRootCertificate(xttRoot).id, own)))
    throw badText('roots with the one that signs among them');
  if (request.publicKey === undefined) return;
  const spki = spkiOf(publicKeyIn(request.publicKey));
  if (!isFor(roots.at(-1)!.tlsRoot, spki)) throw badText('the key of the newest TLS root as "publicKey"');
}

function isFor(tlsRoot: Uint8Array, spki: Uint8Array): boolean {
  try {
    return equal(spkiOf(certificateIn(toPem(tlsRoot), 'TLS root').publicKey), spki);
  } catch {
    return false;
  }
}

function rootIdIn({ rootId }: SigningRequest): Uint8Array {
  const id = hex(rootId);
  if (id.length !== ROOT_ID_LENGTH) throw badText(`${ROOT_ID_LENGTH} bytes as "rootId"`);
  return id;
}

/** One line of JSON. */
export const encodeSigning = (value: SigningRequest | SigningAnswer): string => JSON.stringify(value);

/** The bytes of a public key as a request has them. */
export const encodePublicKey = (spki: Uint8Array): string => encodeBase64(spki);

/** @throws Failure `signing.bad-text` */
export const parseRequest = (text: string): SigningRequest =>
  parse(text, REQUEST, {
    'xtt-server': ['rootId', 'publicKey'],
    router: ['rootId', 'publicKey'],
    roots: ['rootId', 'set'],
  }) as SigningRequest;

/** @throws Failure `signing.bad-text` */
export const parseAnswer = (text: string): SigningAnswer =>
  parse(text, ANSWER, {
    'xtt-server': ['certificate'],
    router: ['certificate'],
    roots: ['update'],
  }) as SigningAnswer;

const OPTIONAL = ['until', 'publicKey', 'cross'];

function parse(
  text: string,
  format: string,
  kinds: Readonly<Record<string, readonly string[]>>,
): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = text.length > LONGEST ? undefined : JSON.parse(text);
  } catch {
    // Falls through: what it is not, is said below.
  }
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const needed =
    typeof fields.kind === 'string' && Object.hasOwn(kinds, fields.kind) ? kinds[fields.kind] : undefined;
  const others = [...(needed ?? []), ...OPTIONAL.filter((name) => name in fields)];
  const whole = Number.isInteger(fields.root) && (fields.root as number) > 0;
  if (fields.format !== format || needed === undefined || !whole) throw badText(`a text of format ${format}`);
  for (const name of others) if (typeof fields[name] !== 'string') throw badText(`a text as "${name}"`);
  if ('until' in fields && !(Date.parse(fields.until as string) <= LAST_MS))
    throw badText('a time until 9999 as "until"');
  return fields;
}

/** @throws Failure `signing.bad-text` */
export function hex(text: string): Uint8Array {
  try {
    return fromHex(text);
  } catch {
    throw badText('bytes in hexadecimal');
  }
}

function publicKeyIn(base64: string): KeyObject {
  const bytes = decodeBase64(base64);
  try {
    const key = createPublicKey({ key: Buffer.from(bytes ?? []), format: 'der', type: 'spki' });
    if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
  } catch {
    // Falls through.
  }
  throw badText('a public key of P-256 in base64');
}

const badText = (expected: string): Failure =>
  new Failure('signing.bad-text', 'operator', `request or answer: expected ${expected}, got something else`, {
    action:
      'Take the file as "enf-fabric certificate rotate --request", "root rotate --request" or "root sign" wrote it.',
  });
