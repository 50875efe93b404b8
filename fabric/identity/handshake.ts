import type { Socket } from 'node:net';
import { readMessage } from '../../os/exchange.ts';
import { primitives } from '../../os/primitives.ts';
import { Failure } from '../../protocol/failure.ts';
import type { CookieJar } from '../../protocol/xtt/cookie.ts';
import { checkClearHeader } from '../../protocol/xtt/message.ts';
import { wipeKeys } from '../../protocol/xtt/schedule.ts';
import { type AwaitingClient, answer, assign, greet, openClaim } from '../../protocol/xtt/server.ts';
import type { Handshake } from '../registry/records.ts';
import type { Registry } from '../registry/registry.ts';
import type { Verifiers } from './verifiers.ts';

/** What all handshakes share. */
export interface Desk {
  /** 169 bytes. */
  readonly certificate: Uint8Array;
  /** Deterministic (RFC 6979): the same greeting is signed again when its cookie returns. */
  readonly sign: (message: Uint8Array) => Uint8Array;
  readonly jar: CookieJar;
  readonly verifiers: Verifiers;
  readonly registry: Pick<Registry, 'openGroup' | 'admit'>;
  readonly deadlines: Deadlines;
  readonly now: () => number;
}

/** How long a peer may take for each of its messages, from our last one to its last byte. */
export interface Deadlines {
  readonly helloMs: number;
  readonly claimMs: number;
}

/** What became known of the peer, for the history; filled in as the handshake goes. */
export type Account = { -readonly [K in keyof Omit<Handshake, 'at' | 'result'>]: Handshake[K] };

/** Bytes 6..135 of Identity_ClientAttest (xtt-protocol.md §3.4) */
const COOKIE = { start: 6, end: 136 } as const;

/**
 * Serves one handshake. Between the two messages nothing is kept of it but the socket: the client's cookie brings it
 * back. Returns ServerFinished and the 16-byte address; the assignment is on the disk by then.
 * @throws Failure of any step; the caller answers with an Error and closes
 */
export async function serveHandshake(
  desk: Desk,
  socket: Socket,
  account: Account,
): Promise<{ finished: Uint8Array; address: Uint8Array }> {
  const hello = await readMessage(socket, desk.deadlines.helloMs);
  account.suite = checkClearHeader(hello, 'clientInit');
  socket.write(firstAnswer(desk, hello));

  const attest = await readMessage(socket, desk.deadlines.claimMs);
  checkClearHeader(attest, 'identityClientAttest');
  const claim = openClaim(recall(desk, attest), attest);
  account.gid = claim.gid;
  account.pseudonym = claim.pseudonym;

  const group = desk.registry.openGroup(claim.gid);
  if (!(await desk.verifiers.verify(group, claim.daaSignature, claim.daaMessage))) {
    throw new Failure('xtt.bad-group-signature', 'retry', 'no member of the group made the DAA signature', {
      action: 'Check that the device was personalised for this group and signs with its basename.',
    });
  }
  account.proven = true;
  const address = await desk.registry.admit({
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

/** ServerInitAndAttest; everything else of the handshake is forgotten again. */
function firstAnswer(desk: Desk, hello: Uint8Array): Uint8Array {
  const { cookie, dhSecret } = desk.jar.bake(desk.now(), hello);
  const { send, next } = greeted(desk, hello, { cookie, dhSecret });
  wipeKeys(next.keys.client);
  wipeKeys(next.keys.server);
  return send;
}

/** The handshake as it stood before it was forgotten: the cookie holds the client's hello and our own share's seed. */
function recall(desk: Desk, attest: Uint8Array): AwaitingClient {
  const cookie = attest.slice(COOKIE.start, COOKIE.end);
  const { clientInit, dhSecret } = desk.jar.redeem(desk.now(), cookie);
  return greeted(desk, clientInit, { cookie, dhSecret }).next;
}

function greeted(
  desk: Desk,
  hello: Uint8Array,
  state: { cookie: Uint8Array; dhSecret: Uint8Array },
): ReturnType<typeof answer> {
  const greeting = greet(primitives, { certificate: desk.certificate }, hello, state);
  return answer(greeting, desk.sign(greeting.serverMessage));
}
