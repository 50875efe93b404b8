import { Failure } from '../../protocol/failure.ts';
import type { Prefix } from '../../protocol/ipv6.ts';
import type { Role } from '../access/roles.ts';
import type { Page, PageRequest } from './pages.ts';

/** Somebody to whom networks, groups and devices belong, and who sees nothing of others. */
export interface Owner {
  /** Never used again for another one; `DEFAULT_OWNER` is there always. */
  readonly id: number;
  /** Nobody else has it: a DNS label. */
  readonly name: string;
  /** Nobody acts for a closed one any more. */
  readonly status: 'active' | 'closed';
  /** Milliseconds since 1970. */
  readonly created: number;
  /** How many networks it has. */
  readonly networks: number;
  /** The prefixes that the host has lent it, in whose /64s it adds its networks; 100 at most. */
  readonly spaces: readonly Prefix[];
}

/** Where an owner adds its networks. */
export interface Lent {
  /** What the host has lent it; 100 at most. */
  readonly spaces: readonly Prefix[];
  /** Nothing was lent to it, and it is the first one: it adds them wherever nothing is lent to another. */
  readonly anywhere: boolean;
}

/** What somebody is at an owner. */
export interface Membership {
  readonly owner: number;
  /** Of the owner. */
  readonly name: string;
  readonly role: Role;
}

/** Owners of one fabric. */
export const MOST_OWNERS = 1_000;
/** Prefixes lent to one owner. */
export const MOST_SPACES = 100;

export interface OwnersReader {
  /** Oldest first, also closed ones. */
  owners(page: PageRequest): Promise<Page<Owner>>;
  /** The owner of this name. @throws Failure `fabric.unknown-owner`, also for one that is closed */
  ownerNamed(name: string): Promise<{ readonly id: number; readonly name: string }>;
  /** There never was another one than `DEFAULT_OWNER`. */
  hasOneOwner(): Promise<boolean>;
}

/** What the host does with owners. `owner` is a name. */
export interface Owners extends OwnersReader {
  /** @throws Failure `fabric.owner-exists`, `fabric.too-many-owners` */
  addOwner(actor: string, name: string): Promise<Owner>;
  /** @throws Failure `fabric.unknown-owner`, `fabric.owner-exists` */
  renameOwner(actor: string, owner: string, name: string): Promise<Owner>;
  /**
   * Nobody acts for the owner from then on: sessions, tokens and invites end. Its rows stay, so that no address is given twice.
   * @throws Failure `fabric.unknown-owner`, `fabric.owner-not-idle` while one of its groups is active, `fabric.default-owner`
   */
  closeOwner(actor: string, owner: string): Promise<Owner>;
  /** @throws Failure `fabric.unknown-owner`, `fabric.prefix-in-use` if it overlaps what is another's, `fabric.too-many-prefixes` */
  lendPrefix(actor: string, owner: string, prefix: Prefix): Promise<Owner>;
  /** @throws Failure `fabric.unknown-owner`, `fabric.prefix-not-lent`, `fabric.prefix-in-use` while there are networks in it */
  takeBackPrefix(actor: string, owner: string, prefix: Prefix): Promise<Owner>;
  /**
   * Makes a person something at an owner, or nothing any more; ends its sessions. False if it was that already.
   * @throws Failure `fabric.unknown-owner`, `fabric.unknown-person`, `fabric.last-owner`
   */
  setMembership(actor: string, owner: string, person: number, role: Role | undefined): Promise<boolean>;
  /** What a person is at which owners that are not closed, the oldest first; 100 at most. */
  memberships(person: number): Promise<readonly Membership[]>;
}

/** Of who asks for one that is not there, is closed, or is none of its. */
export const unknownOwner = (name: string): Failure =>
  new Failure('fabric.unknown-owner', 'operator', `there is no owner ${JSON.stringify(name)} here`, {
    action: 'See "enf-fabric owner list"; who is of several owners sees them at "you".',
  });
