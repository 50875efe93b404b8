import { ascii, concat, u16, u32, wipe } from '../bytes.ts';
import type { Suite } from '../crypto/suite.ts';

/** Transcript hashes and keys of a handshake (xtt-protocol.md §7, §8); both ends compute the same. */

/** HX(x) = H(u16(len(x)) ‖ x), 64 bytes. */
function prefixedHash(suite: Suite, ...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const prefix = PREFIXES.get(length) ?? u16(length);
  PREFIXES.set(length, prefix);
  return suite.hash(prefix, ...parts);
}

/** Lengths as bytes: messages have few of them, and a new array costs as much as hashing it. */
const PREFIXES = new Map<number, Uint8Array>();

/** inner_hash: ClientInit (70 bytes) and ServerInitAndAttest up to the cookie (its first 38 bytes). */
export function innerHash(suite: Suite, clientInit: Uint8Array, serverClear: Uint8Array): Uint8Array {
  return prefixedHash(suite, clientInit, serverClear.subarray(0, 38));
}

/** HandshakeKeyHash: what the keys are bound to. */
export function handshakeKeyHash(suite: Suite, inner: Uint8Array, cookie: Uint8Array): Uint8Array {
  return prefixedHash(suite, inner, cookie);
}

/** ServerSigHash: everything the server sent before its signature. `serverClear` is 168 bytes. */
export function serverSignatureHash(
  suite: Suite,
  clientInit: Uint8Array,
  serverClear: Uint8Array,
  certificate: Uint8Array,
): Uint8Array {
  return prefixedHash(suite, clientInit, serverClear, certificate);
}

/** What both client signatures are made over. */
export interface ClientTranscript {
  /** inner_hash, 64 bytes */
  readonly inner: Uint8Array;
  readonly cookie: Uint8Array;
  readonly certificate: Uint8Array;
  readonly serverSignature: Uint8Array;
  /** The clear part of Identity_ClientAttest, 136 bytes. */
  readonly clientClear: Uint8Array;
}

/** ClientLongtermSigHash and ClientDAASigHash, 64 bytes each. */
export function clientSignatureHashes(
  suite: Suite,
  transcript: ClientTranscript,
): { readonly longterm: Uint8Array; readonly daa: Uint8Array } {
  return {
    longterm: truncatedTranscriptHash(suite, transcript, 314),
    daa: truncatedTranscriptHash(suite, transcript, 378),
  };
}

/**
 * The defect of the reference implementation, kept because it is what is on the wire (§7.1). The draft means to hash
 * inner_hash ‖ cookie ‖ certificate ‖ server signature ‖ ClientAttest up to the signature. The C code takes the size of
 * one byte for the size of the cookie: the certificate overwrites all of the cookie but its first byte, and the total
 * length comes out 129 too small, which cuts the tail off. So neither hash contains the longterm key, the GID or the
 * requested identity: they are bound by the authenticated channel alone, and a stored DAA signature proves nothing
 * about them.
 */
function truncatedTranscriptHash(suite: Suite, transcript: ClientTranscript, length: number): Uint8Array {
  const { inner, cookie, certificate, serverSignature, clientClear } = transcript;
  const written = concat(inner, cookie.subarray(0, 1), certificate, serverSignature, clientClear);
  return prefixedHash(suite, written.subarray(0, length));
}

/** One direction's key (32 bytes) and IV (12 bytes). */
export interface DirectionKeys {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

/** `client` protects what the client sends, `server` what the server sends. */
export interface HandshakeKeys {
  readonly client: DirectionKeys;
  readonly server: DirectionKeys;
}

/**
 * The handshake keys from our X25519 secret, the peer's share and HandshakeKeyHash. Wipes the intermediate secrets;
 * `dhSecret` stays the caller's to wipe. @throws Failure `xtt.weak-share`
 */
export function deriveKeys(
  suite: Suite,
  dhSecret: Uint8Array,
  peerShare: Uint8Array,
  keyHash: Uint8Array,
): HandshakeKeys {
  return expandKeys(suite, suite.exchange(dhSecret, peerShare), keyHash);
}

const LABELS = ['client key', 'client iv', 'server key', 'server iv'].map((each) =>
  ascii(`XTT handshake ${each}`),
);
const LENGTHS = Uint8Array.of(32, 12, 32, 12);
const ZERO_KEY = new Uint8Array(64);

/** The handshake keys from the X25519 shared secret, which is wiped, and HandshakeKeyHash. */
export function expandKeys(suite: Suite, shared: Uint8Array, keyHash: Uint8Array): HandshakeKeys {
  const secret = suite.prf(64, ZERO_KEY, shared);
  const keys = suite.prfEach(secret, keyHash, LENGTHS, ...LABELS);
  wipe(shared, secret);
  return {
    client: { key: keys.subarray(0, 32), iv: keys.subarray(32, 44) },
    server: { key: keys.subarray(44, 76), iv: keys.subarray(76, 88) },
  };
}

/** Overwrites one direction's key and IV. */
export function wipeKeys(keys: DirectionKeys): void {
  wipe(keys.key, keys.iv);
}

/** Seals the `sequence`-th protected message of a direction, counted from 0. */
export function sealMessage(
  suite: Suite,
  keys: DirectionKeys,
  sequence: number,
  clear: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  return concat(clear, suite.seal(keys.key, messageNonce(keys.iv, sequence), clear, plaintext));
}

/** Opens the `sequence`-th protected message of a direction. @throws Failure `xtt.not-authentic` */
export function openMessage(
  suite: Suite,
  keys: DirectionKeys,
  sequence: number,
  envelope: { readonly clear: Uint8Array; readonly sealed: Uint8Array },
): Uint8Array {
  return suite.open(keys.key, messageNonce(keys.iv, sequence), envelope.clear, envelope.sealed);
}

/** iv XOR (8 zero bytes ‖ u32(sequence)) */
function messageNonce(iv: Uint8Array, sequence: number): Uint8Array {
  const nonce = new Uint8Array(iv);
  u32(sequence).forEach((byte, i) => {
    nonce[8 + i]! ^= byte;
  });
  return nonce;
}
