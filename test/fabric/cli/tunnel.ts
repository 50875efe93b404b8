import { connect } from 'node:tls';
import { onTestFinished } from 'vitest';
import { ecdsaSigner, generateP256, primitives } from '../../../os/primitives.ts';
import { encodeBase64 } from '../../../protocol/identity/base64.ts';
import { identityCertificate } from '../../../protocol/identity/certificate.ts';
import { encodeEcPrivateKey } from '../../../protocol/identity/keyfile.ts';
import { type Attempt, provision } from '../device.ts';

/** A device's tunnel. */
export interface Tunnel {
  /** Resolves when the router closed it. */
  readonly closed: Promise<void>;
  until(condition: () => Promise<boolean>): Promise<void>;
}

/** Provisions anew with a key of its own, and connects with it to the router at `port`. */
export async function tunnel(attempt: Attempt & { identityPort: number; ca: string }): Promise<Tunnel> {
  const { secret, publicKey } = generateP256();
  const signer = ecdsaSigner(secret);
  const { identity } = await provision({
    ...attempt,
    port: attempt.identityPort,
    alter: async (claim, attesting) => ({
      ...claim,
      longtermPublicKey: publicKey,
      longtermSignature: await signer(attesting.longtermMessage),
    }),
  });
  const certificate = await identityCertificate(
    primitives,
    identity,
    publicKey,
    signer,
    primitives.random(19),
  );
  const socket = connect({
    host: '127.0.0.1',
    port: attempt.port,
    ca: attempt.ca,
    cert: pem('CERTIFICATE', certificate),
    key: pem('EC PRIVATE KEY', encodeEcPrivateKey(secret, publicKey)),
    checkServerIdentity: () => undefined,
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

function pem(type: string, der: Uint8Array): string {
  const lines = encodeBase64(der).match(/.{1,64}/g)!;
  return `-----BEGIN ${type}-----\n${lines.join('\n')}\n-----END ${type}-----\n`;
}
