import { primitives } from '../../crypto/primitives.ts';
import { toHex } from '../../protocol/bytes.ts';

/** How a manifest names a member: SHA-256 of its public point, hex. */
export function memberName(publicPoint: Uint8Array): string {
  return toHex(primitives.sha256(publicPoint));
}

/** The first 20 hex digits of a GID in groups of four. */
export function shortGid(gid: string): string {
  return gid.slice(0, 20).replace(/(....)(?=.)/g, '$1 ');
}
