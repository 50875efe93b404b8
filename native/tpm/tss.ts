declare const brand: unique symbol;

/** A TPM connection with its own thread; opaque. */
export interface TssContext {
  readonly [brand]: 'TssContext';
}

/** What came back. `rc` 0 is success; else a TSS2 return code (layer in bits 16–23, 0 = the TPM itself). */
export interface TssAnswer {
  readonly rc: number;
  readonly numbers: readonly number[];
  readonly buffers: readonly Uint8Array[];
}

/**
 * Every command: numbers ; buffers → numbers ; buffers. Objects are ESYS numbers, valid within their context only; sizes
 * are bytes; structures are in TPM wire format. `session` is an ESYS session, or 0 for the empty password.
 *
 * | command | takes | gives |
 * |---|---|---|
 * | `open` | ; tcti (ASCII) | on failure of `device:` an errno ; |
 * | `startup` | ; | ; |
 * | `capability` | capability, property, count ; | more follows (0/1) ; TPMS_CAPABILITY_DATA |
 * | `testParameters` | ; TPMT_PUBLIC_PARMS | ; |
 * | `createPrimary` | session, hierarchy ; TPM2B_PUBLIC | object ; TPM2B_PUBLIC |
 * | `create` | session, parent ; TPM2B_PUBLIC | ; TPM2B_PRIVATE, TPM2B_PUBLIC |
 * | `seal` | session, parent, session that encrypts ; TPM2B_PUBLIC, password, secret of at most 128 | ; TPM2B_PRIVATE, TPM2B_PUBLIC |
 * | `unseal` | policy session, object ; | ; secret, in memory that the garbage collector does not copy |
 * | `load` | session, parent ; TPM2B_PRIVATE, TPM2B_PUBLIC | object ; |
 * | `commit` | session, key ; P1 TPM2B_ECC_POINT, s2, y2 | counter ; K, L, E as TPM2B_ECC_POINT |
 * | `sign` | session, key ; digest, TPMT_SIG_SCHEME | ; TPMT_SIGNATURE |
 * | `evictControl` | session, hierarchy, object, persistent handle ; | object ; |
 * | `lookup` | persistent handle or NV index ; | object ; TPM2B_PUBLIC or TPM2B_NV_PUBLIC |
 * | `release` | object ; | ; forgets the ESYS number, the TPM is not asked |
 * | `flush` | object ; | ; |
 * | `flushHandle` | TPM handle ; | ; |
 * | `setAuth` | object ; password | ; |
 * | `startSession` | ; | HMAC session ; |
 * | `startPolicy` | ; | policy session ; |
 * | `startSalted` | salt key, TPM2_SE, what it encrypts (TPMA_SESSION) ; | session ; |
 * | `policyCommand` | policy session, command code ; | ; |
 * | `policyAuthValue` | policy session ; | ; |
 * | `policyPcr` | policy session ; TPML_PCR_SELECTION | ; |
 * | `policyDigest` | policy session ; | ; digest |
 * | `policySecret` | session, entity, policy session ; | ; |
 * | `activateCredential` | session, key, endorsement key, policy session ; TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET | ; secret |
 * | `nvDefine` | session, hierarchy ; TPM2B_NV_PUBLIC | index ; |
 * | `nvUndefine` | session, hierarchy, index ; | ; |
 * | `nvWrite` | session, hierarchy, index, offset ; data | ; |
 * | `nvRead` | session, index, size, offset ; | ; data |
 */
export type TssCommand =
  | 'open'
  | 'startup'
  | 'capability'
  | 'testParameters'
  | 'createPrimary'
  | 'create'
  | 'seal'
  | 'unseal'
  | 'load'
  | 'commit'
  | 'sign'
  | 'evictControl'
  | 'lookup'
  | 'release'
  | 'flush'
  | 'flushHandle'
  | 'setAuth'
  | 'startSession'
  | 'startPolicy'
  | 'startSalted'
  | 'policyCommand'
  | 'policyAuthValue'
  | 'policyPcr'
  | 'policyDigest'
  | 'policySecret'
  | 'activateCredential'
  | 'nvDefine'
  | 'nvUndefine'
  | 'nvWrite'
  | 'nvRead'
  | 'nvReadKnown';

/** The TPM part of the addon. A wrong argument throws TypeError; the TPM's return code is in the answer's `rc`. */
export interface TssFace {
  /** A new context with its thread; `open` connects it. tssStop releases it. */
  tssStart(): TssContext;
  /** Queues a command. Always resolves, also after tssStop (then with rc 0x70007). Keeps the event loop alive. */
  tssCall(
    context: TssContext,
    command: TssCommand,
    numbers: readonly number[],
    buffers: readonly Uint8Array[],
  ): Promise<TssAnswer>;
  /**
   * Cancels what is queued, disconnects and ends the thread; resolves when that is done. If the TPM never answers that
   * may be never: the promise does not keep the event loop alive.
   */
  tssStop(context: TssContext): Promise<TssAnswer>;
  /** False once stopped or after the connection failed (also inside OpenSSL, where JavaScript does not see it). */
  tssAlive(context: TssContext): boolean;
  /** The TSS libraries' text for a return code. */
  tssDecode(rc: number): string;
  /**
   * Registers a loaded ECDSA P-256 key with OpenSSL: `pem` works as `key` of tls.connect() in this process, also in
   * Workers, until tssTlsForget. `point` is 65 bytes; a signature that takes longer than `timeoutMs` fails the handshake.
   * OpenSSL signs synchronously: the thread that does the handshake waits for the TPM. For TLS and signing only: Node
   * aborts when such a key is exported as JWK.
   * @throws Error `EPROVIDER` if this process's OpenSSL does not take providers
   */
  tssTlsKey(
    context: TssContext,
    object: number,
    point: Uint8Array,
    timeoutMs: number,
  ): { readonly id: number; readonly pem: string };
  /** The key signs no more, its PEM names nothing any longer. Unknown ids are ignored. */
  tssTlsForget(id: number): void;
}
