import type { Role } from '../access/roles.ts';
import type { Membership } from './owners.ts';
import type { Page, PageRequest } from './pages.ts';

/** Somebody who signs in at the console. Times are milliseconds since 1970. */
export interface Person {
  /** Never used again for anybody else. */
  readonly id: number;
  /** Nobody else who was not removed has it, however it is written (`nameKey`). */
  readonly name: string;
  /** At the owner whose people are read; of all people: `host`, or what it is at its first owner. */
  readonly role: Role;
  /** At which owners it is what, as far as whoever reads it may know; `host` is at none. */
  readonly owners: readonly Membership[];
  /** Whoever invited this person. */
  readonly createdBy: string;
  readonly created: number;
  readonly signedIn?: number;
  readonly removed?: number;
  /** Grows whenever all sessions of the person have to end: they hold for the number that they began with. */
  readonly generation: number;
  /** Does it have one? */
  readonly hasPassword: boolean;
  /** How many there are. */
  readonly passkeys: number;
}

/** What lets somebody become a person, once; `hash` is SHA-256 of its text, 32 bytes. */
export interface Invite {
  readonly hash: Uint8Array;
  readonly role: Role;
  readonly expires: number;
  /** Whoever an issuer calls so may use it without its text. */
  readonly login?: string;
}

/** An invite that somebody may still use, as it is listed. */
export interface OpenInvite extends Omit<Invite, 'hash'> {
  /** The first 8 bytes of its hash in hex: its text cannot be found by them. */
  readonly id: string;
  /** Whose people it makes one more of: the number of an owner, or `HOST`. */
  readonly owner: number;
  /** The name of that owner; absent: it is the host's. */
  readonly ownerName?: string;
  readonly createdBy: string;
}

/** How and from where somebody signed in; recorded in the audit trail. */
export interface SignIn {
  readonly via: 'password' | 'passkey' | 'recovery code' | 'invite' | 'account';
  readonly from: string;
}

/** Somebody who comes in, by a password (PHC) or an account elsewhere. */
export interface NewPerson {
  readonly name: string;
  readonly password?: string;
  readonly account?: Account;
}

/** How a person comes in that nobody knows yet. */
export interface Entry {
  /** What to call it: the first that nobody has. */
  readonly names: readonly string[];
  /** The role of whoever has no invite; undefined: it does not come in. */
  readonly newcomer?: Role | undefined;
}

/** An account at an OpenID issuer; `login` is what the issuer calls it now, such as an e-mail address. */
export interface Account {
  readonly issuer: string;
  readonly subject: string;
  readonly login: string;
}

export interface PeopleReader {
  /** Oldest first, also those who were removed. */
  people(page: PageRequest): Promise<Page<Person>>;
  /** Those that were neither used nor withdrawn and hold now, by `id`. */
  invites(page: PageRequest): Promise<Page<OpenInvite>>;
}

/** The people of an owner. */
export interface OwnPeople extends PeopleReader {
  /** By number or by name, if not removed. @throws Failure `fabric.unknown-person` */
  person(who: number | string): Promise<Person>;
  /**
   * Changes the role and ends all sessions; false if it was that already.
   * @throws Failure `fabric.unknown-person`, `fabric.last-owner`, `fabric.several-owners` if it is not said at which owner
   */
  setRole(actor: string, id: number, role: Role): Promise<boolean>;
  /**
   * Forgets how the person signed in, and ends all sessions. Who is also of another owner only ceases to be of this one.
   * @throws Failure `fabric.unknown-person`, `fabric.last-owner`
   */
  removePerson(actor: string, id: number): Promise<void>;
  addInvite(actor: string, invite: Invite): Promise<void>;
  /** By `id`. @throws Failure `fabric.unknown-invite`, also if it was used or has expired */
  openInvite(id: string): Promise<OpenInvite>;
  /** Nobody comes in by it any more. @throws Failure `fabric.unknown-invite` */
  withdrawInvite(actor: string, id: string): Promise<void>;
}

/** How people come in and sign in, whosever they are. */
export interface People {
  /** By number or by name, if not removed. @throws Failure `fabric.unknown-person` */
  person(who: number | string): Promise<Person>;
  /** The invite with this hash if it may be used now. */
  invite(hash: Uint8Array): Promise<Invite | undefined>;
  /**
   * Makes a person of an invite, which is used up then; it signs in by a password (PHC), or by an account elsewhere.
   * @throws Failure `access.bad-invite`, `fabric.person-exists`
   */
  acceptInvite(hash: Uint8Array, person: NewPerson): Promise<Person>;
  /**
   * Who signs in by an account: whose it is, or else a new person by the newest invite for its login, which is used up then, or in the role
   * `newcomer`. All in one transaction; undefined: nobody may. @throws Failure `fabric.person-exists` if all names are taken
   */
  personByAccount(account: Account, entry: Entry): Promise<Person | undefined>;

  /** The person of that name, and the hash of its password in PHC form: none if it signs in otherwise. */
  passwordOf(name: string): Promise<{ readonly person: Person; readonly password?: string } | undefined>;
  /** Replaces the password (PHC) and ends all sessions; the person as it is now. @throws Failure `fabric.unknown-person` */
  setPassword(actor: string, id: number, password: string): Promise<Person>;
  /** @throws Failure `fabric.unknown-person` */
  endSessions(actor: string, id: number): Promise<void>;

  /** Records that a person has signed in. @throws Failure `fabric.unknown-person` if it was removed meanwhile */
  signedIn(id: number, how: SignIn): Promise<Person>;
  /** Records that somebody could not; `id` of the person whose name was given, if there is one. */
  signInFailed(id: number | undefined, from: string): Promise<void>;
}

/** A name as names are compared: the same letters, however composed and whether large or small. */
export const nameKey = (name: string): string => name.normalize('NFKC').toLowerCase();

/** A login as logins are compared: large and small letters of ASCII are the same, and no others: what looks alike is somebody else. */
export const loginKey = (login: string): string => login.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/** A person as actor in the audit trail. */
export const personActor = ({ id, name }: Pick<Person, 'id' | 'name'>): string => `${name} (person ${id})`;
