import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { primitives } from '../../crypto/primitives.ts';
import { readBounded, readExact, readIfThere } from '../../os/files/read.ts';
import { equal } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { parseEcPrivateKey } from '../../protocol/identity/key-pair.ts';
import {
  type RootPair,
  type RootSet,
  samePair,
  verifyRootUpdate,
} from '../../protocol/identity/root-update.ts';
import { parseRoots } from '../../protocol/identity/roots.ts';
import {
  parseServerCertificate,
  ROOT_CERTIFICATE_LENGTH,
  SERVER_CERTIFICATE_LENGTH,
  verifyServerCertificate,
} from '../../protocol/xtt/certificate.ts';
import { FILES, rootFolder, updateFile } from './files.ts';

/** One of the fabric's roots, and what the fabric serves its devices with. */
export interface Root {
  /** 1 is what `init` makes; each rotation adds the next. */
  readonly number: number;
  readonly pair: RootPair;
  /** Devices are told to trust it; one whose end was declared is still served to those that trust no other. */
  readonly inForce: boolean;
  readonly server: {
    /** 169 bytes. */
    readonly certificate: Uint8Array;
    /** 32 bytes. */
    readonly key: Uint8Array;
  };
}

/** What the running fabric needs of its keys; those of the roots stay in their files. */
export interface Authority {
  /** Oldest first. */
  readonly roots: readonly Root[];
  /** Of the set that is in force: 1 until roots are rotated. */
  readonly version: number;
  /** The signed updates to version 2, 3, … */
  readonly updates: readonly Uint8Array[];
  /** PEM. The certificate is a chain: the router's, then what leads from the newest root to the older ones. */
  readonly router: { readonly certificate: string; readonly key: string };
}

/** How many roots a fabric may ever have: each makes the router's chain longer by some 450 bytes. */
export const MOST_ROOTS_EVER = 8;

/** The newest one. */
export const newestRoot = ({ roots }: Authority): Root => roots.at(-1)!;

/** The oldest one that is in force: what C devices, which cannot learn of others, are served with. */
export const oldestRoot = ({ roots }: Authority): Root => roots.find(({ inForce }) => inForce)!;

/**
 * Reads what `serve` needs and checks that it fits together.
 * @throws Failure `fabric.not-initialised`, `fabric.bad-authority`, `os.not-readable`, `os.bad-length`
 */
export async function loadAuthority(data: string): Promise<Authority> {
  try {
    const pairs = [await readPair(data)];
    let set: RootSet = { version: 1, roots: pairs };
    const updates: Uint8Array[] = [];
    for (;;) {
      const update = await readIfThere(updateFile(data, set.version + 1), 'root update');
      if (update === undefined) break;
      set = followed(data, set, update);
      updates.push(update);
      for (const pair of set.roots) if (!pairs.some((known) => samePair(known, pair))) pairs.push(pair);
    }
    if (pairs.length > MOST_ROOTS_EVER) throw badAuthority(data, `more than ${MOST_ROOTS_EVER} roots`);
    const roots: Root[] = [];
    for (const [i, pair] of pairs.entries()) {
      const folder = rootFolder(data, i + 1);
      if (!samePair(await readPair(folder), pair)) throw badAuthority(data, `root ${i + 1} is another one`);
      const inForce = set.roots.some((each) => samePair(each, pair));
      roots.push({ number: i + 1, pair, inForce, server: await readServer(folder, pair) });
    }
    return { roots, version: set.version, updates, router: await readRouter(data, roots.length) };
  } catch (error) {
    if (isFailure(error, 'os.no-file')) {
      throw new Failure('fabric.not-initialised', 'operator', `${data} holds no fabric: ${error.message}`, {
        action: 'Run "enf-fabric init" first, or name the data folder with --data.',
        cause: error,
      });
    }
    throw error;
  }
}

function followed(data: string, set: RootSet, update: Uint8Array): RootSet {
  try {
    const xttRoots = set.roots.map(({ xttRoot }) => xttRoot);
    const next = verifyRootUpdate(primitives, update, { version: set.version, xttRoots });
    if (next.version === set.version + 1) return next;
  } catch (error) {
    throw badAuthority(data, `the update to version ${set.version + 1} of the roots is not valid`, error);
  }
  throw badAuthority(data, `the update to version ${set.version + 1} of the roots is one to another version`);
}

/** The roots whose files are in the folder. @throws Failure `os.…`, `tls.bad-root`, `fabric.bad-authority` */
export async function readPair(folder: string): Promise<RootPair> {
  const xttRoot = await readExact(
    join(folder, FILES.xttRoot),
    'XTT root certificate',
    ROOT_CERTIFICATE_LENGTH,
  );
  const path = join(folder, FILES.tlsRoot);
  const { certificates } = parseRoots(await readBounded(path, 'TLS root certificate'), path);
  return { xttRoot, tlsRoot: certificates[0]! };
}

async function readServer(folder: string, { xttRoot }: RootPair): Promise<Root['server']> {
  const path = join(folder, FILES.xttServer);
  const certificate = await readExact(path, 'XTT server certificate', SERVER_CERTIFICATE_LENGTH);
  const { publicKey } = parseServerCertificate(certificate);
  const key = await matching(join(folder, FILES.xttServerKey), 'XTT server key', (file) => {
    const pair = parseEcPrivateKey(file);
    return equal(pair.publicKey, publicKey) ? pair.secret : undefined;
  });
  try {
    verifyServerCertificate(primitives, certificate, [xttRoot]);
  } catch (error) {
    throw badAuthority(folder, 'the server certificate is not signed by the XTT root', error);
  }
  if (key === undefined)
    throw badAuthority(folder, 'the server key is not the one in the server certificate');
  return { certificate, key };
}

async function readRouter(data: string, newest: number): Promise<Authority['router']> {
  const folder = rootFolder(data, newest);
  const path = join(folder, FILES.router);
  let chain = await readText(path, 'router certificate');
  const leaf = certificateIn(chain, path);
  const key = await matching(join(folder, FILES.routerKey), 'router key', (file) => {
    const text = new TextDecoder().decode(file);
    return isKeyOf(text, leaf) ? text : undefined;
  });
  if (key === undefined)
    throw badAuthority(folder, "the router's key is not the one in the router's certificate");
  for (let number = newest; number > 1; number--)
    chain += await readText(join(rootFolder(data, number), FILES.crossRoot), 'certificate of the root');
  return { certificate: chain, key };
}

/**
 * What `read` makes of the key in the file, or of the one that was to take its place when the certificate had got its own (changes.ts).
 * @throws Failure `os.…`, and those of `read`
 */
async function matching<T>(
  path: string,
  what: string,
  read: (file: Uint8Array) => T | undefined,
): Promise<T | undefined> {
  const found = read(await readBounded(path, what));
  if (found !== undefined) return found;
  const next = await readIfThere(nextKey(path), what);
  return next && read(next);
}

/** Where a key waits until its certificate is there. */
export const nextKey = (path: string): string => `${path}.next`;

/** The first certificate in the text. @throws Failure `fabric.bad-authority` */
export function certificateIn(pem: string, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw badAuthority(path, 'it is no certificate', cause);
  }
}

function isKeyOf(pem: string, certificate: X509Certificate): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(pem));
  } catch {
    return false;
  }
}

/** True if the public key (SPKI, DER) is the one in the certificate. */
export const isFor = (certificate: X509Certificate, spki: Uint8Array): boolean =>
  equal(spki, new Uint8Array(certificate.publicKey.export({ type: 'spki', format: 'der' })));

async function readText(path: string, what: string): Promise<string> {
  return new TextDecoder().decode(await readBounded(path, what));
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
