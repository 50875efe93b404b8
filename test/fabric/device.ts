import { connect, type Socket } from 'node:net';
import { ecdsaSigner, generateP256, primitives } from '../../crypto/primitives.ts';
import { readMessage } from '../../os/net/message-stream.ts';
import { groupId } from '../../protocol/crypto/group.ts';
import { generateIssuer, groupPublicKey, issueCredential } from '../../protocol/crypto/issuer.ts';
import { generateMemberSecret, join, sign, softwareDaaKey } from '../../protocol/crypto/member.ts';
import type { SuiteSpec } from '../../protocol/crypto/suite.ts';
import { encodeLabel } from '../../protocol/label.ts';
import { type Attesting, attest, type Claim, finish, hello, identify } from '../../protocol/xtt/client.ts';
import { hintedNonce } from '../../protocol/xtt/root-hint.ts';

/** Signs 64 bytes as a member of a group: a DAA signature of 421 bytes. */
export type Chip = (message: Uint8Array) => Promise<Uint8Array>;

/** A batch as the factory makes it, its chips in software. */
export interface Batch {
  readonly gpk: Uint8Array;
  readonly basename: Uint8Array;
  readonly gid: Uint8Array;
  readonly label: string;
  /** `basename` instead of the batch's own: a wrongly personalised device. */
  chip(basename?: Uint8Array): Promise<Chip>;
}

export function makeBatch(name = 'batch 7', claim?: Uint8Array): Batch {
  const { secret, publicKey } = generateIssuer(primitives);
  const gpk = groupPublicKey(publicKey);
  const basename = new TextEncoder().encode(`${name} basename`);
  return {
    gpk,
    basename,
    gid: groupId(primitives, gpk, basename),
    label: encodeLabel({ gpk, basename, name, ...(claim === undefined ? {} : { claim }) }),
    async chip(used = basename) {
      const key = softwareDaaKey(primitives, generateMemberSecret(primitives));
      const memberKey = await join(primitives, key, primitives.random(32));
      const { credential } = issueCredential(primitives, secret, memberKey.slice(0, 65));
      return (message) => sign(primitives, key, credential, message, used);
    },
  };
}

export interface Attempt {
  readonly port: number;
  readonly host?: string;
  readonly root: Uint8Array;
  readonly gid: Uint8Array;
  readonly chip: Chip;
  readonly suite?: SuiteSpec;
  readonly requested?: Uint8Array;
  /** Says which root it trusts, as our agents do. */
  readonly hinted?: boolean;
  /** Changes the claim before it is sealed, as a hostile device would. */
  readonly alter?: (claim: Claim, attesting: Attesting) => Claim | Promise<Claim>;
}

/** One whole handshake over TCP. Rejects with the Failure of the client: `xtt.error-received` when refused. */
export async function provision(
  attempt: Attempt,
): Promise<{ identity: Uint8Array; longtermKey: Uint8Array }> {
  const socket = await dialed(attempt.port, attempt.host);
  try {
    const opened = hello(primitives, attempt.suite ?? 1, {
      dhSecret: primitives.random(32),
      nonce: attempt.hinted ? hintedNonce(primitives, attempt.root) : primitives.random(32),
    });
    socket.write(opened.send);
    const attesting = attest(opened.next, await readMessage(socket, 20_000), [attempt.root]);
    const honest = await claimOf(attempt, attesting);
    const claim = (await attempt.alter?.(honest, attesting)) ?? honest;
    const { send, next } = identify(attesting, claim);
    socket.write(send);
    const identity = finish(next, await readMessage(socket, 20_000));
    return { identity, longtermKey: claim.longtermPublicKey };
  } finally {
    socket.destroy();
  }
}

export async function claimOf(
  { gid, chip, requested = new Uint8Array(16) }: Pick<Attempt, 'gid' | 'chip' | 'requested'>,
  attesting: Pick<Attesting, 'longtermMessage' | 'daaMessage'>,
): Promise<Claim> {
  const { secret, publicKey } = generateP256();
  return {
    longtermPublicKey: publicKey,
    longtermSignature: await ecdsaSigner(secret)(attesting.longtermMessage),
    gid,
    requestedIdentity: requested,
    daaSignature: await chip(attesting.daaMessage),
  };
}

export function dialed(port: number, host = '127.0.0.1'): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host, allowHalfOpen: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}
