import type { Curves } from '../../crypto/curves.ts';
import type { Primitives } from '../../protocol/crypto/primitives.ts';
import { hasHint, rootHint } from '../../protocol/xtt/root-hint.ts';

/** A certificate of the identity server, under one of the fabric's roots. */
export interface ServerKey {
  /** The XTT root that has signed it, 81 bytes. */
  readonly root: Uint8Array;
  /** 169 bytes. */
  readonly certificate: Uint8Array;
  /** Its private key, 32 bytes. */
  readonly key: Uint8Array;
}

/** What the server authenticates itself with, towards one client. */
export interface ServerCredential {
  readonly certificate: Uint8Array;
  /** Deterministic (RFC 6979): the same greeting is signed again when its cookie returns. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/** Longer than a cookie is good for. */
const FORMER_MS = 60_000;

/** The server's certificates, of which each client gets the one that it can verify. */
export interface Credentials {
  /** By the hint in its ClientInit (protocol/xtt/root-hint.ts); without one that is known, the first. */
  forClient(clientInit: Uint8Array): ServerCredential;
  /** The same as it was before the last replacement, if that was within a minute of `nowMs`. */
  formerFor(clientInit: Uint8Array, nowMs: number): ServerCredential | undefined;
  /** Other certificates from now on; the first one is for clients without a hint. */
  replace(keys: readonly ServerKey[], nowMs: number): void;
}

interface Held extends ServerCredential {
  readonly hint: Uint8Array;
}

/** `keys` has at least one; the first is for clients without a hint. */
export function serverCredentials(
  keys: readonly ServerKey[],
  primitives: Pick<Primitives, 'sha256'>,
  signer: Curves['signer'],
): Credentials {
  const hold = (held: readonly ServerKey[]): readonly Held[] =>
    held.map(({ root, certificate, key }) => ({
      hint: rootHint(primitives, root),
      certificate,
      sign: signer(key),
    }));
  const pick = (from: readonly Held[], clientInit: Uint8Array): ServerCredential =>
    from.find(({ hint }) => hasHint(clientInit, hint)) ?? from[0]!;
  let current = hold(keys);
  let former: readonly Held[] = [];
  let replacedMs = Number.NEGATIVE_INFINITY;
  return {
    forClient: (clientInit) => pick(current, clientInit),
    formerFor: (clientInit, nowMs) =>
      former.length > 0 && nowMs - replacedMs < FORMER_MS ? pick(former, clientInit) : undefined,
    replace(next, nowMs) {
      former = current;
      current = hold(next);
      replacedMs = nowMs;
    },
  };
}
