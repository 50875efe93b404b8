import { Failure } from '../../protocol/failure.ts';
import { decodeUtf8, encodeUtf8 } from '../../protocol/utf8.ts';
import { damaged, notABackup } from './failures.ts';
import { type Entry, isSafeName, LARGEST_FILE } from './tar.ts';

/** The first file of a backup. */
export const MANIFEST_NAME = 'enf-fabric-backup.json';
export const LARGEST_MANIFEST = 1_048_576;
/** Each owner may have some keys of CAs. */
export const MOST_FILES = 9_000;
const VERSION = 1;

/** What a backup holds. */
export interface Manifest {
  readonly version: number;
  /** ISO 8601. */
  readonly created: string;
  /** Of the program that wrote it. */
  readonly program: string;
  /** The newest audit entry: its number and its hash in hex. */
  readonly audit: { readonly entries: number; readonly head: string };
  readonly networks: number;
  readonly groups: number;
  readonly devices: number;
  /** The files behind this one, in this order. */
  readonly files: readonly Pick<Entry, 'name' | 'size'>[];
}

export function encodeManifest(manifest: Omit<Manifest, 'version'>): Uint8Array {
  return encodeUtf8(`${JSON.stringify({ version: VERSION, ...manifest }, null, 1)}\n`);
}

/** @throws Failure `backup.newer-format`, `backup.not-a-backup`, `backup.damaged` */
export function parseManifest(bytes: Uint8Array): Manifest {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(decodeUtf8(bytes) ?? '') as Manifest;
  } catch (error) {
    throw notABackup(error);
  }
  const { version } = manifest ?? {};
  if (typeof version === 'number' && version > VERSION) {
    throw new Failure(
      'backup.newer-format',
      'operator',
      `the backup has format ${version}, this program knows ${VERSION}`,
      { action: 'Use the version of enf-fabric that wrote it.' },
    );
  }
  if (!isManifest(manifest)) throw damaged('its table of contents is malformed');
  return manifest;
}

function isManifest(value: Manifest): boolean {
  return (
    value?.version === VERSION &&
    typeof value.created === 'string' &&
    !Number.isNaN(Date.parse(value.created)) &&
    typeof value.program === 'string' &&
    isCount(value.audit?.entries) &&
    /^[0-9a-f]{64}$/.test(value.audit.head) &&
    [value.networks, value.groups, value.devices].every(isCount) &&
    Array.isArray(value.files) &&
    value.files.length <= MOST_FILES &&
    value.files.every(isFile) &&
    new Set(value.files.map(({ name }) => name)).size === value.files.length
  );
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const isFile = (file: Manifest['files'][number]): boolean =>
  typeof file?.name === 'string' && isSafeName(file.name) && isCount(file.size) && file.size <= LARGEST_FILE;
