import { primitives } from '../../crypto/primitives.ts';
import type { Folder } from '../../os/files/folder.ts';
import { toHex } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { parseIpv6 } from '../../protocol/ipv6.ts';

/**
 * What a device must remember: two files that are written in turn, each with a generation and a checksum over all of
 * it, so that after a power cut at any point the old or the new record is there.
 *
 *   enf-agent-state 1 <generation> <SHA-256 of "<generation>\n" ‖ body, hex>\n
 *   <body: JSON>
 *
 * Fields this version does not know are kept, so that a downgrade loses nothing.
 */

/** A longterm key as it is kept: a TSS2 PEM that only its TPM can load, or the 121 bytes of RFC 5915 in hex. */
export type SavedKey =
  | { readonly kind: 'tpm'; readonly pem: string }
  | { readonly kind: 'software'; readonly der: string };

export interface SavedIdentity {
  /** RFC 5952 text. */
  readonly address: string;
  /** The identity certificate, DER in hex. */
  readonly certificate: string;
  readonly key: SavedKey;
  /** When it was given, by the clock of then: ISO 8601. Only to be shown. */
  readonly provisioned?: string;
  /** False if a program has signed for it: the member's secret is sealed in the TPM, or in a file. Only to be shown. */
  readonly resident?: boolean;
}

/** A certificate of a CA that the device has got itself. */
export interface SavedCertificate {
  /** RFC 5952 text. */
  readonly address: string;
  /** Its own, then those above it but the root: DER in hex. */
  readonly chain: readonly string[];
  readonly key: SavedKey;
}

/** What `enf-agent enroll` and the renewals after it have made. */
export interface Enrolment {
  readonly current?: SavedCertificate;
  /** The one before, until the fabric has taken `current`. */
  readonly former?: SavedCertificate;
  /** The key of the next certificate; kept before it is used, so that an interrupted enrolment goes on with it. */
  readonly pending?: SavedKey;
}

export interface DeviceRecord {
  readonly identity?: SavedIdentity;
  /** The key of a provisioning that has begun; kept before it is used, so that an interrupted one goes on with it. */
  readonly pending?: SavedKey;
  readonly enrolment?: Enrolment;
  readonly [unknown: string]: unknown;
}

export interface Store {
  /** The newest record; `{}` on a new device. */
  readonly record: DeviceRecord;
  /** 0 on a new device, one more at each save. */
  readonly generation: number;
  /** Unreadable files that were renamed at opening. */
  readonly quarantined: readonly string[];
  /** Replaces the record durably. @throws Failure `os.disk-full`, `os.write-failed`; then the old record stays */
  save(record: DeviceRecord): Promise<void>;
  /** The same with what `change` makes of the record that is there when all earlier saves are through. */
  update(change: (record: DeviceRecord) => DeviceRecord): Promise<void>;
}

/** The files that are written in turn. */
export const STATE_FILES = ['state-0', 'state-1'] as const;
const HEADER = /^enf-agent-state (\d{1,4}) (\d{1,15}) ([0-9a-f]{64})\n/;
const VERSION = 1;

interface Generation {
  readonly file: number;
  readonly generation: number;
  readonly record: DeviceRecord;
}

/**
 * Reads both files and takes the newer intact one. One that is damaged is renamed to `….bad-N`, never
 * deleted and never taken for a new device's absence of state: `quarantined` names it.
 * @throws Failure `state.newer-version` (untouched), `os.not-readable`
 */
export async function openStore(folder: Folder): Promise<Store> {
  const present = await folder.list();
  const quarantined: string[] = [];
  const good: Generation[] = [];
  let unreadable: unknown;
  for (const [file, name] of STATE_FILES.entries()) {
    if (!present.includes(name)) continue;
    let bytes: Uint8Array;
    try {
      bytes = await folder.read(name);
    } catch (error) {
      unreadable = error;
      continue;
    }
    const parsed = readGeneration(bytes, `${folder.path}/${name}`);
    if (parsed) good.push({ file, ...parsed });
    else quarantined.push(await quarantine(folder, name, present));
  }
  // A disk error is not an empty disk: without another copy, wait for a person.
  if (good.length === 0 && unreadable !== undefined) throw unreadable;
  good.sort((a, b) => b.generation - a.generation);

  let current: Generation = good[0] ?? { file: 1, generation: 0, record: {} };
  let turn: Promise<unknown> = Promise.resolve();
  // One after the other: each writes the file that the one before has not.
  const update = (change: (record: DeviceRecord) => DeviceRecord): Promise<void> => {
    const saved = turn.then(async () => {
      const record = change(current.record);
      const next = { file: 1 - current.file, generation: current.generation + 1, record };
      await folder.write(STATE_FILES[next.file]!, serialize(next.generation, record));
      current = next;
    });
    turn = saved.catch(() => {});
    return saved;
  };
  return {
    get record() {
      return current.record;
    },
    get generation() {
      return current.generation;
    },
    quarantined,
    save: (record) => update(() => record),
    update,
  };
}

/** Removes everything the store keeps, also renamed files. */
export async function forgetStore(folder: Folder): Promise<void> {
  for (const name of await folder.list()) {
    if (/^state-[01](\.bad-\d+)?$/.test(name)) await folder.remove(name);
  }
}

function serialize(generation: number, record: DeviceRecord): Uint8Array {
  const body = `${JSON.stringify(record, null, 1)}\n`;
  return new TextEncoder().encode(
    `enf-agent-state ${VERSION} ${generation} ${checksum(generation, body)}\n${body}`,
  );
}

const checksum = (generation: number, body: string): string =>
  toHex(primitives.sha256(new TextEncoder().encode(`${generation}\n${body}`)));

/** Undefined for anything that is not an intact, valid file. @throws Failure `state.newer-version` */
export function readGeneration(bytes: Uint8Array, path: string): Omit<Generation, 'file'> | undefined {
  const text = new TextDecoder().decode(bytes);
  const header = HEADER.exec(text);
  if (!header) return undefined;
  const generation = Number(header[2]);
  const body = text.slice(header[0].length);
  if (checksum(generation, body) !== header[3]) return undefined;
  if (Number(header[1]) !== VERSION) {
    throw new Failure(
      'state.newer-version',
      'operator',
      `${path}: expected format ${VERSION}, got ${header[1]}`,
      {
        action:
          'Install the version of enf-agent that wrote it, or run "enf-agent forget --yes" to provision again.',
      },
    );
  }
  try {
    const record: unknown = JSON.parse(body);
    return isRecord(record) ? { generation, record } : undefined;
  } catch {
    return undefined;
  }
}

async function quarantine(folder: Folder, name: string, present: readonly string[]): Promise<string> {
  let n = 1;
  while (present.includes(`${name}.bad-${n}`)) n++;
  const aside = `${name}.bad-${n}`;
  try {
    await folder.rename(name, aside);
    return aside;
  } catch (error) {
    // On a read-only disk a device with one good copy must still come up.
    if (isFailure(error)) return name;
    throw error;
  }
}

type Json = { readonly [key: string]: unknown };

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function isRecord(value: unknown): value is DeviceRecord {
  return (
    isObject(value) &&
    (value.identity === undefined || isIdentity(value.identity)) &&
    (value.pending === undefined || isKey(value.pending)) &&
    (value.enrolment === undefined || isEnrolment(value.enrolment))
  );
}

function isEnrolment(value: unknown): boolean {
  return (
    isObject(value) &&
    (value.current === undefined || isCertificate(value.current)) &&
    (value.former === undefined || isCertificate(value.former)) &&
    (value.pending === undefined || isKey(value.pending))
  );
}

function isCertificate(value: unknown): boolean {
  if (!isObject(value) || !isAddress(value.address) || !isKey(value.key)) return false;
  const { chain } = value;
  return Array.isArray(chain) && chain.length > 0 && chain.every(isHex);
}

function isIdentity(value: unknown): boolean {
  return isObject(value) && isAddress(value.address) && isHex(value.certificate) && isKey(value.key);
}

function isKey(value: unknown): boolean {
  if (!isObject(value)) return false;
  return value.kind === 'tpm' ? typeof value.pem === 'string' : value.kind === 'software' && isHex(value.der);
}

const isHex = (value: unknown): boolean =>
  typeof value === 'string' && value.length % 2 === 0 && /^[0-9a-f]+$/.test(value);

function isAddress(value: unknown): boolean {
  try {
    return typeof value === 'string' && parseIpv6(value).length === 16;
  } catch {
    return false;
  }
}
