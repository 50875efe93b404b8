import { isLabelOf, makerFingerprint, makerKeyText, verifyAsMaker } from '../../crypto/maker-key.ts';
import { toHex } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import type { Label } from '../../protocol/label.ts';
import { parseRosterHeader, parseRosterManifest, type RosterManifest } from '../../protocol/roster.ts';

/** What stands before a roster's lines, its signature verified. */
export interface OpenedRoster {
  readonly manifest: RosterManifest;
  /** PEM; whose key that is the caller has to know. */
  readonly makerKey: string;
  /** What the key is known by, 32 bytes. */
  readonly maker: Uint8Array;
}

/** The first line of a roster of this group. @throws Failure `roster.bad-header`, `roster.bad-signature`, `roster.other-group` */
export function openRoster(header: string, gid: Uint8Array): OpenedRoster {
  const { manifest, signature, maker: makerKey } = parseRosterHeader(header);
  if (!isSigned(makerKey, manifest, signature)) {
    throw new Failure(
      'roster.bad-signature',
      'operator',
      'the manifest of the roster does not have the signature of the maker that it names',
      { action: 'Ask the maker for the file again: this one was changed.' },
    );
  }
  const opened = parseRosterManifest(manifest);
  if (opened.gid !== toHex(gid)) {
    throw new Failure(
      'roster.other-group',
      'operator',
      `the roster is of another batch, ${JSON.stringify(opened.name.slice(0, 60))} (${opened.gid.slice(0, 20)})`,
      { action: 'Give the roster of the batch whose label it is.' },
    );
  }
  return { manifest: opened, makerKey: makerKeyText(makerKey), maker: makerFingerprint(makerKey) };
}

/** A key that is none signs nothing. */
function isSigned(makerKey: string, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verifyAsMaker(makerKey, message, signature);
  } catch (error) {
    if (isFailure(error)) return false;
    throw error;
  }
}

/** A label that is signed was signed by this maker (PEM). @throws Failure `roster.other-maker` */
export function requireSameMaker(label: Label, makerKey: string): void {
  if (isLabelOf(makerKey, label) !== false) return;
  throw new Failure('roster.other-maker', 'operator', 'the label is not signed by the maker of the roster', {
    action: 'Ask the maker for the roster of this batch; somebody else may have made this one.',
  });
}
