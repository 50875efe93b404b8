import { curves } from '../../../crypto/curves.ts';
import type { Primitives } from '../../../protocol/crypto/primitives.ts';
import type { SuiteSpec } from '../../../protocol/crypto/suite.ts';
import { attest, finish, hello, identify } from '../../../protocol/xtt/client.ts';
import { MESSAGE_LENGTH } from '../../../protocol/xtt/message.ts';
import type { Callers, Connection } from './callers.ts';
import { makeLongterm } from './longterm.ts';

/** How a handshake ended, as its client sees it. */
export type Ending = 'admitted' | 'refused' | 'broken';

export interface Caller {
  readonly callers: Callers;
  /** Address to come from: any in 127.0.0.0/8 is this machine. */
  readonly from: string;
  readonly suite: SuiteSpec;
  readonly gid: Uint8Array;
  readonly root: Uint8Array;
  readonly sign: (message: Uint8Array) => Uint8Array;
  /** How long the device takes to sign, as with a TPM, milliseconds; 0 unless given. */
  readonly signingMs?: number;
}

const native = curves();

/** Longterm keys are drawn beforehand: what a device's TPM does is not the load generator's to pay. */
const LONGTERM = Array.from({ length: 64 }, makeLongterm);
const ZERO = new Uint8Array(16);

/** One X25519 secret for all of them: the server's work is the same, and the load generator's is less. */
const exchange = native.primitives.x25519Key(native.primitives.random(32));

/** The server has one share for a minute, and one certificate; what comes of them is computed once, and any other anew. */
const remembered = new Map<string, Uint8Array | boolean>();
function once<T extends Uint8Array | boolean>(parts: readonly Uint8Array[], compute: () => T): T {
  const name = Buffer.concat(parts).toString('latin1');
  const known = (remembered.get(name) as T | undefined) ?? compute();
  remembered.set(name, known);
  return known;
}

const clientPrimitives: Primitives = {
  ...native.primitives,
  x25519Public: () => exchange.share,
  // Whoever gets it wipes it.
  x25519: (_, peerShare) => once([peerShare], () => exchange.exchange(peerShare)).slice(),
  verifyEcdsa(key, message, signature) {
    const verify = (): boolean => native.primitives.verifyEcdsa(key, message, signature);
    // 64 bytes are what the server signs in this handshake.
    return message.length === 64 ? verify() : once([key, message, signature], verify);
  },
};

let turn = 0;

/** One whole handshake over a connection of its own. Never throws. */
export async function handshake({
  callers,
  from,
  suite,
  gid,
  root,
  sign,
  signingMs = 0,
}: Caller): Promise<Ending> {
  let line: Connection | undefined;
  try {
    const { random } = native.primitives;
    const opened = hello(clientPrimitives, suite, { dhSecret: new Uint8Array(32), nonce: random(32) });
    line = callers.call(from, opened.send);
    const reply = await line.read(MESSAGE_LENGTH.serverInitAndAttest);
    if (reply === undefined) return 'refused';
    const attesting = attest(opened.next, reply, [root]);
    if (signingMs > 0) await new Promise((resolve) => setTimeout(resolve, signingMs));
    const longterm = LONGTERM[turn++ % LONGTERM.length]!;
    const { send, next } = identify(attesting, {
      longtermPublicKey: longterm.publicKey,
      longtermSignature: longterm.sign(attesting.longtermMessage),
      gid,
      requestedIdentity: ZERO,
      daaSignature: sign(attesting.daaMessage),
    });
    line.send(send);
    const finished = await line.read(MESSAGE_LENGTH.identityServerFinished);
    if (finished === undefined) return 'refused';
    finish(next, finished);
    return 'admitted';
  } catch {
    return 'broken';
  } finally {
    line?.close();
  }
}
