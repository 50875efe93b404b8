import { randomBytes } from 'node:crypto';
import { createFolder, type NewFile } from '../../os/files/create.ts';
import { wipe } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { rootName } from '../../protocol/identity/roots.ts';
import { encodeTrust } from '../../protocol/identity/trust.ts';
import { makeRootCertificate, makeServerCertificate } from '../../protocol/xtt/certificate.ts';
import { emptyRegistry } from '../open-registry.ts';
import { FILES, pathOf } from './files.ts';
import { newTlsKey, newXttKey, xttSigner } from './keys.ts';
import { ROUTER_NAME, rootCertificate, routerCertificate } from './x509.ts';

/** A root that was just made. */
export interface MadeRoot {
  readonly files: readonly NewFile[];
  /** 81 bytes. */
  readonly xttRoot: Uint8Array;
  /** PEM. */
  readonly tlsRoot: string;
}

/** Root N with a server and a router under it: keys and certificates. */
export async function makeRoot(number: number): Promise<MadeRoot> {
  const [xttKey, serverKey] = [newXttKey(), newXttKey()];
  const rootId = new Uint8Array(randomBytes(16));
  const xttRoot = makeRootCertificate(rootId, xttKey.publicKey);
  const server = await makeServerCertificate(
    { rootId, publicKey: serverKey.publicKey },
    xttSigner(xttKey.file),
  );
  const [tlsKey, routerKey] = [newTlsKey(), newTlsKey()];
  const root = { name: rootName(number), key: tlsKey.key };
  const tlsRoot = rootCertificate(root);
  const files: NewFile[] = [
    { name: FILES.xttRootKey, content: xttKey.file },
    { name: FILES.xttRoot, content: xttRoot, mode: 0o644 },
    { name: FILES.xttServerKey, content: serverKey.file },
    { name: FILES.xttServer, content: server, mode: 0o644 },
    { name: FILES.tlsRootKey, content: tlsKey.file },
    { name: FILES.tlsRoot, content: tlsRoot, mode: 0o644 },
    { name: FILES.routerKey, content: routerKey.file },
    {
      name: FILES.router,
      content: routerCertificate({ name: ROUTER_NAME, key: routerKey.key }, root),
      mode: 0o644,
    },
  ];
  return { files, xttRoot, tlsRoot };
}

/** Takes the keys of XTT in the files out of memory, once they are written. */
export function wipeFiles(files: readonly NewFile[]): void {
  for (const { name, content } of files)
    if (name.endsWith('.key') && typeof content !== 'string') wipe(content);
}

/**
 * Founds a fabric: keys, certificates, trust bundle and empty registry in a folder that was not there or was empty;
 * complete or not at all. Returns the path of the trust bundle.
 * @throws Failure `fabric.already-initialised`, `os.write-failed`, `os.disk-full`
 */
export async function foundAuthority(data: string, actor: string): Promise<string> {
  const { files, xttRoot, tlsRoot } = await makeRoot(1);
  try {
    await createFolder(data, [
      ...files,
      { name: FILES.trust, content: encodeTrust({ xttRoot, tlsRoot }), mode: 0o644 },
      { name: FILES.registry, content: emptyRegistry(actor) },
    ]);
  } catch (error) {
    throw isFailure(error, 'os.exists') ? alreadyInitialised(data, error) : error;
  } finally {
    wipeFiles(files);
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
