declare const algorithmsBrand: unique symbol;
declare const cookieKeyBrand: unique symbol;
declare const credentialsBrand: unique symbol;

/** What a handshake computes with, ready for use; freed when collected. */
export interface XttAlgorithms {
  readonly [algorithmsBrand]: true;
}

/** A key of cookies and an X25519 secret; wiped when forgotten or collected. */
export interface XttCookieKey {
  readonly [cookieKeyBrand]: true;
}

/** Certificates of a server with their keys; wiped when collected. */
export interface XttCredentials {
  readonly [credentialsBrand]: true;
}

/** Why an Identity_ClientAttest is refused; a negative number is the suite of its ClientInit, which is another one. */
export const XTT_REFUSAL = {
  badCookie: 1,
  expiredCookie: 2,
  spentCookie: 3,
  notAuthentic: 4,
  badLongtermSignature: 5,
} as const;

/** Where the parts of what `xttOpen` returns begin, in bytes: the IdentityClaim as it was sealed, what its DAA signature is over, the server's keys. */
export const XTT_OPENED = { claim: 0, daaMessage: 598, keys: 662, length: 706 } as const;

/**
 * The server's side of the handshake, byte for byte as protocol/xtt does it. A bad argument is a TypeError, also a key
 * that was forgotten; an Error means that OpenSSL has no memory.
 */
export interface XttFace {
  xttAlgorithms(): XttAlgorithms;
  /** Takes copies of a ChaCha20-Poly1305 key and an X25519 secret, 32 bytes each. */
  xttCookieKey(secrets: Uint8Array): XttCookieKey;
  /** Wipes it; allowed any number of times. */
  xttForgetKey(key: XttCookieKey): void;
  /** `hints` n times 8 bytes, `certificates` n times 169, `secrets` n times 32; the first is for clients without a hint. @throws TypeError unless all secrets are in 1..n-1 */
  xttCredentials(hints: Uint8Array, certificates: Uint8Array, secrets: Uint8Array): XttCredentials;
  /**
   * ServerInitAndAttest, 417 bytes, for each of some ClientInits whose headers were checked, one behind the other; 417 zeros for a share of small
   * order. Answering several at once costs less where the processor computes in lanes. `tickets`: id, serial number, salt, and expiry of the cookie in
   * milliseconds since its key was made, 32 bits each in the order of this processor.
   */
  xttAnswer(
    algorithms: XttAlgorithms,
    key: XttCookieKey,
    credentials: XttCredentials,
    tickets: Uint8Array,
    clientInits: Uint8Array,
  ): Uint8Array;
  /**
   * Opens an Identity_ClientAttest whose header was checked, and spends its cookie: sets its bit in `spent`. `age`: of the key, milliseconds. Returns
   * {@link XTT_OPENED}, or why not ({@link XTT_REFUSAL}).
   */
  xttOpen(
    algorithms: XttAlgorithms,
    key: XttCookieKey,
    credentials: XttCredentials,
    former: XttCredentials | undefined,
    age: number,
    spent: Uint8Array,
    clientAttest: Uint8Array,
  ): Uint8Array | number;
  /** Identity_ServerFinished, 103 bytes; wipes the keys in what `xttOpen` returned. */
  xttFinish(algorithms: XttAlgorithms, suite: number, opened: Uint8Array, identity: Uint8Array): Uint8Array;
}
