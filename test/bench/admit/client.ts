import { connect, type Socket } from 'node:net';
import { curves } from '../../../os/curves.ts';
import { generateP256 } from '../../../os/primitives.ts';
import { concat, toHex } from '../../../protocol/bytes.ts';
import type { Primitives } from '../../../protocol/crypto/primitives.ts';
import type { SuiteSpec } from '../../../protocol/crypto/suite.ts';
import { attest, finish, hello, identify } from '../../../protocol/xtt/client.ts';
import { MESSAGE_LENGTH } from '../../../protocol/xtt/message.ts';

/** How a handshake ended, as its client sees it. */
export type Ending = 'admitted' | 'refused' | 'broken';

export interface Caller {
  readonly port: number;
  /** Address to come from: any in 127.0.0.0/8 is this machine. */
  readonly from: string;
  readonly suite: SuiteSpec;
  readonly gid: Uint8Array;
  readonly root: Uint8Array;
  readonly sign: (message: Uint8Array) => Uint8Array;
}

const native = curves();

/** Longterm keys are drawn beforehand: what a device's TPM does is not the load generator's to pay. */
const LONGTERM = Array.from({ length: 64 }, () => {
  const { secret, publicKey } = generateP256();
  return { publicKey, sign: native.signer(secret) };
});
const ZERO = new Uint8Array(16);
const PATIENCE_MS = 20_000;

/** One X25519 secret for all of them: the server's work is the same, and the load generator's is less. */
const exchange = native.primitives.x25519Key(native.primitives.random(32));

/** The server's certificate is the same in every handshake; it is verified once. */
const seen = new Map<string, boolean>();
const clientPrimitives: Primitives = {
  ...native.primitives,
  x25519Public: () => exchange.share,
  x25519: (_, peerShare) => exchange.exchange(peerShare),
  verifyEcdsa(key, message, signature) {
    if (message.length === 64) return native.primitives.verifyEcdsa(key, message, signature);
    const name = toHex(concat(key, message, signature));
    const known = seen.get(name) ?? native.primitives.verifyEcdsa(key, message, signature);
    seen.set(name, known);
    return known;
  },
};

let turn = 0;

/** One whole handshake over a connection of its own. Never throws. */
export async function handshake(caller: Caller): Promise<Ending> {
  let socket: Socket | undefined;
  try {
    const opened = hello(clientPrimitives, caller.suite, {
      dhSecret: native.primitives.random(32),
      nonce: native.primitives.random(32),
    });
    socket = connect({ port: caller.port, host: '127.0.0.1', localAddress: caller.from, noDelay: true });
    const read = reader(socket);
    socket.write(opened.send);
    const reply = await read(MESSAGE_LENGTH.serverInitAndAttest);
    if (reply === undefined) return 'refused';
    const attesting = attest(opened.next, reply, [caller.root]);
    const longterm = LONGTERM[turn++ % LONGTERM.length]!;
    const { send, next } = identify(attesting, {
      longtermPublicKey: longterm.publicKey,
      longtermSignature: longterm.sign(attesting.longtermMessage),
      gid: caller.gid,
      requestedIdentity: ZERO,
      daaSignature: caller.sign(attesting.daaMessage),
    });
    socket.write(send);
    const finished = await read(MESSAGE_LENGTH.identityServerFinished);
    if (finished === undefined) return 'refused';
    finish(next, finished);
    return 'admitted';
  } catch {
    return 'broken';
  } finally {
    socket?.destroy();
  }
}

/** Reads messages of the expected length; undefined for an Error message. */
function reader(socket: Socket): (length: number) => Promise<Uint8Array | undefined> {
  let have: Buffer = Buffer.alloc(0);
  let wanted = 0;
  let settle:
    | { resolve: (message: Uint8Array | undefined) => void; reject: (error: Error) => void }
    | undefined;
  const done = (error?: Error): void => {
    const waiting = settle;
    if (waiting === undefined) return;
    if (error === undefined && have.length >= wanted) {
      const message = new Uint8Array(have.subarray(0, wanted));
      have = have.subarray(wanted);
      settle = undefined;
      waiting.resolve(message);
    } else if (have.length >= MESSAGE_LENGTH.error && have[0] === 0x41) {
      settle = undefined;
      waiting.resolve(undefined);
    } else if (error !== undefined) {
      settle = undefined;
      waiting.reject(error);
    }
  };
  socket.on('data', (chunk) => {
    have = have.length === 0 ? chunk : Buffer.concat([have, chunk]);
    done();
  });
  socket.on('error', done);
  socket.on('close', () => done(new Error('closed')));
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('late')));
  return (length) =>
    new Promise((resolve, reject) => {
      wanted = length;
      settle = { resolve, reject };
      done(socket.destroyed ? new Error('closed') : undefined);
    });
}
