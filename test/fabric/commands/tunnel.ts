import { connect } from 'node:tls';
import { onTestFinished } from 'vitest';
import { ecdsaSigner, generateP256 } from '../../../crypto/primitives.ts';
import { type Attempt, provision } from '../device.ts';
import { identityFiles } from '../identities.ts';

/** A device's tunnel. */
export interface Tunnel {
  /** Resolves when the router closed it. */
  readonly closed: Promise<void>;
  until(condition: () => Promise<boolean>): Promise<void>;
}

/** Provisions anew with a key of its own, and connects with it to the router at `port`. */
export async function tunnel(
  attempt: Attempt & { identityPort: number; ca: string; alpn?: readonly string[] },
): Promise<Tunnel> {
  const keys = generateP256();
  const signer = ecdsaSigner(keys.secret);
  const { identity } = await provision({
    ...attempt,
    port: attempt.identityPort,
    alter: async (claim, attesting) => ({
      ...claim,
      longtermPublicKey: keys.publicKey,
      longtermSignature: await signer(attesting.longtermMessage),
    }),
  });
  const { certificate, key } = await identityFiles(identity, keys);
  const socket = connect({
    host: '127.0.0.1',
    port: attempt.port,
    ca: attempt.ca,
    cert: certificate,
    key,
    checkServerIdentity: () => undefined,
    ...(attempt.alpn && { ALPNProtocols: [...attempt.alpn] }),
  });
  onTestFinished(() => {
    socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('secureConnect', resolve);
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {});
  socket.resume();
  return {
    closed,
    async until(condition) {
      while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
    },
  };
}
