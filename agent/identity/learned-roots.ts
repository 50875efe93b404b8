import { fromHex, toHex } from '../../protocol/bytes.ts';
import type { RootSet } from '../../protocol/identity/root-update.ts';
import type { DeviceRecord } from '../state/state.ts';

/*
 * The roots that the fabric has told of since the factory wrote one into the TPM. They take the place of that one, and count only as long
 * as the credential is of the fabric that has told of them: a device that is personalised again begins anew.
 */

/** As the state keeps them; bytes are hexadecimal. */
interface SavedRoots {
  readonly version: number;
  /** The credential's XTT root. */
  readonly base: string;
  readonly roots: readonly { readonly xtt: string; readonly tls: string }[];
  /** When, by the clock of then: ISO 8601. Only to be shown. */
  readonly learned: string;
}

/** What the device trusts in place of its credential's roots. */
export interface LearnedRoots extends RootSet {
  /** ISO 8601. */
  readonly learned: string;
}

/** Undefined if nothing was learned, or of another fabric than that of the credential (its XTT root, 81 bytes). */
export function learnedRoots(record: DeviceRecord, credentialRoot: Uint8Array): LearnedRoots | undefined {
  const { roots: saved } = record;
  if (!isSaved(saved) || saved.base !== toHex(credentialRoot)) return undefined;
  const { version, roots, learned } = saved;
  return {
    version,
    roots: roots.map(({ xtt, tls }) => ({ xttRoot: fromHex(xtt), tlsRoot: fromHex(tls) })),
    learned,
  };
}

/** The version and time in the record, whatever the credential; to be shown. */
export function shownRoots(
  record: DeviceRecord,
): { readonly version: number; readonly learned: string } | undefined {
  const { roots } = record;
  return isSaved(roots) ? { version: roots.version, learned: roots.learned } : undefined;
}

/** The record with these roots in it. */
export function withRoots(
  record: DeviceRecord,
  { version, roots }: RootSet,
  credentialRoot: Uint8Array,
  learned: string,
): DeviceRecord {
  const saved: SavedRoots = {
    version,
    base: toHex(credentialRoot),
    roots: roots.map(({ xttRoot, tlsRoot }) => ({ xtt: toHex(xttRoot), tls: toHex(tlsRoot) })),
    learned,
  };
  return { ...record, roots: saved };
}

function isSaved(value: unknown): value is SavedRoots {
  if (typeof value !== 'object' || value === null) return false;
  const { version, base, roots, learned } = value as Record<string, unknown>;
  const texts = typeof base === 'string' && typeof learned === 'string';
  return (
    texts && Number.isSafeInteger(version) && Array.isArray(roots) && roots.length > 0 && roots.every(isPair)
  );
}

function isPair(value: unknown): boolean {
  const { xtt, tls } = (value ?? {}) as Record<string, unknown>;
  return [xtt, tls].every((text) => typeof text === 'string' && /^([0-9a-f]{2})+$/.test(text));
}
