import type { Role } from '../access/roles.ts';
import type { Page, PageRequest } from './pages.ts';

/** Somebody who signs in at the console. Times are milliseconds since 1970. */
export interface Person {
  /** Never used again for anybody else. */
  readonly id: number;
  /** Nobody else who was not removed has it, however it is written (`nameKey`). */
  readonly name: string;
  readonly role: Role;
  /** Whoever invited this person. */
  readonly createdBy: string;
  readonly created: number;
  readonly signedIn?: number;
  readonly removed?: number;
  /** Grows whenever all sessions of the person have to end: they hold for the number that they began with. */
  readonly generation: number;
  /** How many there are. */
  readonly passkeys: number;
}

/** What lets somebody become a person, once; `hash` is SHA-256 of its text, 32 bytes. */
export interface Invite {
  readonly hash: Uint8Array;
  readonly role: Role;
  readonly expires: number;
}

/** How and from where somebody signed in; recorded in the audit trail. */
export interface SignIn {
  readonly via: 'password' | 'passkey' | 'recovery code' | 'invite';
  readonly from: string;
}

export interface PeopleReader {
  /** Oldest first, also those who were removed. */
  people(page: PageRequest): Promise<Page<Person>>;
}

export interface People extends PeopleReader {
  /** By number or by name, if not removed. @throws Failure `fabric.unknown-person` */
  person(who: number | string): Promise<Person>;
  /** Changes the role and ends all sessions; false if it was that already. @throws Failure `fabric.unknown-person`, `fabric.last-owner` */
  setRole(actor: string, id: number, role: Role): Promise<boolean>;
  /** Forgets how the person signed in, and ends all sessions. @throws Failure `fabric.unknown-person`, `fabric.last-owner` */
  removePerson(actor: string, id: number): Promise<void>;

  addInvite(actor: string, invite: Invite): Promise<void>;
  /** The invite with this hash if it may be used now. */
  invite(hash: Uint8Array): Promise<Invite | undefined>;
  /** Makes a person of an invite, which is used up then. @throws Failure `access.bad-invite`, `fabric.person-exists` */
  acceptInvite(
    hash: Uint8Array,
    person: { readonly name: string; readonly password: string },
  ): Promise<Person>;

  /** The hash of the password of a person of that name, in PHC form. */
  passwordOf(name: string): Promise<{ readonly person: Person; readonly password: string } | undefined>;
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

/** A person as actor in the audit trail. */
export const personActor = ({ id, name }: Pick<Person, 'id' | 'name'>): string => `${name} (person ${id})`;
