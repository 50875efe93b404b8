import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Exchange } from '../../agent/identity/provision.ts';
import { ecdsaSigner, generateP256, primitives } from '../../crypto/primitives.ts';
import { ascii, equal, toHex } from '../../protocol/bytes.ts';
import { groupId } from '../../protocol/crypto/group.ts';
import { generateIssuer, groupPublicKey, issueCredential } from '../../protocol/crypto/issuer.ts';
import { generateMemberSecret, softwareDaaKey } from '../../protocol/crypto/member.ts';
import { groupVerifier } from '../../protocol/crypto/verifier.ts';
import { makeRootCertificate, makeServerCertificate } from '../../protocol/xtt/certificate.ts';
import { ERROR_MESSAGE, isErrorMessage } from '../../protocol/xtt/message.ts';
import { type AwaitingClient, answer, assign, greet, openClaim } from '../../protocol/xtt/server.ts';
import type { Power } from './folders.ts';

/** One device row, as a registry would keep it. */
export interface Row {
  readonly address: Uint8Array;
  longtermKey: Uint8Array;
  handshakes: number;
}

export interface IdentityServer {
  readonly rootCertificate: Uint8Array;
  readonly basename: Uint8Array;
  /** By pseudonym, hex. */
  readonly devices: Map<string, Row>;
  /** Errors that clients have sent. */
  readonly aborts: number;
  /** One handshake in memory; with `power`, each message is a step at which the device's power may go. */
  connect(power?: Power): Exchange;
  /** The issuer's answer to a member: group key, credential, signature. */
  issue(memberPoint: Uint8Array): { gpk: Uint8Array; credential: Uint8Array; signature: Uint8Array };
  /** A credential folder of a new member, under the C tools' names. */
  personalise(folder: string, tlsRoot?: string): void;
}

const ROOT_ID = new Uint8Array(16).fill(7);

/** The fabric's identity server without network and database: same pseudonym, same address. */
export async function identityServer(): Promise<IdentityServer> {
  const issuer = generateIssuer(primitives);
  const gpk = groupPublicKey(issuer.publicKey);
  const basename = ascii('test-network');
  const root = generateP256();
  const server = generateP256();
  const rootCertificate = makeRootCertificate(ROOT_ID, root.publicKey);
  const certificate = await makeServerCertificate(
    { rootId: ROOT_ID, publicKey: server.publicKey },
    ecdsaSigner(root.secret),
  );
  const verifier = groupVerifier(primitives, gpk, basename);
  const devices = new Map<string, Row>();
  let aborts = 0;

  const handshake = () => {
    let next: AwaitingClient | undefined;
    return async (message: Uint8Array): Promise<Uint8Array> => {
      if (next === undefined) {
        const state = { dhSecret: primitives.random(32), cookie: primitives.random(130) };
        const greeting = greet(primitives, { certificate }, message, state);
        const answered = answer(greeting, await ecdsaSigner(server.secret)(greeting.serverMessage));
        next = answered.next;
        return answered.send;
      }
      const claim = openClaim(next, message);
      if (!equal(claim.gid, groupId(primitives, gpk, basename))) return ERROR_MESSAGE;
      if (!(await verifier.verify(claim.daaSignature, claim.daaMessage))) return ERROR_MESSAGE;
      const pseudonym = toHex(claim.pseudonym);
      const row = devices.get(pseudonym) ?? {
        address: Uint8Array.from([0xfd, 0, ...primitives.random(14)]),
        longtermKey: claim.longtermPublicKey,
        handshakes: 0,
      };
      row.longtermKey = claim.longtermPublicKey;
      row.handshakes++;
      devices.set(pseudonym, row);
      return assign(claim, row.address);
    };
  };

  return {
    rootCertificate,
    basename,
    devices,
    get aborts() {
      return aborts;
    },
    connect(power) {
      const respond = handshake();
      let reply: Uint8Array | undefined;
      const step = <T>(name: string, work: () => Promise<T>): Promise<T> =>
        power ? power.step(name, work) : work();
      return {
        send: (message) =>
          step(`send 0x${message[0]!.toString(16)}`, async () => {
            if (isErrorMessage(message)) aborts++;
            else reply = await respond(message);
          }),
        receive: () => step('receive', async () => reply!),
        close() {},
      };
    },
    issue: (point) => ({ gpk, ...issueCredential(primitives, issuer.secret, point) }),
    personalise(folder, tlsRoot = 'no root') {
      const secret = generateMemberSecret(primitives);
      const point = softwareDaaKey(primitives, secret).publicPoint;
      const { credential, signature } = issueCredential(primitives, issuer.secret, point);
      const files: [string, Uint8Array | string][] = [
        ['daa_gpk.bin', gpk],
        ['daa_cred.bin', credential],
        ['daa_cred_sig.bin', signature],
        ['daa_secretkey.bin', secret],
        ['basename.bin', basename],
        ['root_cert.bin', rootCertificate],
        ['tls_root.pem', tlsRoot],
      ];
      for (const [name, content] of files) writeFileSync(join(folder, name), content, { mode: 0o600 });
    },
  };
}
