import { createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { ecdsaSigner, generateP256, primitives } from '../../crypto/primitives.ts';
import { createFolder, type NewFile } from '../../os/files/create.ts';
import { readBounded, readExact } from '../../os/files/read.ts';
import { wipe } from '../../protocol/bytes.ts';
import { publicKeyOf } from '../../protocol/crypto/ecdsa.ts';
import { Failure } from '../../protocol/failure.ts';
import { encodeEcPrivateKey } from '../../protocol/identity/key-file.ts';
import { parseEcPrivateKey } from '../../protocol/identity/key-pair.ts';
import { encodeTrust } from '../../protocol/identity/trust.ts';
import {
  makeRootCertificate,
  makeServerCertificate,
  ROOT_CERTIFICATE_LENGTH,
  SERVER_CERTIFICATE_LENGTH,
  verifyServerCertificate,
} from '../../protocol/xtt/certificate.ts';
import { emptyRegistry } from '../open-registry.ts';
import { FILES, pathOf } from './files.ts';
import { rootCertificate, routerCertificate } from './x509.ts';

const KEY_LENGTH = 121;

/** What the running fabric needs of its keys; the two root keys stay in their files. */
export interface Authority {
  /** 81 bytes. */
  readonly xttRoot: Uint8Array;
  /** 169 bytes. */
  readonly serverCertificate: Uint8Array;
  /** 32 bytes. */
  readonly serverKey: Uint8Array;
  readonly router: { readonly certificate: string; readonly key: string };
}

/**
 * Founds a fabric: keys, certificates, trust bundle and empty registry in a folder that was not there or was empty;
 * complete or not at all. Returns the path of the trust bundle.
 * @throws Failure `fabric.already-initialised`, `os.write-failed`, `os.disk-full`
 */
export async function foundAuthority(data: string, actor: string): Promise<string> {
  const xttRootKey = generateP256();
  const serverKey = generateP256();
  const rootId = new Uint8Array(randomBytes(16));
  const xttRoot = makeRootCertificate(rootId, xttRootKey.publicKey);
  const server = await makeServerCertificate(
    { rootId, publicKey: serverKey.publicKey },
    ecdsaSigner(xttRootKey.secret),
  );
  const root = { name: 'ENF TLS root', key: privateKey(generateP256()) };
  const router = { name: 'ENF router', key: privateKey(generateP256()) };
  const tlsRoot = rootCertificate(root);
  const files: NewFile[] = [
    { name: FILES.xttRootKey, content: encodeEcPrivateKey(xttRootKey.secret, xttRootKey.publicKey) },
    { name: FILES.xttRoot, content: xttRoot, mode: 0o644 },
    { name: FILES.xttServerKey, content: encodeEcPrivateKey(serverKey.secret, serverKey.publicKey) },
    { name: FILES.xttServer, content: server, mode: 0o644 },
    { name: FILES.tlsRootKey, content: pem(root.key) },
    { name: FILES.tlsRoot, content: tlsRoot, mode: 0o644 },
    { name: FILES.routerKey, content: pem(router.key) },
    { name: FILES.router, content: routerCertificate(router, root), mode: 0o644 },
    { name: FILES.trust, content: encodeTrust({ xttRoot, tlsRoot }), mode: 0o644 },
    { name: FILES.registry, content: emptyRegistry(actor) },
  ];
  try {
    await createFolder(data, files);
  } catch (error) {
    throw error instanceof Failure && error.code === 'os.exists' ? alreadyInitialised(data, error) : error;
  } finally {
    wipe(xttRootKey.secret, serverKey.secret);
  }
  return pathOf(data, 'trust');
}

/** The folder that a fabric is to be put in has something in it. */
export function alreadyInitialised(data: string, cause?: unknown): Failure {
  return new Failure('fabric.already-initialised', 'operator', `${data} is not empty, nothing was changed`, {
    action: 'Choose another folder with --data. A fabric whose keys are overwritten loses all its devices.',
    cause,
  });
}

/**
 * Reads what `serve` needs and checks that it fits together.
 * @throws Failure `fabric.not-initialised`, `fabric.bad-authority`, `os.not-readable`, `os.bad-length`
 */
export async function loadAuthority(data: string): Promise<Authority> {
  const path = (name: string): string => join(data, name);
  try {
    const xttRoot = await readExact(path(FILES.xttRoot), 'XTT root certificate', ROOT_CERTIFICATE_LENGTH);
    const serverCertificate = await readExact(
      path(FILES.xttServer),
      'XTT server certificate',
      SERVER_CERTIFICATE_LENGTH,
    );
    const keyFile = await readExact(path(FILES.xttServerKey), 'XTT server key', KEY_LENGTH);
    const serverKey = parseEcPrivateKey(keyFile).secret;
    const router = {
      certificate: text(await readBounded(path(FILES.router), 'router certificate')),
      key: text(await readBounded(path(FILES.routerKey), 'router key')),
    };
    checkServer(data, xttRoot, serverCertificate, serverKey);
    return { xttRoot, serverCertificate, serverKey, router };
  } catch (error) {
    if (error instanceof Failure && error.code === 'os.no-file') {
      throw new Failure('fabric.not-initialised', 'operator', `${data} holds no fabric: ${error.message}`, {
        action: 'Run "enf-fabric init" first, or name the data folder with --data.',
        cause: error,
      });
    }
    throw error;
  }
}

function checkServer(data: string, root: Uint8Array, certificate: Uint8Array, key: Uint8Array): void {
  const own = publicKeyOf(key);
  try {
    const certified = verifyServerCertificate(primitives, certificate, [root]);
    if (own.every((byte, i) => byte === certified[i])) return;
  } catch (error) {
    throw badAuthority(data, 'the server certificate is not signed by the XTT root', error);
  }
  throw badAuthority(data, 'the server key is not the one in the server certificate');
}

function badAuthority(data: string, what: string, cause?: unknown): Failure {
  return new Failure(
    'fabric.bad-authority',
    'operator',
    `the files in ${data} do not belong together: ${what}`,
    {
      action: 'Restore the folder from a backup; do not mix files of two fabrics.',
      cause,
    },
  );
}

function privateKey(pair: { secret: Uint8Array; publicKey: Uint8Array }): KeyObject {
  const der = Buffer.from(encodeEcPrivateKey(pair.secret, pair.publicKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'sec1' });
  wipe(der, pair.secret);
  return key;
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
