import { ecdsaSigner, generateP256, primitives } from '../../../crypto/primitives.ts';
import { deterministicSigner } from '../../../protocol/crypto/ecdsa.ts';
import type { SuiteSpec } from '../../../protocol/crypto/suite.ts';
import { makeRootCertificate, makeServerCertificate } from '../../../protocol/xtt/certificate.ts';
import * as client from '../../../protocol/xtt/client.ts';
import * as server from '../../../protocol/xtt/server.ts';

/** A root, a server under it and a device, all fresh; the DAA signature is noise, since openClaim leaves it alone. */
const rootPair = generateP256();
const serverPair = generateP256();
const devicePair = generateP256();

export const root = makeRootCertificate(primitives.random(16), rootPair.publicKey);
export const certificate = await makeServerCertificate(
  { rootId: root.slice(0, 16), publicKey: serverPair.publicKey },
  ecdsaSigner(rootPair.secret),
);
export const serverKey = { root, certificate, key: serverPair.secret };
export const signAsServer = deterministicSigner(serverPair.secret);
export const signAsDevice = deterministicSigner(devicePair.secret);
export const longtermPublicKey = devicePair.publicKey;
export const identity = primitives.random(16);
export const gid = primitives.random(32);
export const daaSignature = primitives.random(421);
export const otherKey = generateP256().publicKey;
export { rootPair, serverPair };

const clientEntropy = { dhSecret: primitives.random(32), nonce: primitives.random(32) };
const serverState = { dhSecret: primitives.random(32), cookie: primitives.random(130) };
/** The steps wipe the secrets they are given, so every run gets copies. */
const fresh = <T extends Record<string, Uint8Array>>(bytes: T): T =>
  Object.fromEntries(Object.entries(bytes).map(([name, value]) => [name, value.slice()])) as T;

export const hello = (spec: SuiteSpec) => client.hello(primitives, spec, fresh(clientEntropy));

export const greet = (clientInit: Uint8Array) =>
  server.greet(primitives, { certificate }, clientInit, fresh(serverState));

export function answer(clientInit: Uint8Array) {
  const greeting = greet(clientInit);
  return server.answer(greeting, signAsServer(greeting.serverMessage));
}

export function identify(attesting: client.Attesting, change: Partial<client.Claim> = {}) {
  return client.identify(attesting, {
    longtermPublicKey,
    longtermSignature: signAsDevice(attesting.longtermMessage),
    gid,
    requestedIdentity: new Uint8Array(16),
    daaSignature,
    ...change,
  });
}

/** The whole handshake, deterministic per suite: the same four messages every time. */
export function handshake(spec: SuiteSpec, requestedIdentity: Uint8Array = new Uint8Array(16)) {
  const opened = hello(spec);
  const answered = answer(opened.send);
  const attesting = client.attest(opened.next, answered.send, [root]);
  const claimed = identify(attesting, { requestedIdentity });
  const claim = server.openClaim(answered.next, claimed.send);
  const finished = server.assign(claim, identity);
  const assigned = client.finish(claimed.next, finished);
  return {
    clientInit: opened.send,
    serverInit: answered.send,
    clientAttest: claimed.send,
    serverFinished: finished,
    claim,
    attesting,
    assigned,
  };
}
