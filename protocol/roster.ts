import { Failure } from './failure.ts';
import { decodeBase64, encodeBase64 } from './identity/base64.ts';
import { MAX_COUNT } from './label.ts';
import { SERIAL } from './serial.ts';
import { decodeUtf8 } from './utf8.ts';

/*
 * A roster: the devices of a closed batch, signed by its maker, in one file that is read as a stream.
 *
 *     {"format":"enf-roster-1","manifest":"…","signature":"…","maker":"-----BEGIN PUBLIC KEY-----…"}
 *     {"serial":"GW-0001","pseudonym":"04…",…}
 *     …
 *
 * The first line holds the bytes of `manifest.json` and the 64 bytes of the Ed25519 signature over them, both in base64, and the maker's public key
 * in PEM. The lines behind it are the bytes of `devices.jsonl`, whose SHA-256 and length are in the manifest. Boxes have the devices in the order of
 * these lines, `perBox` in each.
 */

/** The first line of a roster, as bytes and text. */
export interface RosterHeader {
  /** The bytes of manifest.json. */
  readonly manifest: Uint8Array;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
  /** SubjectPublicKeyInfo in PEM. */
  readonly maker: string;
}

/** What a manifest says that a roster needs. */
export interface RosterManifest {
  readonly name: string;
  /** 64 hex digits. */
  readonly gid: string;
  readonly devices: number;
  /** Devices without a pseudonym, which cannot be told from others. */
  readonly unnamed: number;
  /** Devices in a box; undefined: nobody has said. */
  readonly perBox?: number | undefined;
  /** Of the lines, 64 hex digits. */
  readonly sha256: string;
  readonly bytes: number;
}

/** A device of a roster. */
export interface RosterDevice {
  /** The point K under the group's basename, 65 bytes in hex; undefined: made before journals had it. */
  readonly pseudonym: string | undefined;
  readonly serial: string | undefined;
  /** Whether its chip made the member's key and keeps it; undefined: nobody has said. */
  readonly resident: boolean | undefined;
}

export const ROSTER_FORMAT = 'enf-roster-1';
export const MANIFEST_FORMAT = 'enf-manifest-1';
/** Bytes of the first line, and of each line behind it, without their ends. */
export const LONGEST_HEADER = 4_096;
export const LONGEST_ROW = 4_096;
/** Devices of a box. */
export const MOST_IN_A_BOX = 100_000;
const SIGNATURE_LENGTH = 64;

/** The first line, without its end. */
export const formatRosterHeader = ({ manifest, signature, maker }: RosterHeader): string =>
  JSON.stringify({
    format: ROSTER_FORMAT,
    manifest: encodeBase64(manifest),
    signature: encodeBase64(signature),
    maker,
  });

/** @throws Failure `roster.bad-header` */
export function parseRosterHeader(line: string): RosterHeader {
  const { format, manifest, signature, maker } = line.length > LONGEST_HEADER ? {} : fieldsOf(line);
  if (format !== ROSTER_FORMAT) throw badHeader(`its format is not ${ROSTER_FORMAT}`);
  const bytes = typeof manifest === 'string' ? decodeBase64(manifest) : undefined;
  const signed = typeof signature === 'string' ? decodeBase64(signature) : undefined;
  if (bytes === undefined) throw badHeader('its manifest is not in base64');
  if (signed?.length !== SIGNATURE_LENGTH)
    throw badHeader(`its signature has not ${SIGNATURE_LENGTH} bytes in base64`);
  if (typeof maker !== 'string') throw badHeader("the maker's key is missing");
  return { manifest: bytes, signature: signed, maker };
}

/** Reads what was signed; whether it was, the caller has looked. @throws Failure `roster.bad-header` */
export function parseRosterManifest(manifest: Uint8Array): RosterManifest {
  const fields = fieldsOf(decodeUtf8(manifest) ?? '');
  const { format, name, gid, devices, unnamed = 0, perBox, sha256, bytes } = fields;
  if (format !== MANIFEST_FORMAT) throw badHeader(`the format of its manifest is not ${MANIFEST_FORMAT}`);
  if (typeof name !== 'string' || !isHex(gid, 32) || !isHex(sha256, 32))
    throw badHeader('its manifest names no batch');
  if (!isWhole(devices, MAX_COUNT) || !isWhole(unnamed, devices) || !isWhole(bytes, devices * LONGEST_ROW))
    throw badHeader(`its manifest has not the number of 0 to ${MAX_COUNT} devices, and of their bytes`);
  if (perBox !== undefined && (!isWhole(perBox, MOST_IN_A_BOX) || perBox === 0))
    throw badHeader(`a box in its manifest has not 1 to ${MOST_IN_A_BOX} devices`);
  return { name, gid, devices, unnamed, perBox, sha256, bytes };
}

/** The device in a line; undefined if there is none. */
export function parseRosterRow(line: string): RosterDevice | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof fields !== 'object' || fields === null) return undefined;
  const { pseudonym, serial, resident } = fields as Record<string, unknown>;
  if (pseudonym !== undefined && !(typeof pseudonym === 'string' && PSEUDONYM.test(pseudonym)))
    return undefined;
  if (serial !== undefined && !(typeof serial === 'string' && SERIAL.test(serial))) return undefined;
  if (resident !== undefined && typeof resident !== 'boolean') return undefined;
  return { pseudonym, serial, resident };
}

/** An uncompressed point. */
const PSEUDONYM = /^04[0-9a-f]{128}$/;

function fieldsOf(json: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // It is refused below.
  }
  throw badHeader('it does not begin with JSON');
}

const isHex = (value: unknown, bytes: number): value is string =>
  typeof value === 'string' && value.length === 2 * bytes && /^[0-9a-f]*$/.test(value);

const isWhole = (value: unknown, most: number): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most;

function badHeader(why: string): Failure {
  return new Failure('roster.bad-header', 'operator', `the file is no roster of a batch: ${why}`, {
    action: 'Give the file that "enf-factory batch export --roster" wrote.',
  });
}
