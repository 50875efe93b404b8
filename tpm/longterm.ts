import { addon } from '../native/index.ts';
import { concat } from '../protocol/bytes.ts';
import type { EcdsaSigner } from '../protocol/crypto/primitives.ts';
import { sha256 } from '../protocol/crypto/sha256.ts';
import { Failure, isFailure } from '../protocol/failure.ts';
import { encodeTss2, parseTss2, type Tss2Key } from '../protocol/identity/key-file.ts';
import { failureOf, isAboutArgument } from './codes.ts';
import { objectOf, type Tpm, type TpmObject } from './context.ts';
import { COMMON_PARENT } from './handles.ts';
import { findObject, flush, isCurrent, release } from './objects.ts';
import { isExemptFromLockout, type Parent, prepareOwnParent, prepareParent } from './parent.ts';
import {
  ALGORITHM,
  CURVE,
  encodeScheme,
  padded,
  parsePublic,
  parseSignature,
  uncompressed,
} from './structures.ts';
import { LONGTERM_TEMPLATE } from './templates.ts';
import { contentOf, malformed } from './wire.ts';

/** A longterm key (ECDSA P-256) that is loaded in the TPM. */
export interface LongtermKey {
  /** 65 bytes uncompressed. */
  readonly publicKey: Uint8Array;
  /** r ‖ s, 64 bytes, over SHA-256(message). Loads the key again if the TPM had to be opened anew. */
  readonly sign: EcdsaSigner;
  /**
   * PEM text for `tls.connect({ key })` in this process; it names the key, it does not hold it. Valid until close() or
   * until the TPM is lost. OpenSSL blocks while the TPM signs: do the handshake in a thread that may wait.
   * @throws Failure `tpm.lost` if the TPM was lost meanwhile; the key is then being loaded again: try again
   */
  tlsKey(): string;
  /** Flushes the key. Established TLS connections stay; no new handshake can sign. */
  close(): Promise<void>;
}

const SCHEME = encodeScheme({ algorithm: ALGORITHM.ecdsa, hash: ALGORITHM.sha256 });

/**
 * Makes a new key under the parent (made, too, if need be) and returns it as a "TSS2 PRIVATE KEY" PEM, which only this
 * TPM can load. Nothing stays loaded. @throws Failure `tpm.hierarchy-locked`, `tpm.occupied`
 */
export async function createLongterm(
  tpm: Tpm,
  options: { readonly ownerAuth?: Uint8Array } = {},
): Promise<{ readonly pem: string; readonly publicKey: Uint8Array }> {
  const parent = await prepareParent(tpm, options.ownerAuth);
  try {
    return await createUnder(tpm, parent);
  } catch (error) {
    // The storage key of another program may have a password. Then ours is made at a handle of its own.
    if (!isFailure(error, 'tpm.not-authorised') || parent.handle !== COMMON_PARENT) throw error;
    return createUnder(tpm, await prepareOwnParent(tpm, options.ownerAuth));
  }
}

async function createUnder(
  tpm: Tpm,
  parent: Parent,
): Promise<{ readonly pem: string; readonly publicKey: Uint8Array }> {
  try {
    const answer = await tpm.call('create', [0, parent.object], [LONGTERM_TEMPLATE]);
    const [privateBlob, publicBlob] = [answer.buffers[0]!, answer.buffers[1]!];
    return { pem: encodeTss2(parent.handle, publicBlob, privateBlob), publicKey: publicKeyOf(publicBlob) };
  } finally {
    await keepParent(tpm, parent);
  }
}

/** The parent last used in each TPM: the key that was just made under it is loaded next. */
const parents = new WeakMap<Tpm, Parent>();

async function keepParent(tpm: Tpm, parent: Parent): Promise<void> {
  const kept = parents.get(tpm);
  parents.set(tpm, parent);
  // ESYS may return the same number again for an object that it already knows.
  if (kept !== undefined && kept.object.number !== parent.object.number) await release(tpm, kept.object);
}

/** The parent at a handle; the TPM is asked for it unless it was used last. */
async function parentAt(tpm: Tpm, handle: number): Promise<Parent | undefined> {
  const kept = parents.get(tpm);
  if (kept?.handle === handle && isCurrent(tpm, kept.object)) return kept;
  const found = await findObject(tpm, handle);
  return found && { handle, object: found.object };
}

/**
 * Loads a key from its PEM and keeps it loaded until close().
 * @throws Failure `tpm.foreign-key` if it belongs to another TPM or to this one before it was cleared;
 *   `identity.bad-tss2-file` if the file is damaged
 */
export async function loadLongterm(tpm: Tpm, pem: string): Promise<LongtermKey> {
  const blob = parseTss2(pem);
  const publicKey = publicKeyOfFile(blob);
  const key = new LoadedKey(tpm, blob, publicKey);
  await key.load();
  return key;
}

class LoadedKey implements LongtermKey {
  readonly publicKey: Uint8Array;
  readonly sign: EcdsaSigner;
  readonly #tpm: Tpm;
  readonly #blob: Tss2Key;
  #object: TpmObject | undefined;
  #tls: { readonly pem: string; forget(): void } | undefined;
  #loading: Promise<TpmObject> | undefined;
  #closed = false;

  constructor(tpm: Tpm, blob: Tss2Key, publicKey: Uint8Array) {
    this.#tpm = tpm;
    this.#blob = blob;
    this.publicKey = publicKey;
    this.sign = (message) => this.#sign(message);
  }

  async load(): Promise<void> {
    await this.#loaded();
  }

  tlsKey(): string {
    const object = this.#object;
    if (object === undefined || !isCurrent(this.#tpm, object)) {
      // If this fails, the next attempt reports it.
      this.#loaded().catch(() => {});
      throw new Failure(
        'tpm.lost',
        'retry',
        'the connection to the TPM was lost; the longterm key is being loaded again',
      );
    }
    this.#tls ??= this.#tpm.tlsKey(object, this.publicKey);
    return this.#tls.pem;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#forgetTls();
    await this.#loading?.catch(() => {});
    const object = this.#object;
    this.#object = undefined;
    if (object !== undefined) await flush(this.#tpm, object);
  }

  #forgetTls(): void {
    this.#tls?.forget();
    this.#tls = undefined;
  }

  /** The key's object, loaded again if its connection is gone; concurrent calls load it once. */
  async #loaded(): Promise<TpmObject> {
    if (this.#closed) throw new Error('the longterm key is closed');
    if (this.#object !== undefined && isCurrent(this.#tpm, this.#object)) return this.#object;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #load(): Promise<TpmObject> {
    this.#forgetTls();
    this.#object = await loadBlob(this.#tpm, this.#blob);
    return this.#object;
  }

  async #sign(message: Uint8Array): Promise<Uint8Array> {
    const object = await this.#loaded();
    const answer = await this.#tpm.call('sign', [0, object], [sha256(message), SCHEME]);
    const signature = parseSignature(answer.buffers[0]!);
    if (signature.algorithm !== ALGORITHM.ecdsa)
      throw malformed('signature', `algorithm 0x${signature.algorithm.toString(16)}`);
    return concat(padded(signature.r), padded(signature.s));
  }
}

async function loadBlob(tpm: Tpm, blob: Tss2Key): Promise<TpmObject> {
  const parent = await parentAt(tpm, blob.parent);
  if (parent === undefined) throw foreignKey(`no parent key at 0x${blob.parent.toString(16)}`);
  try {
    const answer = await tpm.ask('load', [0, parent.object], [blob.privateBlob, blob.publicBlob]);
    if (answer.rc === 0) return objectOf(answer);
    const failure = failureOf(answer.rc, 'load', addon().tssDecode(answer.rc));
    if (!isAboutArgument(answer.rc)) throw failure;
    throw foreignKey('its parent key cannot decrypt it', failure);
  } finally {
    await keepParent(tpm, parent);
  }
}

function publicKeyOfFile(blob: Tss2Key): Uint8Array {
  try {
    return publicKeyOf(blob.publicBlob);
  } catch (cause) {
    throw foreignKey('not an ECDSA key on P-256', cause);
  }
}

/** The public key in a "TSS2 PRIVATE KEY" PEM, 65 bytes; asks no TPM. @throws Failure `identity.bad-tss2-file`, `tpm.foreign-key` */
export function publicKeyOfPem(pem: string): Uint8Array {
  return publicKeyOfFile(parseTss2(pem));
}

/** False if a power cut after the key's use counts as a failed password: a few of them lock it. Asks no TPM. @throws as `publicKeyOfPem` */
export function isExemptPem(pem: string): boolean {
  return isExemptFromLockout(parsePublic(contentOf('public area', parseTss2(pem).publicBlob)));
}

function publicKeyOf(publicBlob: Uint8Array): Uint8Array {
  const { ecc } = parsePublic(contentOf('public area', publicBlob));
  if (ecc === undefined || ecc.curve !== CURVE.p256) throw malformed('longterm key', 'not on P-256');
  return uncompressed(ecc.x, ecc.y);
}

function foreignKey(why: string, cause?: unknown): Failure {
  return new Failure('tpm.foreign-key', 'operator', `the longterm key does not load in this TPM: ${why}`, {
    action:
      'The TPM was replaced or cleared, or the state comes from another machine. Restore the right TPM or state, or let the device provision again (enf-agent forget --yes).',
    cause,
  });
}
