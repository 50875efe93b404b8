import { equal, wipe } from '../bytes.ts';
import type { Primitives } from '../crypto/primitives.ts';
import { type Suite, suite as suiteOf } from '../crypto/suite.ts';
import { Failure } from '../failure.ts';
import {
  decodeClientAttest,
  decodeClientInit,
  decodeIdentityClaim,
  encodeAssigned,
  encodeClientAttest,
  encodeServerAttest,
  encodeServerFinished,
  encodeServerInit,
  FIELD_LENGTH,
} from './message.ts';
import {
  clientSignatureHashes,
  expandKeys,
  type HandshakeKeys,
  handshakeKeyHash,
  innerHash,
  openMessage,
  sealMessage,
  serverSignatureHash,
  wipeKeys,
} from './schedule.ts';

/**
 * The server's side of the handshake (xtt-protocol.md §10.3): greet, answer, openClaim, assign. Each step returns what
 * the next one needs, so that a step out of order does not compile. A value is used once: each step wipes the secrets
 * that no later step needs, also when it fails. On any Failure the caller sends ERROR_MESSAGE and closes.
 */

export interface ServerConfig {
  /** 169 bytes, see certificate.ts */
  readonly certificate: Uint8Array;
}

/** A client said hello; the server's signature over `serverMessage` is to be made. */
export interface Greeting {
  readonly suite: Suite;
  readonly keys: HandshakeKeys;
  readonly inner: Uint8Array;
  readonly cookie: Uint8Array;
  readonly certificate: Uint8Array;
  /** The clear part of the coming ServerInitAndAttest. */
  readonly clear: Uint8Array;
  /** 64 bytes to be signed with the key in the server certificate. */
  readonly serverMessage: Uint8Array;
}

/** ServerInitAndAttest is sent; Identity_ClientAttest comes next. */
export interface AwaitingClient {
  readonly suite: Suite;
  readonly keys: HandshakeKeys;
  readonly cookie: Uint8Array;
  readonly longtermMessage: Uint8Array;
  readonly daaMessage: Uint8Array;
}

/** What the client claims; its longterm signature holds, its DAA signature is still to be verified. */
export interface Claim {
  readonly suite: Suite;
  readonly keys: HandshakeKeys;
  /** 32 bytes: which group and basename to verify with. */
  readonly gid: Uint8Array;
  /** 65 bytes, the last of the DAA signature: one per chip and basename. */
  readonly pseudonym: Uint8Array;
  /** 16 bytes; all zero: the server chooses. Bound by the channel alone, not by a signature (§7.1). */
  readonly requestedIdentity: Uint8Array;
  /** 65 bytes */
  readonly longtermPublicKey: Uint8Array;
  /** 421 bytes, to be verified over `daaMessage` with the group's basename before anything is granted. */
  readonly daaSignature: Uint8Array;
  /** 64 bytes */
  readonly daaMessage: Uint8Array;
}

/** The server's side of the key exchange: a fresh secret, or what a cookie jar made of its own one. All 32 bytes. */
export type Exchange =
  | { readonly dhSecret: Uint8Array }
  | { readonly share: Uint8Array; readonly shared: Uint8Array };

/**
 * Receives ClientInit. `state` is the key exchange, whose secrets are taken over and wiped here, and a fresh cookie,
 * 130 bytes; a cookie jar gives both.
 * @throws Failure as `checkClearHeader`, `xtt.weak-share`
 */
export function greet(
  p: Primitives,
  config: ServerConfig,
  clientInit: Uint8Array,
  state: Exchange & { readonly cookie: Uint8Array },
): Greeting {
  try {
    const { suite: spec, share: peerShare } = decodeClientInit(clientInit);
    const suite = suiteOf(p, spec);
    const { share, shared } =
      'shared' in state
        ? { share: state.share, shared: suite.strong(state.shared) }
        : { share: suite.share(state.dhSecret), shared: suite.exchange(state.dhSecret, peerShare) };
    const cookie = new Uint8Array(state.cookie);
    const clear = encodeServerInit({ suite: spec, share, cookie });
    const inner = innerHash(suite, clientInit, clear);
    return {
      suite,
      keys: expandKeys(suite, shared, handshakeKeyHash(suite, inner, cookie)),
      inner,
      cookie,
      certificate: config.certificate,
      clear,
      serverMessage: serverSignatureHash(suite, clientInit, clear, config.certificate),
    };
  } finally {
    wipe('shared' in state ? state.shared : state.dhSecret);
  }
}

/** Answers with ServerInitAndAttest, 417 bytes; `serverSignature` is r ‖ s over `serverMessage`, 64 bytes. */
export function answer(
  greeting: Greeting,
  serverSignature: Uint8Array,
): { readonly send: Uint8Array; readonly next: AwaitingClient } {
  const { suite, keys, certificate, clear } = greeting;
  const plaintext = encodeServerAttest({ certificate, signature: serverSignature });
  return {
    send: sealMessage(suite, keys.server, 0, clear, plaintext),
    next: awaitClient(greeting, serverSignature),
  };
}

/** What follows that answer, for a server that has given it already and forgotten it. */
export function awaitClient(greeting: Greeting, serverSignature: Uint8Array): AwaitingClient {
  const { suite, keys, inner, cookie, certificate } = greeting;
  const { longterm, daa } = clientSignatureHashes(suite, {
    inner,
    cookie,
    certificate,
    serverSignature,
    clientClear: encodeClientAttest({ suite: suite.spec, cookie }),
  });
  return { suite, keys, cookie, longtermMessage: longterm, daaMessage: daa };
}

/**
 * Opens Identity_ClientAttest: header, cookie, AEAD and longterm signature are checked. What it returns is copied.
 * @throws Failure as `checkClearHeader`, `xtt.bad-cookie`, `xtt.not-authentic`, `xtt.bad-longterm-signature`
 */
export function openClaim(next: AwaitingClient, clientAttest: Uint8Array): Claim {
  const { suite, keys, cookie, longtermMessage, daaMessage } = next;
  try {
    const envelope = decodeClientAttest(clientAttest, suite.spec);
    if (!equal(envelope.cookie, cookie)) {
      throw new Failure(
        'xtt.bad-cookie',
        'retry',
        'the client returned a different cookie than it was given',
        {
          action: 'The client has to start a new handshake.',
        },
      );
    }
    const claim = decodeIdentityClaim(openMessage(suite, keys.client, 0, envelope));
    if (!suite.verify(claim.longtermPublicKey, longtermMessage, claim.longtermSignature))
      throw badLongtermSignature();
    return {
      suite,
      keys,
      gid: claim.gid,
      pseudonym: claim.daaSignature.subarray(-FIELD_LENGTH.pseudonym),
      requestedIdentity: claim.requestedIdentity,
      longtermPublicKey: claim.longtermPublicKey,
      daaSignature: claim.daaSignature,
      daaMessage,
    };
  } catch (error) {
    wipeKeys(keys.server);
    throw error;
  } finally {
    wipeKeys(keys.client);
  }
}

/** Whoever sent the claim does not have the longterm key in it, or signed something else. */
export function badLongtermSignature(): Failure {
  return new Failure(
    'xtt.bad-longterm-signature',
    'retry',
    "the client's longterm signature is not valid for this handshake and the longterm key that it claims",
    { action: 'Check the software of the client; it may hash the transcript as the draft says.' },
  );
}

/** Assigns a 16-byte identity and ends the handshake: Identity_ServerFinished, 103 bytes. */
export function assign(claim: Claim, identity: Uint8Array): Uint8Array {
  const { suite, keys, longtermPublicKey } = claim;
  const plaintext = encodeAssigned({ identity, longtermPublicKey });
  const message = sealMessage(suite, keys.server, 1, encodeServerFinished(suite.spec), plaintext);
  wipeKeys(keys.server);
  return message;
}
