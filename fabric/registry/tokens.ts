import type { Role } from '../access/roles.ts';
import type { Page, PageRequest } from './pages.ts';

/** A token of the API, whose secret only its bearer has. Times are milliseconds since 1970. */
export interface Token {
  readonly id: number;
  readonly name: string;
  readonly role: Role;
  /** Whose it is: the number of an owner, or `HOST`. */
  readonly owner: number;
  /** The actor that made it. */
  readonly createdBy: string;
  /** The person who made it, or whose token did; absent: the operator of the host did. */
  readonly person?: number;
  readonly created: number;
  readonly expires: number;
  readonly revoked?: number;
  /** When it was last used, within a minute. */
  readonly used?: number;
}

/** A token that may be used now. */
export interface UsableToken extends Token {
  /** There is no other owner than one. */
  readonly isOfOnlyOwner: boolean;
  /** What its owner is called; absent: it is the host's, or of an owner that is closed. */
  readonly ownerName?: string | undefined;
}

/** What is said of a new token; `hash` is SHA-256 of its text, 32 bytes. */
export type NewToken = Pick<Token, 'name' | 'role' | 'expires' | 'person'> & { readonly hash: Uint8Array };

export interface TokenReader {
  /** Oldest first, also those that have expired or were revoked. */
  tokens(page: PageRequest): Promise<Page<Token>>;
}

/** The tokens of an owner. */
export interface OwnTokens extends TokenReader {
  addToken(actor: string, token: NewToken): Promise<Token>;
  /** False if it was revoked already. @throws Failure `fabric.unknown-token` */
  revokeToken(actor: string, id: number): Promise<boolean>;
}

export interface Tokens {
  /** The token with this hash if it may be used now; that it was is recorded. */
  useToken(hash: Uint8Array): Promise<UsableToken | undefined>;
}
