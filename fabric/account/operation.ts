import type { TSchema } from 'typebox';
import { Failure } from '../../protocol/failure.ts';
import { requireFresh } from '../access/fresh.ts';
import type { Passwords } from '../access/password.ts';
import { type Permission, permissionsOf } from '../access/roles.ts';
import { actorOf } from '../operations/actors.ts';
import { CATALOGUE } from '../operations/contract/catalogue.ts';
import { checker, objectOf } from '../operations/contract/input.ts';
import type { Actor } from '../operations/contract/operation.ts';
import type { Person } from '../registry/people.ts';
import type { Registry } from '../registry/registry.ts';
import type { Guard } from './guard.ts';
import type { Me } from './views.ts';

/** What signing in works on. */
export interface Signing {
  readonly registry: Registry;
  readonly passwords: Passwords;
  readonly guard: Guard;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * Signing in, and what a person does for itself: no permission is needed for that. `who` may call it: the console itself, for somebody who has
 * not signed in; a person who has; one who has also shown lately that it is there; or any caller, also the bearer of a token.
 */
export interface AccountOperation<View> {
  readonly name: string;
  readonly who: 'console' | 'person' | 'fresh' | 'caller';
  readonly input: TSchema;
  /** @throws Failure `fabric.bad-input`, `access.forbidden`, `access.fresh-sign-in`, and those of the operation */
  run(on: Signing, actor: Actor, input: unknown): Promise<View>;
}

/** An operation whose caller and input are checked before it runs. */
export function accountOperation<Input extends object, View>(
  name: string,
  who: AccountOperation<View>['who'],
  shape: { readonly [K in keyof Input]-?: TSchema },
  run: (on: Signing, input: Input, actor: Actor & { readonly person: number }) => Promise<View>,
): AccountOperation<View> {
  const schema = objectOf(shape);
  const check = checker(schema);
  return {
    name,
    who,
    input: schema,
    async run(on, actor, input) {
      if (who === 'console' && actor.via !== 'operator') throw notForThisCaller();
      if ((who === 'person' || who === 'fresh') && actor.person === undefined) throw notForThisCaller();
      if (who === 'fresh') requireFresh(actor.proved, on.now());
      return run(on, check(input) as Input, actor as Actor & { readonly person: number });
    },
  };
}

export function notForThisCaller(): Failure {
  return new Failure('access.forbidden', 'operator', 'only a person who has signed in may do this', {
    action: 'Sign in at the console; a token does not do.',
  });
}

/** A person who has signed in: what its session has to remember, and what it is shown. */
export interface SignedIn {
  readonly session: { readonly id: number; readonly generation: number };
  readonly me: Me;
}

/** @throws Failure `access.no-owner` if it is of none that is not closed */
export async function signedInView(registry: Registry, { id, generation }: Person): Promise<SignedIn> {
  const session = { id, generation };
  const actor = await actorOf(registry, { actor: '', person: session, input: {} });
  return { session, me: await meOf(registry, actor) };
}

/** What they are needed for concerns all owners, all of it. */
const WHOLE: ReadonlySet<Permission> = new Set(
  Object.values(CATALOGUE)
    .map(({ permission }) => permission)
    .filter((each) =>
      Object.values(CATALOGUE).every(({ permission, whole }) => permission !== each || whole),
    ),
);

/** What whoever asks is told of itself. */
export async function meOf(registry: Registry, actor: Actor): Promise<Me> {
  const { name, role, via, person, personName, owner, scope } = actor;
  const owners = person === undefined ? [] : await registry.memberships(person);
  const hasPassword = person !== undefined && (await registry.person(person)).hasPassword;
  const whole = role === 'host' || scope.everything;
  return {
    ...{ name: personName ?? name, role, via },
    permissions: permissionsOf(role).filter((each) => whole || !WHOLE.has(each)),
    owner: owner ?? null,
    owners: owners.map(({ name, role }) => ({ name, role })),
    severalOwners: scope.everything && !(await registry.hasOneOwner()),
    whole,
    hasPassword,
  };
}
