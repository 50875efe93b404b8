import { Failure, type Remedy } from '../../protocol/failure.ts';
import { decodeBase64, encodeBase64 } from '../../protocol/identity/base64.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';

/**
 * What a board and its station say to each other: requests of JSON over HTTPS (docs/factory.md). Bytes are in base64. `begin` is authorised by a
 * token, and gives a session by whose number the others are.
 */
export const STEP = {
  begin: '/v1/begin',
  join: '/v1/join',
  prove: '/v1/prove',
  done: '/v1/done',
  failed: '/v1/failed',
} as const;

/** The largest body of a request: an endorsement certificate of 8 KiB, in base64, and less. */
export const MAX_BODY = 16_384;

/** Reads the fields of a JSON object that came from outside; each must be there and fit. */
export interface Fields {
  /** Undefined if it is not there. */
  text(name: string, pattern: RegExp): string | undefined;
  needed(name: string, pattern: RegExp): string;
  bytes(name: string, most: number): Uint8Array;
  /** Undefined if it is not there. */
  optionalBytes(name: string, most: number): Uint8Array | undefined;
  /** False if it is not there, or anything but `true`. */
  flag(name: string): boolean;
}

/** @throws Failure `factory.bad-message` from it and from each method but `flag` */
export function readFields(body: Uint8Array): Fields {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(decodeUtf8(body) ?? '') as Record<string, unknown>;
  } catch {
    throw badMessage('it is not JSON');
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields))
    throw badMessage('it is no object');
  const text = (name: string, pattern: RegExp): string | undefined => {
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (value === undefined) return undefined;
    if (typeof value === 'string' && pattern.test(value)) return value;
    throw badMessage(`its "${name}" is malformed`);
  };
  const optionalBytes = (name: string, most: number): Uint8Array | undefined => {
    const value = text(name, /^[A-Za-z0-9+/=]*$/);
    const bytes = value === undefined ? undefined : decodeBase64(value);
    if (value !== undefined && (bytes === undefined || bytes.length > most))
      throw badMessage(`its "${name}" is malformed`);
    return bytes;
  };
  const there = <T>(name: string, value: T | undefined): T => {
    if (value === undefined) throw badMessage(`its "${name}" is missing`);
    return value;
  };
  return {
    text,
    needed: (name, pattern) => there(name, text(name, pattern)),
    optionalBytes,
    bytes: (name, most) => there(name, optionalBytes(name, most)),
    flag: (name) => fields[name] === true,
  };
}

/** A message with bytes in base64; what is undefined is left out. */
export const encodeMessage = (
  fields: Readonly<Record<string, string | boolean | Uint8Array | undefined>>,
): string =>
  JSON.stringify(fields, (_, value: unknown) => (value instanceof Uint8Array ? encodeBase64(value) : value));

const REMEDIES: readonly unknown[] = ['retry', 'reprovision', 'operator'] satisfies Remedy[];

/** What a station answers instead: as its log has it. */
export function readRefusal(
  body: string,
): { code: string; remedy: Remedy; message: string; action?: string } | undefined {
  try {
    const { error } = JSON.parse(body) as { error: Record<string, unknown> };
    const { code, remedy, message, action } = error;
    if (typeof code !== 'string' || typeof message !== 'string' || !REMEDIES.includes(remedy))
      return undefined;
    return { code, remedy: remedy as Remedy, message, ...(typeof action === 'string' ? { action } : {}) };
  } catch {
    return undefined;
  }
}

/** A board whose TPM cannot do ECDAA, at a station that makes no device of such. */
export function sealedRefused(): Failure {
  return new Failure(
    'factory.sealed-refused',
    'operator',
    'the board would keep its secret sealed in a TPM that cannot do ECDAA, and the station does not allow that for this batch',
    { action: 'Start the station with --allow-sealed, or use a board with another TPM.' },
  );
}

function badMessage(why: string): Failure {
  return new Failure('factory.bad-message', 'operator', `what came over the network is malformed: ${why}`, {
    action: 'Use the same version of enf-factory at the station and on the board.',
  });
}
