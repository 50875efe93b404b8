import { digestOf, verifyAsMaker } from '../../crypto/maker-key.ts';
import { exists } from '../../os/files/folder.ts';
import { readBounded, readChunks } from '../../os/files/read.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { formatRosterHeader, parseRosterManifest, type RosterHeader } from '../../protocol/roster.ts';
import { decodeUtf8, encodeUtf8 } from '../../protocol/utf8.ts';
import { GROUP_FILE, type Group } from '../group/group.ts';
import { MANIFEST_FILE } from './close.ts';

/**
 * The roster of a closed batch as one file: its manifest with the maker's signature, and the devices (protocol/roster.ts). What is in the folder is
 * checked first: a fabric would refuse another one.
 * @throws Failure `factory.batch-open`, `factory.bad-manifest`, those of reading files
 */
export async function* rosterChunks(group: Group): AsyncGenerator<Uint8Array> {
  const folder = `${group.folder}/${GROUP_FILE.manifest}`;
  if (!(await exists(folder))) {
    throw new Failure('factory.batch-open', 'operator', `the batch ${group.name} is not closed`, {
      action: 'Close it first ("enf-factory batch close"): its devices are signed then.',
    });
  }
  const read = (name: string): Promise<Uint8Array> => readBounded(`${folder}/${name}`, 'manifest');
  const header = {
    manifest: await read(MANIFEST_FILE.manifest),
    signature: await read(MANIFEST_FILE.signature),
    maker: decodeUtf8(await read(MANIFEST_FILE.publicKey)) ?? '',
  };
  const devices = (): AsyncGenerator<Uint8Array> =>
    readChunks(`${folder}/${MANIFEST_FILE.devices}`, 'list of devices');
  const { sha256, bytes } = await digestOf(devices());
  const signed = signedManifest(header);
  if (signed?.sha256 !== sha256 || signed.bytes !== bytes) throw badManifest(folder);
  yield encodeUtf8(`${formatRosterHeader(header)}\n`);
  yield* devices();
}

/** Undefined if nobody has signed it. */
function signedManifest({ manifest, signature, maker }: RosterHeader) {
  try {
    return verifyAsMaker(maker, manifest, signature) ? parseRosterManifest(manifest) : undefined;
  } catch (error) {
    if (isFailure(error)) return undefined;
    throw error;
  }
}

const badManifest = (folder: string): Failure =>
  new Failure('factory.bad-manifest', 'operator', `the files in ${folder} are not those that were signed`, {
    action: 'Restore the folder from a backup.',
  });
