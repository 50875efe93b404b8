import type { Primitives } from '../../protocol/crypto/primitives.ts';
import { Failure } from '../../protocol/failure.ts';
import type { CookieJar, KeyExchange } from '../../protocol/xtt/cookie.ts';
import { checkClearHeader } from '../../protocol/xtt/message.ts';
import { wipeKeys } from '../../protocol/xtt/schedule.ts';
import { type AwaitingClient, answer, assign, greet, openClaim } from '../../protocol/xtt/server.ts';
import type { Applicant, Group, Handshake } from '../registry/records.ts';
import type { Verifiers } from './verifiers.ts';

/** What handshakes ask of the registry, which may be in another process. */
export interface Books {
  /** The group if its devices may provision. @throws Failure `fabric.group-not-admitted`, `fabric.group-suspended` */
  openGroup(gid: Uint8Array): Group | Promise<Group>;
  /** Admits a verified chip; resolves to its 16-byte address after the commit. @throws Failure see `admitDevice` */
  admit(applicant: Applicant): Promise<Uint8Array>;
  /** Appends a refused handshake to the history. */
  refused(handshake: Omit<Handshake, 'at'>): Promise<void>;
}

/** What all handshakes share. */
export interface Desk {
  readonly primitives: Primitives;
  /** 169 bytes. */
  readonly certificate: Uint8Array;
  /** Deterministic (RFC 6979): the same greeting is signed again when its cookie returns. */
  readonly sign: (message: Uint8Array) => Uint8Array;
  readonly jar: CookieJar;
  readonly verifiers: Verifiers;
  readonly books: Books;
  readonly now: () => number;
}

/** What became known of the peer, for the history; filled in as the handshake goes. */
export type Account = { -readonly [K in keyof Omit<Handshake, 'at' | 'result'>]: Handshake[K] };

/** Bytes 6..135 of Identity_ClientAttest (xtt-protocol.md §3.4) */
const COOKIE = { start: 6, end: 136 } as const;

/**
 * Answers a ClientInit: ServerInitAndAttest, 417 bytes. Nothing is kept; the client's cookie brings the handshake back.
 * @throws Failure as `checkClearHeader`, `xtt.weak-share`, `xtt.cookie-jar-full`
 */
export function welcome(desk: Desk, hello: Uint8Array, account: Account): Uint8Array {
  account.suite = checkClearHeader(hello, 'clientInit');
  const { send, next } = greeted(desk, hello, desk.jar.issue(desk.now(), hello));
  wipeKeys(next.keys.client);
  wipeKeys(next.keys.server);
  return send;
}

/**
 * Judges an Identity_ClientAttest. Returns ServerFinished, 103 bytes, and the 16-byte address; the assignment is on the
 * disk by then. @throws Failure of any step
 */
export async function provision(
  desk: Desk,
  attest: Uint8Array,
  account: Account,
): Promise<{ finished: Uint8Array; address: Uint8Array }> {
  checkClearHeader(attest, 'identityClientAttest');
  const claim = openClaim(recall(desk, attest), attest);
  account.gid = claim.gid;
  account.pseudonym = claim.pseudonym;
  const group = await desk.books.openGroup(claim.gid);
  if (!(await desk.verifiers.verify(group, claim.daaSignature, claim.daaMessage))) {
    throw new Failure('xtt.bad-group-signature', 'retry', 'no member of the group made the DAA signature', {
      action: 'Check that the device was personalised for this group and signs with its basename.',
    });
  }
  account.proven = true;
  const address = await desk.books.admit({
    gid: claim.gid,
    pseudonym: claim.pseudonym,
    longtermKey: claim.longtermPublicKey,
    requested: claim.requestedIdentity,
    source: account.source,
    suite: claim.suite.spec,
  });
  account.address = address;
  return { finished: assign(claim, address), address };
}

/** The handshake as it stood before it was forgotten: the cookie holds the client's hello and the shared secret. */
function recall(desk: Desk, attest: Uint8Array): AwaitingClient {
  const cookie = attest.slice(COOKIE.start, COOKIE.end);
  const { clientInit, share, shared } = desk.jar.redeem(desk.now(), cookie);
  return greeted(desk, clientInit, { cookie, share, shared }).next;
}

function greeted(
  desk: Desk,
  hello: Uint8Array,
  state: KeyExchange & { readonly cookie: Uint8Array },
): ReturnType<typeof answer> {
  const greeting = greet(desk.primitives, { certificate: desk.certificate }, hello, state);
  return answer(greeting, desk.sign(greeting.serverMessage));
}
