import { wipe } from '../bytes.ts';
import type { Primitives } from '../crypto/primitives.ts';
import type { SuiteSpec } from '../crypto/suite.ts';
import { type Failure, isFailure, orFailure } from '../failure.ts';
import { cookieJar, type KeyExchange } from './cookie.ts';
import type { CookieOptions } from './cookie-keys.ts';
import { checkClearHeader, decodeClientAttest } from './message.ts';
import { hasHint, rootHint } from './root-hint.ts';
import { wipeKeys } from './schedule.ts';
import { answer, assign, awaitClient, type Claim, type Greeting, greet, openClaim } from './server.ts';

/**
 * The server's side of many handshakes, of which nothing is kept between their messages (docs/adr/0004): a cookie brings back what the server
 * needs. In TypeScript here; native/xtt does the same, and answers several at once.
 */
export interface StatelessServer {
  /**
   * Answers a ClientInit: ServerInitAndAttest, 417 bytes.
   * @throws Failure as `checkClearHeader`, `xtt.weak-share`, `xtt.cookie-jar-full`
   */
  answer(nowMs: number, clientInit: Uint8Array): Uint8Array;
  /** The same for several at once, which may cost less; instead of an answer it has the Failure with which `answer` would end. */
  answerAll(nowMs: number, clientInits: readonly Uint8Array[]): (Uint8Array | Failure)[];
  /**
   * The claim in an Identity_ClientAttest; its cookie is spent.
   * @throws Failure as `checkClearHeader`, `xtt.bad-cookie`, `xtt.expired-cookie`, `xtt.spent-cookie`, `xtt.not-authentic`,
   *   `xtt.bad-longterm-signature`
   */
  open(nowMs: number, clientAttest: Uint8Array): OpenedClaim;
  /**
   * Answers with these certificates from now on; the first one is for clients without a hint. For a minute those before are good for whoever was answered
   * with them.
   */
  replace(nowMs: number, keys: readonly ServerKey[]): void;
  /** Wipes the keys whose last cookie has expired; to be called from time to time (cookie.ts). */
  sweep(nowMs: number): void;
}

/** A certificate of the identity server, under one of the fabric's roots. */
export interface ServerKey {
  /** The XTT root that has signed it, 81 bytes. */
  readonly root: Uint8Array;
  /** 169 bytes. */
  readonly certificate: Uint8Array;
  /** Its private key, 32 bytes. */
  readonly key: Uint8Array;
}

/** What a client claims; its longterm signature holds, its DAA signature is still to be verified. */
export interface OpenedClaim extends Omit<Claim, 'suite' | 'keys'> {
  readonly suite: SuiteSpec;
  /** Assigns a 16-byte identity: Identity_ServerFinished, 103 bytes. Once: it wipes the keys. */
  assign(identity: Uint8Array): Uint8Array;
  /** Wipes the keys of a handshake that is not ended. */
  forget(): void;
}

/** Longer than a cookie is good for. */
const FORMER_MS = 60_000;

/** What a server answers with, and what it answered with before. */
export interface Replaceable<T> {
  readonly current: T;
  /** What `current` was before the last replacement, if that was within a minute of `nowMs`. */
  former(nowMs: number): T | undefined;
  replace(nowMs: number, next: T): void;
}

export function replaceable<T>(first: T): Replaceable<T> {
  let current = first;
  let former: T | undefined;
  let replacedMs = Number.NEGATIVE_INFINITY;
  return {
    get current() {
      return current;
    },
    former: (nowMs) => (nowMs - replacedMs < FORMER_MS ? former : undefined),
    replace(nowMs, next) {
      former = current;
      current = next;
      replacedMs = nowMs;
    },
  };
}

/** Signs SHA-256(message) deterministically, with a key of 32 bytes: the same greeting is signed again when its cookie returns. */
export type SignerOf = (key: Uint8Array) => (message: Uint8Array) => Uint8Array;

interface Credential {
  readonly hint: Uint8Array;
  readonly certificate: Uint8Array;
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/** `keys` has at least one. `nowMs` of all calls comes from one clock that never runs backwards. */
export function portableServer(
  p: Primitives,
  signer: SignerOf,
  keys: readonly ServerKey[],
  options: CookieOptions = {},
): StatelessServer {
  const jar = cookieJar(p, options);
  const hold = (held: readonly ServerKey[]): readonly Credential[] =>
    held.map(({ root, certificate, key }) => ({ hint: rootHint(p, root), certificate, sign: signer(key) }));
  const credentials = replaceable(hold(keys));

  function greeted<Next>(
    { certificate, sign }: Credential,
    clientInit: Uint8Array,
    state: KeyExchange & { readonly cookie: Uint8Array },
    proceed: (greeting: Greeting, signature: Uint8Array) => Next,
  ): Next {
    const greeting = greet(p, { certificate }, clientInit, state);
    try {
      return proceed(greeting, sign(greeting.serverMessage));
    } catch (error) {
      wipeKeys(greeting.keys.client);
      wipeKeys(greeting.keys.server);
      throw error;
    }
  }

  function answerOne(nowMs: number, clientInit: Uint8Array): Uint8Array {
    checkClearHeader(clientInit, 'clientInit');
    const state = jar.issue(nowMs, clientInit);
    const { send, next } = greeted(pick(credentials.current, clientInit), clientInit, state, answer);
    wipeKeys(next.keys.client);
    wipeKeys(next.keys.server);
    return send;
  }

  return {
    sweep: (nowMs) => jar.sweep(nowMs),
    replace: (nowMs, next) => credentials.replace(nowMs, hold(next)),
    answer: answerOne,
    answerAll: (nowMs, clientInits) =>
      clientInits.map((clientInit) => orFailure(() => answerOne(nowMs, clientInit))),

    /** The handshake after ServerInitAndAttest is computed again: the cookie holds the client's ClientInit and the shared secret. */
    open(nowMs, clientAttest) {
      const { cookie } = decodeClientAttest(clientAttest);
      const { clientInit, share, shared } = jar.redeem(nowMs, cookie);
      const former = credentials.former(nowMs);
      const again = former && shared.slice();
      const open = (held: readonly Credential[], secret: Uint8Array): OpenedClaim => {
        const state = { cookie, share, shared: secret };
        return opened(
          openClaim(greeted(pick(held, clientInit), clientInit, state, awaitClient), clientAttest),
        );
      };
      try {
        return open(credentials.current, shared);
      } catch (error) {
        // The keys of the handshake do not depend on the certificate, but what the client signs does.
        if (former === undefined || !isFailure(error, 'xtt.bad-longterm-signature')) throw error;
        return open(former, again!);
      } finally {
        if (again !== undefined) wipe(again);
      }
    },
  };
}

/** By the hint in a ClientInit (root-hint.ts); without one that is known, the first. */
const pick = (held: readonly Credential[], clientInit: Uint8Array): Credential =>
  held.find(({ hint }) => hasHint(clientInit, hint)) ?? held[0]!;

const opened = (claim: Claim): OpenedClaim => ({
  ...claim,
  suite: claim.suite.spec,
  assign: (identity) => assign(claim, identity),
  forget: () => wipeKeys(claim.keys.server),
});
