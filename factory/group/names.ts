import { primitives } from '../../crypto/primitives.ts';
import { toHex } from '../../protocol/bytes.ts';

/** How a manifest names a member: SHA-256 of its public point, hex. */
export function memberName(publicPoint: Uint8Array): string {
  return toHex(primitives.sha256(publicPoint));
}

/** A basename as printable ASCII, or its hex behind `0x`. */
export function basenameText(basename: Uint8Array): string {
  const printable = basename.every((byte) => byte >= 0x20 && byte < 0x7f);
  return printable ? String.fromCharCode(...basename) : `0x${toHex(basename)}`;
}

/** The first 20 hex digits of a GID in groups of four. */
export function shortGid(gid: string): string {
  return gid.slice(0, 20).replace(/(....)(?=.)/g, '$1 ');
}
