import { equal, wipe } from '../bytes.ts';
import type { Primitives } from '../crypto/primitives.ts';
import { type Suite, type SuiteSpec, suite as suiteOf } from '../crypto/suite.ts';
import { Failure } from '../failure.ts';
import { verifyServerCertificate } from './certificate.ts';
import {
  decodeAssigned,
  decodeServerAttest,
  decodeServerFinished,
  decodeServerInit,
  encodeClientAttest,
  encodeClientInit,
  encodeIdentityClaim,
} from './message.ts';
import {
  clientSignatureHashes,
  deriveKeys,
  type HandshakeKeys,
  handshakeKeyHash,
  innerHash,
  openMessage,
  sealMessage,
  serverSignatureHash,
  wipeKeys,
} from './schedule.ts';

/**
 * The client's side of the handshake (xtt-protocol.md §10.2): hello, attest, identify, finish. Each step returns what
 * the next one needs, so that a step out of order does not compile. A value is used once: each step wipes the secrets
 * that no later step needs, also when it fails.
 */

/** ClientInit is sent; ServerInitAndAttest comes next. */
export interface AwaitingServer {
  readonly suite: Suite;
  readonly clientInit: Uint8Array;
  readonly dhSecret: Uint8Array;
}

/** The server is authentic; both signatures are to be made. */
export interface Attesting {
  readonly suite: Suite;
  readonly keys: HandshakeKeys;
  /** The clear part of the coming Identity_ClientAttest. */
  readonly clear: Uint8Array;
  /** 64 bytes for the longterm key's EcdsaSigner. */
  readonly longtermMessage: Uint8Array;
  /** 64 bytes for the DAA signer, with the group's basename. */
  readonly daaMessage: Uint8Array;
}

/** Identity_ClientAttest is sent; Identity_ServerFinished comes next. */
export interface AwaitingFinish {
  readonly suite: Suite;
  readonly keys: HandshakeKeys;
  readonly longtermPublicKey: Uint8Array;
  readonly requestedIdentity: Uint8Array;
}

/** What the device claims, made elsewhere (in a TPM, as a rule). */
export interface Claim {
  /** 65 bytes */
  readonly longtermPublicKey: Uint8Array;
  /** 64 bytes, over `longtermMessage` */
  readonly longtermSignature: Uint8Array;
  /** 32 bytes, SHA-256(GPK ‖ basename) */
  readonly gid: Uint8Array;
  /** 16 bytes; all zero: the server chooses */
  readonly requestedIdentity: Uint8Array;
  /** 421 bytes, over `daaMessage` */
  readonly daaSignature: Uint8Array;
}

/**
 * Wipes the secrets of a step that will not be taken: the connection was lost, or a signature could not be made. Does nothing to a step that was
 * taken.
 */
export function abandon(step: AwaitingServer | Attesting | AwaitingFinish): void {
  if ('dhSecret' in step) wipe(step.dhSecret);
  else {
    wipeKeys(step.keys.client);
    wipeKeys(step.keys.server);
  }
}

/**
 * Starts a handshake: `send` is ClientInit, 70 bytes. `entropy` is a fresh X25519 secret and a fresh nonce, 32 bytes
 * each; the secret is taken over and wiped by {@link attest} or {@link abandon}.
 */
export function hello(
  p: Primitives,
  spec: SuiteSpec,
  entropy: { readonly dhSecret: Uint8Array; readonly nonce: Uint8Array },
): { readonly send: Uint8Array; readonly next: AwaitingServer } {
  const suite = suiteOf(p, spec);
  const send = encodeClientInit({ suite: spec, nonce: entropy.nonce, share: suite.share(entropy.dhSecret) });
  return { send, next: { suite, clientInit: send, dhSecret: entropy.dhSecret } };
}

/**
 * Checks the server: `reply` is ServerInitAndAttest, `roots` are 81-byte root certificates.
 * @throws Failure as `checkClearHeader` and `verifyServerCertificate`, `xtt.weak-share`, `xtt.not-authentic`,
 * `xtt.bad-server-signature`
 */
export function attest(next: AwaitingServer, reply: Uint8Array, roots: readonly Uint8Array[]): Attesting {
  const { suite, clientInit, dhSecret } = next;
  try {
    const init = decodeServerInit(reply, suite.spec);
    const inner = innerHash(suite, clientInit, init.clear);
    const keys = deriveKeys(suite, dhSecret, init.share, handshakeKeyHash(suite, inner, init.cookie));
    try {
      const { certificate, signature } = decodeServerAttest(openMessage(suite, keys.server, 0, init));
      const serverKey = verifyServerCertificate({ verifyEcdsa: suite.verify }, certificate, roots);
      const signed = serverSignatureHash(suite, clientInit, init.clear, certificate);
      if (!suite.verify(serverKey, signed, signature)) {
        throw new Failure(
          'xtt.bad-server-signature',
          'retry',
          "the server's signature is not valid for this handshake and the key in its certificate",
          { action: 'Check which server answers at the configured address.' },
        );
      }
      const clear = encodeClientAttest({ suite: suite.spec, cookie: init.cookie });
      const hashes = clientSignatureHashes(suite, {
        inner,
        cookie: init.cookie,
        certificate,
        serverSignature: signature,
        clientClear: clear,
      });
      return { suite, keys, clear, longtermMessage: hashes.longterm, daaMessage: hashes.daa };
    } catch (error) {
      wipeKeys(keys.client);
      wipeKeys(keys.server);
      throw error;
    }
  } finally {
    wipe(dhSecret);
  }
}

/** Claims an identity: `send` is Identity_ClientAttest, 750 bytes. A claim of wrong sizes is our own mistake: `Error`. */
export function identify(
  attesting: Attesting,
  claim: Claim,
): { readonly send: Uint8Array; readonly next: AwaitingFinish } {
  const { suite, keys, clear } = attesting;
  const plaintext = encodeIdentityClaim(claim);
  const send = sealMessage(suite, keys.client, 0, clear, plaintext);
  wipe(plaintext);
  wipeKeys(keys.client);
  return {
    send,
    next: {
      suite,
      keys,
      longtermPublicKey: new Uint8Array(claim.longtermPublicKey),
      requestedIdentity: new Uint8Array(claim.requestedIdentity),
    },
  };
}

/**
 * Ends the handshake: `reply` is Identity_ServerFinished; returns the assigned identity, 16 bytes (§6).
 * @throws Failure as `checkClearHeader`, `xtt.not-authentic`, `xtt.wrong-longterm-key`, `xtt.wrong-identity`
 */
export function finish(next: AwaitingFinish, reply: Uint8Array): Uint8Array {
  const { suite, keys } = next;
  try {
    const envelope = decodeServerFinished(reply, suite.spec);
    const assigned = decodeAssigned(openMessage(suite, keys.server, 1, envelope));
    if (!equal(assigned.longtermPublicKey, next.longtermPublicKey)) {
      throw new Failure(
        'xtt.wrong-longterm-key',
        'retry',
        'the server finished the handshake with a longterm key that is not ours',
        { action: 'Report this to the operator of the server: it confuses its clients.' },
      );
    }
    const nothing = new Uint8Array(16);
    const asked = !equal(next.requestedIdentity, nothing);
    const acceptable = asked
      ? equal(assigned.identity, next.requestedIdentity)
      : !equal(assigned.identity, nothing);
    if (!acceptable) {
      throw new Failure(
        'xtt.wrong-identity',
        'retry',
        asked
          ? 'the server assigned a different identity than the requested one'
          : 'the server assigned the all-zero identity, which is no address',
        {
          action: asked
            ? 'Request no particular identity, or have it registered for this device.'
            : 'Report this server.',
        },
      );
    }
    return new Uint8Array(assigned.identity);
  } finally {
    wipeKeys(keys.server);
  }
}
