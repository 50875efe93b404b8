import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fast from '../../crypto/ecdaa.ts';
import { hostArithmetic } from '../../crypto/host-arithmetic.ts';
import { ecdsaSigner, generateP256, primitives } from '../../crypto/primitives.ts';
import { readMessage } from '../../os/net/message-stream.ts';
import type { DaaKey } from '../../protocol/crypto/daa-key.ts';
import { groupId } from '../../protocol/crypto/group.ts';
import * as portable from '../../protocol/crypto/member.ts';
import { parseTrust } from '../../protocol/identity/trust.ts';
import { attest, finish, hello, identify } from '../../protocol/xtt/client.ts';
import { dialed } from '../fabric/device.ts';

/** Clients of an identity server, as devices are and as a load has to be. */

/** A credential in files, as `enf-factory device personalise --software` writes it. */
export interface Member {
  readonly secret: Uint8Array;
  readonly credential: Uint8Array;
  readonly gid: Uint8Array;
  readonly basename: Uint8Array;
  readonly root: Uint8Array;
}

/** How a client makes its signatures; `signs` wraps everything that a TPM would do. */
export interface Signing {
  daa(message: Uint8Array): Promise<Uint8Array>;
  longterm(message: Uint8Array): Promise<Uint8Array>;
  readonly longtermKey: Uint8Array;
}

/** The member whose files and whose fabric's are in the folder. */
export function readMember(folder: string): Member {
  const file = (name: string): Uint8Array => new Uint8Array(readFileSync(join(folder, 'device', name)));
  const basename = file('basename.bin');
  return {
    secret: file('daa_secretkey.bin'),
    credential: file('daa_cred.bin'),
    basename,
    gid: groupId(primitives, file('daa_gpk.bin'), basename),
    root: parseTrust(readFileSync(join(folder, 'fabric', 'trust.json'), 'utf8')).xttRoot,
  };
}

/** A whole handshake; returns the address that the device is given, 16 bytes. @throws Failure, Error */
export async function handshake(
  port: number,
  member: Pick<Member, 'gid' | 'root'>,
  signing: Signing,
): Promise<Uint8Array> {
  const socket = await dialed(port);
  try {
    const entropy = { dhSecret: primitives.random(32), nonce: primitives.random(32) };
    const opened = hello(primitives, 1, entropy);
    socket.write(opened.send);
    const attesting = attest(opened.next, await readMessage(socket, 20_000), [member.root]);
    const claimed = identify(attesting, {
      longtermPublicKey: signing.longtermKey,
      longtermSignature: await signing.longterm(attesting.longtermMessage),
      gid: member.gid,
      requestedIdentity: new Uint8Array(16),
      daaSignature: await signing.daa(attesting.daaMessage),
    });
    socket.write(claimed.send);
    return finish(claimed.next, await readMessage(socket, 20_000));
  } finally {
    socket.destroy();
  }
}

/** As fast as this machine can, to load a server. */
export function inSoftware({ secret, credential, basename }: Member): Signing {
  const key = fast.softwareDaaKey(primitives, secret);
  const longterm = generateP256();
  return {
    longtermKey: longterm.publicKey,
    longterm: ecdsaSigner(longterm.secret),
    daa: (message) => fast.sign(primitives, key, credential, message, basename),
  };
}

/** As the agent does it; `inside.ms` counts the CPU time of what the TPM would do. */
export function asOnDevice({ secret, credential, basename }: Member, inside: { ms: number }): Signing {
  const apart = async <T>(work: () => Promise<T>): Promise<T> => {
    const before = cpuMs();
    const result = await work();
    inside.ms += cpuMs() - before;
    return result;
  };
  const key = portable.softwareDaaKey(primitives, secret);
  const apartKey: DaaKey = {
    publicPoint: key.publicPoint,
    commit: (base, point) =>
      apart(async () => {
        const commitment = await key.commit(base, point);
        return { ...commitment, sign: (c1) => apart(() => commitment.sign(c1)) };
      }),
  };
  const longterm = generateP256();
  const sign = ecdsaSigner(longterm.secret);
  return {
    longtermKey: longterm.publicKey,
    longterm: (message) => apart(() => sign(message)),
    daa: (message) => portable.sign(primitives, apartKey, credential, message, basename, hostArithmetic()),
  };
}

export const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
};
