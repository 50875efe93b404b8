import type { Account } from './people.ts';

/** How a person signs in beside its password. Times are milliseconds since 1970. */

/** A passkey (WebAuthn), whose private key only the person's device has. */
export interface Passkey {
  readonly id: number;
  readonly person: number;
  /** 1 to 1,023 bytes. */
  readonly credential: Uint8Array;
  /** COSE. */
  readonly publicKey: Uint8Array;
  /** As the authenticator counted at the last use; 0: it does not count. */
  readonly counter: number;
  readonly name: string;
  readonly created: number;
  readonly used?: number;
}

export type NewPasskey = Pick<Passkey, 'person' | 'credential' | 'publicKey' | 'counter' | 'name'>;

/** Passkeys that one person may have. */
export const MOST_PASSKEYS = 20;

export interface Credentials {
  /** Of one person, oldest first, at most `MOST_PASSKEYS`. */
  passkeys(person: number): Promise<readonly Passkey[]>;
  passkey(credential: Uint8Array): Promise<Passkey | undefined>;
  /** @throws Failure `fabric.unknown-person`, `fabric.passkey-exists`, `access.too-many-passkeys` */
  addPasskey(actor: string, passkey: NewPasskey): Promise<Passkey>;
  /** @throws Failure `fabric.unknown-passkey` if this person has none of that number, `access.last-way-in` if it signs in by nothing else */
  removePasskey(actor: string, person: number, id: number): Promise<void>;
  /** Keeps the authenticator's new count; false if it is not above the last one: somebody has a copy of the key, or of the answer. */
  usePasskey(id: number, counter: number): Promise<boolean>;

  /** The accounts elsewhere of one person: one at each issuer. */
  accounts(person: number): Promise<readonly Account[]>;
  /** Whose account it is, also if that person was removed; undefined if nobody's, or given up. */
  accountOwner(account: Pick<Account, 'issuer' | 'subject'>): Promise<number | undefined>;
  /** Lets a person sign in by an account, in place of another one at that issuer. @throws Failure `fabric.unknown-person`, `fabric.account-exists` */
  addAccount(actor: string, person: number, account: Account): Promise<void>;
  /** @throws Failure `fabric.unknown-account` if this person has none there, `access.last-way-in` if it signs in by nothing else */
  removeAccount(actor: string, person: number, issuer: string): Promise<void>;

  /** Replaces the recovery codes of a person: SHA-256 of each. @throws Failure `fabric.unknown-person` */
  setRecoveryCodes(actor: string, person: number, hashes: readonly Uint8Array[]): Promise<void>;
  /** Uses a code up; false if the person has none with this hash. */
  useRecoveryCode(person: number, hash: Uint8Array): Promise<boolean>;
  recoveryCodesLeft(person: number): Promise<number>;
}
