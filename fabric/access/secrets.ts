import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from '../../protocol/crc32.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';

/** A secret that somebody carries: a token of the API, an invite, a session, of which only the hash is stored; or the key of a hook's signatures. */
export interface Issued {
  /** Shown once. */
  readonly text: string;
  /** SHA-256 of the text, 32 bytes. */
  readonly hash: Uint8Array;
}

const SECRET_LENGTH = 32;

/** Kinds by the prefix of their text, which secret scanners look for. */
const PREFIX = { token: 'enf_', invite: 'enfi_', session: 'enfs_', hook: 'enfh_' } as const;

export type SecretKind = keyof typeof PREFIX;

/** A new secret: prefix, 32 random bytes in base64url, and a checksum of both by which a typing error is told from a wrong one. */
export function issueSecret(kind: SecretKind): Issued {
  const body = `${PREFIX[kind]}${randomBytes(SECRET_LENGTH).toString('base64url')}`;
  const text = `${body}${checksum(body)}`;
  return { text, hash: hashOf(text) };
}

/** The hash by which a secret is looked up; undefined if the text is none of that kind, or was mistyped. */
export function secretHash(kind: SecretKind, text: string): Uint8Array | undefined {
  const prefix = PREFIX[kind];
  if (text.length !== prefix.length + 43 + 6 || !text.startsWith(prefix)) return undefined;
  const body = text.slice(0, -6);
  return text.slice(-6) === checksum(body) ? hashOf(text) : undefined;
}

const hashOf = (text: string): Uint8Array => new Uint8Array(createHash('sha256').update(text).digest());

/** Six characters of base64url. */
function checksum(body: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(encodeUtf8(body)));
  return bytes.toString('base64url');
}
