import { Failure } from '../../protocol/failure.ts';
import { SERIAL } from '../../protocol/serial.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';

/** What is known of a chip's endorsement key: its maker's certificate holds, does not, or there is none. */
export type EndorsementState = 'verified' | 'untrusted' | 'absent';

/** Where a serial number came from. */
export type SerialSource = 'typed' | 'scanned' | 'dmi' | 'board';

/**
 * `issued`: a credential left the station for the board, which has not yet shown that it works. `pass`: it does; the last word on a device.
 * `fail`: it did not become a device, so far.
 */
export type Result = 'issued' | 'pass' | 'fail';

/** What a station says of a device. */
export interface Facts {
  /** Who made the entry: station and operator, at most 60 characters each. */
  readonly station?: string | undefined;
  readonly operator?: string | undefined;
  readonly serial?: string | undefined;
  readonly serialFrom?: SerialSource | undefined;
  /** SHA-256 of the endorsement public key, hex; only where it is asked for: it names the chip for ever. */
  readonly ekHash?: string | undefined;
  /** SHA-256 of the member's public point (65 bytes), hex: identifies the device, and cannot be used in the protocol. */
  readonly member?: string | undefined;
  /** The point K under the group's basename, 65 bytes in hex: what the fabric will know the device by. */
  readonly pseudonym?: string | undefined;
  /** The manufacturer that the TPM reports, or `software`. */
  readonly tpm?: string | undefined;
  /** True if the TPM made the member's key, which never leaves it; false if its secret is sealed in the TPM, or in files. */
  readonly resident?: boolean | undefined;
  /** Version of the TPM's firmware, as `7.85.4555.0`. */
  readonly firmware?: string | undefined;
  /** Whether the maker's certificate proved the TPM genuine; left out for software. */
  readonly ek?: EndorsementState | undefined;
  readonly result: Result;
  /** Of `fail`: the code, and what was said. */
  readonly failure?: string | undefined;
  readonly message?: string | undefined;
  /** Of `issued`: the number of the token that it is charged to. */
  readonly token?: string | undefined;
}

/** A line of a batch's journal. Nothing in it is secret. */
export interface Row extends Facts {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly gid: string;
  /** When the device first got a credential, ISO 8601, UTC; it has it, whatever failed later. */
  readonly issued?: string | undefined;
  /** Where the entry is that this one takes the place of. */
  readonly replaces?: number | undefined;
}

/** True if a credential has left for this device: one that was `issued`, also if something failed since. */
export const hasCredential = ({ result, issued, token }: Row): boolean =>
  result !== 'fail' || issued !== undefined || token !== undefined;

/** Entries from before do not say it: then only keys in files were none of a TPM. */
export const isResident = ({ resident, tpm }: Row): boolean => resident ?? tpm !== 'software';

const TEXTS = [
  'station',
  'operator',
  'serial',
  'serialFrom',
  'ekHash',
  'member',
  'pseudonym',
  'tpm',
  'firmware',
  'ek',
  'failure',
  'message',
  'token',
  'issued',
] as const satisfies readonly (keyof Row)[];

/** @throws Failure `factory.bad-serial` */
export function checkSerial(serial: string): string {
  if (SERIAL.test(serial)) return serial;
  throw new Failure(
    'factory.bad-serial',
    'operator',
    `a serial number has 1 to 64 letters, digits, spaces and . _ : / + -, got ${JSON.stringify(serial.slice(0, 80))}`,
    { action: 'Type or scan it again.' },
  );
}

/** A row as a line of JSON, its fields in one order. */
export function formatRow(row: Row): string {
  const texts = Object.fromEntries(
    TEXTS.flatMap((name) => (row[name] === undefined ? [] : [[name, row[name]]])),
  );
  const { time, gid, result, replaces, resident } = row;
  return JSON.stringify({ time, gid, result, ...texts, resident, replaces });
}

/** The row in a line, or undefined if the line holds none. Lines of before name no result: they are devices. */
export function parseRow(line: Uint8Array): Row | undefined {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(decodeUtf8(line) ?? '') as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const { time, gid, result = 'pass', replaces, resident } = fields ?? {};
  if (typeof time !== 'string' || typeof gid !== 'string') return undefined;
  if (result !== 'pass' && result !== 'fail' && result !== 'issued') return undefined;
  const texts = TEXTS.flatMap((name) => (typeof fields[name] === 'string' ? [[name, fields[name]]] : []));
  const before = Number.isSafeInteger(replaces) ? { replaces: replaces as number } : {};
  const kept = typeof resident === 'boolean' ? { resident } : {};
  return { time, gid, result, ...(Object.fromEntries(texts) as Partial<Row>), ...kept, ...before };
}
