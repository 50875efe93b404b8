import type { TokenBuckets } from '../../os/service/token-buckets.ts';
import { toHex, wipe } from '../../protocol/bytes.ts';
import type { Primitives } from '../../protocol/crypto/primitives.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import type { CookieJar, KeyExchange } from '../../protocol/xtt/cookie.ts';
import { checkClearHeader } from '../../protocol/xtt/message.ts';
import { wipeKeys } from '../../protocol/xtt/schedule.ts';
import {
  answer,
  assign,
  awaitClient,
  type Claim,
  type Greeting,
  greet,
  openClaim,
} from '../../protocol/xtt/server.ts';
import type { Applicant, Group, Handshake } from '../registry/records.ts';
import type { Credentials, ServerCredential } from './credentials.ts';
import type { Verifiers } from './verifiers.ts';

/** What handshakes need of the registry, which may be in another process. */
export interface HandshakeRegistry {
  /** The group if its devices may provision. @throws Failure `fabric.group-not-admitted`, `fabric.group-suspended` */
  openGroup(gid: Uint8Array): Group | Promise<Group>;
  /**
   * Admits a verified chip; resolves to its 16-byte address after the commit. `waitedMs`: since its message came, for the metrics.
   * @throws Failure see `admitDevice`
   */
  admit(applicant: Applicant, waitedMs: number): Promise<Uint8Array>;
  /** Appends a refused handshake to the history; `unlisted` more like it are only counted. */
  refused(handshake: Omit<Handshake, 'at'>, unlisted?: number): Promise<void>;
}

/** What all handshakes share. */
export interface HandshakeContext {
  readonly primitives: Primitives;
  readonly credentials: Credentials;
  readonly jar: CookieJar;
  readonly verifiers: Verifiers;
  readonly registry: HandshakeRegistry;
  /** How often each chip may provision, by its pseudonym in hex. */
  readonly chips: TokenBuckets;
  readonly now: () => number;
}

/** What is known of a handshake, for the history; its steps fill it in. */
export type HandshakeRecord = { -readonly [K in keyof Omit<Handshake, 'at' | 'result'>]: Handshake[K] };

/** Bytes 6..135 of Identity_ClientAttest (xtt-protocol.md §3.4) */
const COOKIE = { start: 6, end: 136 } as const;

/**
 * Answers a ClientInit: ServerInitAndAttest, 417 bytes. Nothing is kept; the cookie in it comes back with the client's next
 * message and holds what the server needs then.
 * @throws Failure as `checkClearHeader`, `xtt.weak-share`, `xtt.cookie-jar-full`
 */
export function answerClientInit(
  context: HandshakeContext,
  clientInit: Uint8Array,
  record: HandshakeRecord,
): Uint8Array {
  record.suite = checkClearHeader(clientInit, 'clientInit');
  const credential = context.credentials.forClient(clientInit);
  const state = context.jar.issue(context.now(), clientInit);
  const { send, next } = serverInit(context, credential, clientInit, state, answer);
  wipeKeys(next.keys.client);
  wipeKeys(next.keys.server);
  return send;
}

/**
 * Answers an Identity_ClientAttest that came at `arrivedMs` (of `performance.now()`): Identity_ServerFinished, 103 bytes, and the 16-byte
 * address in it; the assignment is on the disk by then. @throws Failure of any step
 */
export async function answerClientAttest(
  context: HandshakeContext,
  attest: Uint8Array,
  record: HandshakeRecord,
  arrivedMs: number,
): Promise<{ finished: Uint8Array; address: Uint8Array }> {
  checkClearHeader(attest, 'identityClientAttest');
  const claim = openWithCookie(context, attest);
  try {
    return await grant(context, claim, record, arrivedMs);
  } finally {
    wipeKeys(claim.keys.server);
  }
}

async function grant(
  context: HandshakeContext,
  claim: Claim,
  record: HandshakeRecord,
  arrivedMs: number,
): Promise<{ finished: Uint8Array; address: Uint8Array }> {
  record.gid = claim.gid;
  record.pseudonym = claim.pseudonym;
  // The beginning of a point's x: nobody makes a chip whose begins as another's.
  const chip = toHex(claim.pseudonym.subarray(1, 17));
  // Nobody else can use up what a chip has, so its claim is believed here: verifying it costs the most.
  if (context.chips.wait(chip) > 0) throw tooOften();
  const group = await context.registry.openGroup(claim.gid);
  if (!(await context.verifiers.verify(group, claim.daaSignature, claim.daaMessage))) {
    throw new Failure('xtt.bad-group-signature', 'retry', 'no member of the group made the DAA signature', {
      action: 'Check that the device was personalised for this group and signs with its basename.',
    });
  }
  record.proven = true;
  // Others of this chip may have been verified meanwhile.
  if (context.chips.take(chip) > 0) throw tooOften();
  const applicant = {
    gid: claim.gid,
    pseudonym: claim.pseudonym,
    longtermKey: claim.longtermPublicKey,
    requested: claim.requestedIdentity,
    source: record.source,
    suite: claim.suite.spec,
  };
  const address = await context.registry.admit(applicant, performance.now() - arrivedMs);
  record.address = address;
  return { finished: assign(claim, address), address };
}

function tooOften(): Failure {
  return new Failure('fabric.provisions-too-often', 'retry', 'the chip provisions again and again', {
    action: 'Find out why the device does not use the identity that it gets.',
  });
}

/**
 * The claim in the message. The handshake after ServerInitAndAttest is computed again: the cookie holds the client's ClientInit and the
 * shared secret. If the server's certificate was replaced meanwhile, the former one was answered with.
 */
function openWithCookie(context: HandshakeContext, attest: Uint8Array): Claim {
  const { jar, credentials, now } = context;
  const cookie = attest.slice(COOKIE.start, COOKIE.end);
  const { clientInit, share, shared } = jar.redeem(now(), cookie);
  const former = credentials.formerFor(clientInit, now());
  const again = former && shared.slice();
  const open = (credential: ServerCredential, secret: Uint8Array): Claim =>
    openClaim(
      serverInit(context, credential, clientInit, { cookie, share, shared: secret }, awaitClient),
      attest,
    );
  try {
    return open(credentials.forClient(clientInit), shared);
  } catch (error) {
    // The keys of the handshake do not depend on the certificate, but what the client signs does.
    if (former === undefined || !isFailure(error, 'xtt.bad-longterm-signature')) throw error;
    return open(former, again!);
  } finally {
    if (again !== undefined) wipe(again);
  }
}

function serverInit<Next>(
  { primitives }: HandshakeContext,
  { certificate, sign }: ServerCredential,
  clientInit: Uint8Array,
  state: KeyExchange & { readonly cookie: Uint8Array },
  proceed: (greeting: Greeting, signature: Uint8Array) => Next,
): Next {
  const greeting = greet(primitives, { certificate }, clientInit, state);
  try {
    return proceed(greeting, sign(greeting.serverMessage));
  } catch (error) {
    wipeKeys(greeting.keys.client);
    wipeKeys(greeting.keys.server);
    throw error;
  }
}
