import { createHash, createPublicKey } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { primitives } from '../../crypto/primitives.ts';
import { createFolder } from '../../os/files/create.ts';
import { syncFolder, writeDurable, writeFailure } from '../../os/files/durable.ts';
import { readIfThere } from '../../os/files/read.ts';
import { equal, toHex, wipe } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import {
  encodeRootSet,
  MOST_ROOTS,
  MOST_TLS_ROOT,
  type RootPair,
  verifyRootUpdate,
} from '../../protocol/identity/root-update.ts';
import { isFabricRoot, toPem } from '../../protocol/identity/roots.ts';
import { encodeTrust } from '../../protocol/identity/trust.ts';
import {
  parseRootCertificate,
  parseServerCertificate,
  verifyServerCertificate,
} from '../../protocol/xtt/certificate.ts';
import {
  type Authority,
  certificateIn,
  isFor,
  loadAuthority,
  MOST_ROOTS_EVER,
  newestRoot,
  nextKey,
  oldestRoot,
  type Root,
  readPair,
} from './authority.ts';
import { FILES, pathOf, rootFolder, updateFile } from './files.ts';
import { makeRoot, wipeFiles } from './found.ts';
import { newTlsKey, newXttKey, readTlsKey, readXttKey, spkiOf } from './keys.ts';
import { encodePublicKey, hex, REQUEST, type SigningAnswer, type SigningRequest } from './signing.ts';

/*
 * How the files of a fabric change. Each change has one step that makes it so, and a power cut before or after it leaves something that loads:
 *
 * - a certificate: its key waits as `….key.next`; the certificate takes the place of the former one (the step); then the key does.
 * - roots: `root-N` is completed, and counts for nothing until `root-update-V` names it (the step).
 */

/** Finishes what a power cut has left: keys that wait beside their certificates, and a trust bundle that is behind the roots. */
export async function settle(data: string, authority: Authority): Promise<void> {
  for (const { number, server } of authority.roots) {
    const path = join(rootFolder(data, number), FILES.xttServerKey);
    const { publicKey } = parseServerCertificate(server.certificate);
    const next = await ifThere(() => readXttKey(nextKey(path)));
    if (next !== undefined && equal(next.publicKey, publicKey)) await takePlace(path);
  }
  const folder = rootFolder(data, newestRoot(authority).number);
  const next = await ifThere(() => readTlsKey(nextKey(join(folder, FILES.routerKey))));
  const shown = certificateIn(authority.router.certificate, join(folder, FILES.router));
  if (next !== undefined && shown.checkPrivateKey(next)) await takePlace(join(folder, FILES.routerKey));
  await keepTrust(data, authority);
}

/** A new key for the identity server under a root: what that root is to sign. */
export async function prepareServer(data: string, root: Root): Promise<SigningRequest> {
  const { file, publicKey } = newXttKey();
  await writeDurable(nextKey(join(rootFolder(data, root.number), FILES.xttServerKey)), file);
  wipe(file);
  return { ...requestTo(root), kind: 'xtt-server', publicKey: toHex(publicKey) };
}

/** A new key for the router: what the newest root is to sign. `untilMs`: when the certificate ends; it does not unless given. */
export async function prepareRouter(
  data: string,
  authority: Authority,
  untilMs?: number,
): Promise<SigningRequest> {
  const root = newestRoot(authority);
  requireOwn(authority);
  const { file, key } = newTlsKey();
  await writeDurable(nextKey(join(rootFolder(data, root.number), FILES.routerKey)), file);
  const publicKey = encodePublicKey(spkiOf(createPublicKey(key)));
  const until = untilMs === undefined ? {} : { until: new Date(untilMs).toISOString() };
  return { ...requestTo(root), kind: 'router', publicKey, ...until };
}

/** The next pair of roots, beside the newest one: what that is to sign. @throws Failure `roots.too-many`, `roots.foreign` */
export async function prepareRoots(data: string, authority: Authority): Promise<SigningRequest> {
  const newest = newestRoot(authority);
  const inForce = authority.roots.filter((root) => root.inForce);
  if (inForce.length >= MOST_ROOTS) throw tooMany(inForce[0]!.number);
  if (authority.roots.length >= MOST_ROOTS_EVER) throw tooManyEver();
  requireOwn(authority);
  const number = newest.number + 1;
  const folder = rootFolder(data, number);
  const made = await makeRoot(number);
  try {
    // One that no update names: of a request that was given up.
    await rm(folder, { recursive: true, force: true }).catch((error: unknown) => {
      throw writeFailure(folder, error);
    });
    await createFolder(folder, made.files);
  } finally {
    wipeFiles(made.files);
  }
  const pair = await readPair(folder);
  const set = nextSet(authority, [...inForce.map(({ pair: each }) => each), pair]);
  return { ...requestTo(newest), kind: 'roots', set, publicKey: tlsKeyOf(pair) };
}

/** What devices trust is the root here, and the router is signed by it: else they would not know what takes its place. @throws Failure `roots.foreign` */
function requireOwn(authority: Authority): void {
  const { tlsRoot } = newestRoot(authority).pair;
  const root = certificateIn(toPem(tlsRoot), FILES.tlsRoot);
  const own = certificateIn(authority.router.certificate, FILES.router).checkIssued(root);
  if (!own || !isFabricRoot(tlsRoot) || tlsRoot.length > MOST_TLS_ROOT) throw foreign();
}

/** The end of an older root: what the newest one is to sign. @throws Failure `roots.not-in-force`, `roots.newest` */
export function prepareEnd(authority: Authority, number: number): SigningRequest {
  const newest = newestRoot(authority);
  const ending = authority.roots.find((root) => root.number === number && root.inForce);
  if (ending === undefined) throw notInForce(number);
  if (ending === newest) throw isNewest(number);
  const left = authority.roots.filter((root) => root.inForce && root !== ending).map(({ pair }) => pair);
  return { ...requestTo(newest), kind: 'roots', set: nextSet(authority, left) };
}

const requestTo = ({ number, pair }: Root) =>
  ({ format: REQUEST, root: number, rootId: toHex(parseRootCertificate(pair.xttRoot).id) }) as const;

const nextSet = ({ version }: Authority, roots: readonly RootPair[]): string =>
  toHex(encodeRootSet({ version: version + 1, roots }));

const tlsKeyOf = ({ tlsRoot }: RootPair): string =>
  encodePublicKey(spkiOf(certificateIn(toPem(tlsRoot), 'TLS root').publicKey));

/**
 * Puts in place what was signed, and returns what the fabric has then. An answer to a request that was followed by another one, or of other
 * keys, changes nothing. @throws Failure `signing.not-expected`, `os.…`
 */
export async function install(data: string, authority: Authority, answer: SigningAnswer): Promise<Authority> {
  const root = authority.roots.find(({ number }) => number === answer.root);
  if (root === undefined) throw notExpected(`it is of root ${answer.root}`);
  if (answer.kind !== 'xtt-server' && root !== newestRoot(authority))
    throw notExpected(`root ${answer.root} is not the newest any more`);
  if ('update' in answer) await installRoots(data, authority, hex(answer.update), answer.cross);
  else if (answer.kind === 'router') await installRouter(data, root, answer.certificate);
  else await installServer(data, root, hex(answer.certificate));
  const now = await loadAuthority(data);
  await keepTrust(data, now);
  return now;
}

async function installServer(data: string, { number, pair }: Root, certificate: Uint8Array): Promise<void> {
  const path = join(rootFolder(data, number), FILES.xttServerKey);
  const next = await ifThere(() => readXttKey(nextKey(path)));
  if (next === undefined || !isServerFor(certificate, pair, next.publicKey))
    throw notExpected('its key is not the one that waits for a certificate, or another root has signed it');
  await writeDurable(join(rootFolder(data, number), FILES.xttServer), certificate, 0o644);
  await takePlace(path);
}

function isServerFor(certificate: Uint8Array, { xttRoot }: RootPair, publicKey: Uint8Array): boolean {
  try {
    return equal(verifyServerCertificate(primitives, certificate, [xttRoot]), publicKey);
  } catch (error) {
    if (isFailure(error)) return false;
    throw error;
  }
}

async function installRouter(data: string, { number, pair }: Root, certificate: string): Promise<void> {
  const folder = rootFolder(data, number);
  const path = join(folder, FILES.routerKey);
  const next = await ifThere(() => readTlsKey(nextKey(path)));
  if (next === undefined || !isSigned(certificate, spkiOf(createPublicKey(next)), pair))
    throw notExpected('its key is not the one that waits for a certificate, or another root has signed it');
  await writeDurable(join(folder, FILES.router), certificate, 0o644);
  await takePlace(path);
}

async function installRoots(
  data: string,
  authority: Authority,
  update: Uint8Array,
  cross: string | undefined,
): Promise<void> {
  const newest = newestRoot(authority);
  const folder = rootFolder(data, newest.number + 1);
  const prepared = await ifThere(() => readPair(folder));
  const inForce = authority.roots.filter((root) => root.inForce).map(({ pair }) => pair);
  const expected =
    cross === undefined
      ? authority.roots
          .filter((root) => root.inForce)
          .map((ending) => inForce.filter((pair) => pair !== ending.pair))
      : prepared && [[...inForce, prepared]];
  const sets = (expected ?? []).filter(({ length }) => length > 0).map((roots) => nextSet(authority, roots));
  if (!sets.some((set) => toHex(update).startsWith(set)))
    throw notExpected('its roots are not those that were asked for');
  // Before it is on the disk: there it counts.
  requireSigned(authority, update);
  if (cross !== undefined) {
    if (!isSigned(cross, spkiOf(certificateIn(toPem(prepared!.tlsRoot), folder).publicKey), newest.pair))
      throw notExpected('its cross certificate is not that of the next TLS root');
    await writeDurable(join(folder, FILES.crossRoot), cross, 0o644);
  }
  await writeDurable(updateFile(data, authority.version + 1), update, 0o644);
}

/** @throws Failure `signing.not-expected` */
function requireSigned(authority: Authority, update: Uint8Array): void {
  const { version, roots } = authority;
  const xttRoots = roots.filter((root) => root.inForce).map(({ pair }) => pair.xttRoot);
  try {
    verifyRootUpdate(primitives, update, { version, xttRoots });
  } catch (error) {
    throw isFailure(error) ? notExpected(error.message) : error;
  }
}

/** True if the text is a certificate for this key that the TLS root of the pair has signed. */
function isSigned(pem: string, spki: Uint8Array, { tlsRoot }: RootPair): boolean {
  try {
    const certificate = certificateIn(pem, 'answer');
    const root = certificateIn(toPem(tlsRoot), 'root');
    return isFor(certificate, spki) && certificate.checkIssued(root) && certificate.verify(root.publicKey);
  } catch (error) {
    if (isFailure(error)) return false;
    throw error;
  }
}

/** The bundle for the factory has the root that C devices are served with: every device can begin with that one, and learns of others. */
async function keepTrust(data: string, authority: Authority): Promise<void> {
  if (authority.version === 1) return;
  const { pair } = oldestRoot(authority);
  const text = encodeTrust({ xttRoot: pair.xttRoot, tlsRoot: toPem(pair.tlsRoot) });
  const path = pathOf(data, 'trust');
  const there = await readIfThere(path, 'trust bundle');
  if (there === undefined || new TextDecoder().decode(there) !== text) await writeDurable(path, text, 0o644);
}

/** The key that waited becomes the one in use. */
async function takePlace(path: string): Promise<void> {
  try {
    await rename(nextKey(path), path);
    await syncFolder(join(path, '..'));
  } catch (error) {
    throw writeFailure(path, error);
  }
}

async function ifThere<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isFailure(error, 'os.no-file')) return undefined;
    throw error;
  }
}

/** SHA-256 of the files of a root's keys, which say that somebody has them without giving them away. 64 hex digits each; absent: it is not there. */
export interface RootKeyDigests {
  readonly xtt?: string | undefined;
  readonly tls?: string | undefined;
}

/** @throws Failure `os.…` */
export async function rootKeyDigests(folder: string): Promise<RootKeyDigests> {
  const digest = async (name: string): Promise<string | undefined> => {
    const file = await readIfThere(join(folder, name), 'key of a root');
    if (file === undefined) return undefined;
    const hash = createHash('sha256').update(file).digest('hex');
    wipe(file);
    return hash;
  };
  return { xtt: await digest(FILES.xttRootKey), tls: await digest(FILES.tlsRootKey) };
}

/**
 * Takes the private keys of a root out of the data folder, of which somebody has copies with these digests; also what a power cut has left of
 * them. False if none was there. @throws Failure `roots.keys-differ`, `os.…`
 */
export async function dropRootKeys(data: string, number: number, copies: RootKeyDigests): Promise<boolean> {
  const folder = rootFolder(data, number);
  const here = await rootKeyDigests(folder);
  for (const name of ['xtt', 'tls'] as const)
    if (here[name] !== undefined && here[name] !== copies[name]) throw differ(number);
  try {
    for (const name of [FILES.xttRootKey, FILES.tlsRootKey]) await rm(join(folder, name), { force: true });
    await syncFolder(folder);
  } catch (error) {
    throw writeFailure(folder, error);
  }
  return here.xtt !== undefined || here.tls !== undefined;
}

function tooMany(oldest: number): Failure {
  return new Failure(
    'roots.too-many',
    'operator',
    `${MOST_ROOTS} roots are in force: there may be no third one`,
    {
      action: `Declare the end of the oldest one first: "enf-fabric root end ${oldest}".`,
    },
  );
}

function tooManyEver(): Failure {
  return new Failure(
    'roots.too-many',
    'operator',
    `this fabric has had ${MOST_ROOTS_EVER} roots: each makes the chain that its router sends longer`,
    { action: 'Keep the newest root, or move the devices to a new fabric.' },
  );
}

function notInForce(number: number): Failure {
  return new Failure('roots.not-in-force', 'operator', `root ${number} is not in force`, {
    action: 'See which are: "enf-fabric certificate list".',
  });
}

function isNewest(number: number): Failure {
  return new Failure('roots.newest', 'operator', `root ${number} is the newest one: nothing would be left`, {
    action: 'Make the next one first ("enf-fabric root rotate"), and give the devices time to learn of it.',
  });
}

function notExpected(why: string): Failure {
  return new Failure(
    'signing.not-expected',
    'operator',
    `the answer does not belong to what was asked for: ${why}`,
    {
      action:
        'Nothing was changed. Ask anew with --request, sign that with the keys of the root that it names, and install the answer.',
    },
  );
}

function foreign(): Failure {
  return new Failure(
    'roots.foreign',
    'operator',
    "the router's certificate or its root was not made by this program",
    {
      action:
        'Replace it where it was made: router.pem and router.key in the data folder, and remote.tls-root of the devices.',
    },
  );
}

function differ(number: number): Failure {
  return new Failure(
    'roots.keys-differ',
    'operator',
    `the copies are not those of the keys of root ${number}`,
    {
      action: 'Nothing was removed. Export into an empty folder.',
    },
  );
}
