import type { Role } from './roles.ts';

/** How people sign in by accounts at an OpenID issuer. */
export interface OpenId {
  readonly issuer: URL;
  readonly clientId: string;
  /** Absent: a public client, which PKCE alone guards. */
  readonly secret?: string;
  /** Which claim is the login of a person. */
  readonly claim: string;
  /** Whoever's e-mail address is in one of these comes in without an invite. */
  readonly domains: readonly string[];
  /** Which claim has to name one of these, too; absent: the address counts alone. */
  readonly domainClaim?: string;
  /** The role of those. */
  readonly role: Role;
  /** How people know the issuer. */
  readonly name: string;
}
